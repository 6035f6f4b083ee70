/**
 * What a cgroup says of itself, in one form for v1 and v2. Amounts in bytes and nanoseconds; what the machine does not count
 * is undefined, never zero.
 */
export interface CgroupReading {
  readonly cpu?: {
    readonly usageNanos: number;
    readonly userNanos?: number;
    readonly systemNanos?: number;
    readonly periods?: number;
    readonly throttledPeriods?: number;
    readonly throttledNanos?: number;
  };
  readonly memory?: MemoryReading;
  readonly pids?: { readonly current: number; readonly limit?: number };
  readonly io?: { readonly readBytes: number; readonly writeBytes: number };
}

export interface MemoryReading {
  readonly usage: number;
  /** Usage less what the kernel can drop at once: `usage - inactive_file`, the figure evictions and autoscalers look at. */
  readonly workingSet: number;
  readonly rss: number;
  readonly cache: number;
  readonly mappedFile: number;
  readonly swap?: number;
  /** The most it ever was. */
  readonly peak?: number;
  readonly limit?: number;
  readonly pageFaults: number;
  readonly majorPageFaults: number;
  /** Times the limit was met. */
  readonly failures?: number;
  readonly oomKills: number;
}

/** The text of one file of the cgroup, undefined where it is not there. */
export type ReadFile = (controller: 'cpu' | 'cpuacct' | 'memory' | 'pids' | 'io', file: string) => string | undefined;

/** Which version a controller has here; undefined: the machine lacks it. */
export type Versions = Readonly<Record<'cpu' | 'cpuacct' | 'memory' | 'pids' | 'io', 1 | 2 | undefined>>;

/** Pure: all there is to know of one cgroup from its files. */
export function cgroupReading(versions: Versions, read: ReadFile): CgroupReading {
  const cpu = cpuReading(versions, read);
  const memory = memoryReading(versions, read);
  const pids = pidsReading(read);
  const io = versions.io && (versions.io === 1 ? ioV1(read) : ioV2(read));
  return { ...(cpu ? { cpu } : {}), ...(memory ? { memory } : {}), ...(pids ? { pids } : {}), ...(io ? { io } : {}) };
}

/** Only what autoscalers and `top` ask for: two to four files instead of ten. */
export function usageReading(versions: Versions, read: ReadFile): { cpuNanos?: number; workingSet?: number } {
  const cpuNanos = cpuNanosOf(versions, read);
  const memory = versions.memory && workingSetOf(versions.memory, read);
  return {
    ...(cpuNanos === undefined ? {} : { cpuNanos }),
    ...(memory === undefined ? {} : { workingSet: memory }),
  };
}

function cpuNanosOf({ cpuacct }: Versions, read: ReadFile): number | undefined {
  if (cpuacct === 1) return whole(read('cpuacct', 'cpuacct.usage'));
  const micros = cpuacct && keyed(read('cpuacct', 'cpu.stat')).get('usage_usec');
  return micros === undefined ? undefined : micros * 1000;
}

function workingSetOf(version: 1 | 2, read: ReadFile): number | undefined {
  const usage = whole(read('memory', version === 1 ? 'memory.usage_in_bytes' : 'memory.current'));
  if (usage === undefined) return undefined;
  const stat = keyed(read('memory', 'memory.stat'));
  return Math.max(usage - (stat.get(version === 1 ? 'total_inactive_file' : 'inactive_file') ?? 0), 0);
}

/** A user's tick of `cpuacct.stat`, in nanoseconds: USER_HZ is 100 on every architecture Linux has today. */
const TICK_NANOS = 10_000_000;

