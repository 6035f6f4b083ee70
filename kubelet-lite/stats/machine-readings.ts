import { readFile, statfs } from 'node:fs/promises';
import { keyed } from './cgroup-readings.js';

/** What the whole machine uses now. Amounts in bytes and nanoseconds. */
export interface MachineReading {
  readonly cpuNanos: number;
  readonly memory: MachineMemory;
  readonly processes: { readonly current: number; readonly max: number };
}

export interface MachineMemory {
  readonly total: number;
  readonly usage: number;
  /** Usage less the file cache the kernel can drop at once. */
  readonly workingSet: number;
  readonly rss: number;
  readonly swapTotal: number;
  readonly swapUsed: number;
  readonly pageFaults: number;
  readonly majorPageFaults: number;
}

/** A file system: what it has, and what unprivileged writers may still take. */
export interface FileSystemReading {
  readonly capacityBytes: number;
  readonly availableBytes: number;
  readonly usedBytes: number;
  /** Zero where the file system makes inodes as it goes. */
  readonly inodes: number;
  readonly inodesFree: number;
}

export interface InterfaceReading {
  readonly name: string;
  readonly rxBytes: number;
  readonly rxErrors: number;
  readonly txBytes: number;
  readonly txErrors: number;
}

const TICK_NANOS = 10_000_000;

/** Pure: `/proc/stat`, `/proc/meminfo`, `/proc/vmstat`, `/proc/loadavg` and `/proc/sys/kernel/pid_max` as they are. */
export function machineReading(files: {
  readonly stat: string;
  readonly meminfo: string;
  readonly vmstat: string;
  readonly loadavg: string;
  readonly pidMax: string;
  readonly threadsMax: string;
}): MachineReading {
  // user nice system idle iowait irq softirq steal; what guests use is in user already.
  const ticks = (/^cpu +(.*)$/m.exec(files.stat)?.[1] ?? '').split(' ').map(Number);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = ticks;
  const kib = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(files.meminfo)?.[1] ?? 0) * 1024;
  const total = kib('MemTotal');
  const usage = total - kib('MemFree');
  const vmstat = keyed(files.vmstat);
  const current = Number(/\d+\/(\d+)/.exec(files.loadavg)?.[1] ?? 0);
  return {
    cpuNanos: (user + nice + system + irq + softirq) * TICK_NANOS,
    memory: {
      total,
      usage,
      workingSet: Math.max(usage - kib('Inactive\\(file\\)'), 0),
      rss: kib('AnonPages'),
      swapTotal: kib('SwapTotal'),
      swapUsed: kib('SwapTotal') - kib('SwapFree'),
      pageFaults: vmstat.get('pgfault') ?? 0,
      majorPageFaults: vmstat.get('pgmajfault') ?? 0,
    },
    processes: { current, max: Math.min(Number(files.pidMax) || Infinity, Number(files.threadsMax) || Infinity) },
  };
}

export async function readMachineNow(): Promise<MachineReading> {
  const [stat, meminfo, vmstat, loadavg, pidMax, threadsMax] = await Promise.all(
    ['stat', 'meminfo', 'vmstat', 'loadavg', 'sys/kernel/pid_max', 'sys/kernel/threads-max'].map((file) =>
      readFile(`/proc/${file}`, 'latin1').catch(() => ''),
    ),
  );
  return machineReading({
    stat: stat!,
    meminfo: meminfo!,
    vmstat: vmstat!,
    loadavg: loadavg!,
    pidMax: pidMax!,
    threadsMax: threadsMax!,
  });
}

/** The file system a directory lies on; undefined where there is none. */
export async function readFileSystem(directory: string): Promise<FileSystemReading | undefined> {
  const s = await statfs(directory).catch(() => undefined);
  if (!s) return undefined;
  return {
    capacityBytes: s.blocks * s.bsize,
    availableBytes: s.bavail * s.bsize,
    usedBytes: (s.blocks - s.bfree) * s.bsize,
    inodes: s.files,
    inodesFree: s.ffree,
  };
}

/** Pure: the interfaces of `/proc/<pid>/net/dev`, loopback left out. */
export function interfaceReadings(text: string): readonly InterfaceReading[] {
  return text.split('\n').flatMap((line) => {
    const [, name, counters = ''] = /^\s*([^:\s]+):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined || name === 'lo') return [];
    const [rxBytes = 0, , rxErrors = 0, , , , , , txBytes = 0, , txErrors = 0] = counters
      .trim()
      .split(/\s+/)
      .map(Number);
    return [{ name, rxBytes, rxErrors, txBytes, txErrors }];
  });
}

/** Of the network namespace a process lives in; `self` is the machine's. None once the process is gone. */
export async function readInterfaces(pid: number | 'self'): Promise<readonly InterfaceReading[]> {
  return interfaceReadings(await readFile(`/proc/${pid}/net/dev`, 'latin1').catch(() => ''));
}