function cpuReading(versions: Versions, read: ReadFile): CgroupReading['cpu'] {
  const usageNanos = cpuNanosOf(versions, read);
  if (usageNanos === undefined) return undefined;
  const stat = versions.cpu ? keyed(read('cpu', 'cpu.stat')) : new Map<string, number>();
  const times = versions.cpuacct === 1 ? keyed(read('cpuacct', 'cpuacct.stat')) : undefined;
  const user = times ? scaled(times.get('user'), TICK_NANOS) : scaled(stat.get('user_usec'), 1000);
  const system = times ? scaled(times.get('system'), TICK_NANOS) : scaled(stat.get('system_usec'), 1000);
  const throttled = stat.get('throttled_time') ?? scaled(stat.get('throttled_usec'), 1000);
  return defined({
    usageNanos,
    userNanos: user,
    systemNanos: system,
    periods: stat.get('nr_periods'),
    throttledPeriods: stat.get('nr_throttled'),
    throttledNanos: throttled,
  });
}

function memoryReading({ memory: version }: Versions, read: ReadFile): MemoryReading | undefined {
  if (!version) return undefined;
  const first = version === 1;
  const usage = whole(read('memory', first ? 'memory.usage_in_bytes' : 'memory.current'));
  if (usage === undefined) return undefined;
  const stat = keyed(read('memory', 'memory.stat'));
  const of = (v1: string, v2: string): number => stat.get(first ? v1 : v2) ?? 0;
  const limit = first ? unlimited(stat.get('hierarchical_memory_limit')) : whole(read('memory', 'memory.max'));
  const events = keyed(read('memory', first ? 'memory.oom_control' : 'memory.events'));
  return defined({
    usage,
    workingSet: Math.max(usage - of('total_inactive_file', 'inactive_file'), 0),
    rss: of('total_rss', 'anon'),
    cache: of('total_cache', 'file'),
    mappedFile: of('total_mapped_file', 'file_mapped'),
    swap: first ? stat.get('total_swap') : whole(read('memory', 'memory.swap.current')),
    peak: whole(read('memory', first ? 'memory.max_usage_in_bytes' : 'memory.peak')),
    limit,
    pageFaults: of('total_pgfault', 'pgfault'),
    majorPageFaults: of('total_pgmajfault', 'pgmajfault'),
    failures: first ? whole(read('memory', 'memory.failcnt')) : events.get('max'),
    oomKills: events.get('oom_kill') ?? 0,
  });
}

function pidsReading(read: ReadFile): CgroupReading['pids'] {
  const current = whole(read('pids', 'pids.current'));
  if (current === undefined) return undefined;
  return defined({ current, limit: whole(read('pids', 'pids.max')) });
}

function ioV1(read: ReadFile): CgroupReading['io'] {
  const text = read('io', 'blkio.throttle.io_service_bytes_recursive') ?? read('io', 'blkio.throttle.io_service_bytes');
  if (text === undefined) return undefined;
  const sum = (what: string) =>
    [...text.matchAll(new RegExp(`^\\d+:\\d+ ${what} (\\d+)$`, 'gm'))].reduce((all, m) => all + Number(m[1]), 0);
  return { readBytes: sum('Read'), writeBytes: sum('Write') };
}

function ioV2(read: ReadFile): CgroupReading['io'] {
  const text = read('io', 'io.stat');
  if (text === undefined) return undefined;
  const sum = (what: string) =>
    [...text.matchAll(new RegExp(`\\b${what}=(\\d+)`, 'g'))].reduce((all, m) => all + Number(m[1]), 0);
  return { readBytes: sum('rbytes'), writeBytes: sum('wbytes') };
}

/** Lines of `key number`. */
export function keyed(text: string | undefined): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const line of (text ?? '').split('\n')) {
    const space = line.indexOf(' ');
    if (space > 0) found.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return found;
}

/** The number a file holds; `max` is no number. */
function whole(text: string | undefined): number | undefined {
  const trimmed = text?.trim();
  return trimmed && /^\d+$/.test(trimmed) ? Number(trimmed) : undefined;
}

/** v1 writes the largest page-aligned number for «no limit». */
const unlimited = (value: number | undefined): number | undefined =>
  value === undefined || value > 2 ** 62 ? undefined : value;

const scaled = (value: number | undefined, by: number): number | undefined =>
  value === undefined ? undefined : value * by;

type Defined<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** Without the members that are undefined. */
export function defined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as Defined<T>;
}
