/** Where this machine has its cgroup controllers: v1, v2 or both (hybrid), decided for each controller. */
export interface CgroupTree {
  /** Mount points by controller; `version` says which files lie there. */
  readonly cpu: Hierarchy | undefined;
  readonly cpuacct: Hierarchy | undefined;
  readonly memory: Hierarchy | undefined;
  readonly pids: Hierarchy | undefined;
  readonly io: Hierarchy | undefined;
  /** The unified tree, whatever controllers are in it: its groups have `cpu.stat`, `cgroup.events` and pressure always. */
  readonly unified: Hierarchy | undefined;
}

export interface Hierarchy {
  readonly version: 1 | 2;
  readonly mount: string;
}

const V1_NAMES = { cpu: 'cpu', cpuacct: 'cpuacct', memory: 'memory', pids: 'pids', io: 'blkio' } as const;

/**
 * Pure. `mounts` is the text of `/proc/self/mounts`, `unifiedControllers` what the unified tree's `cgroup.controllers` says.
 * The first mount of a controller wins; a controller that v1 has is not looked for in v2.
 */
export function cgroupTree(mounts: string, unifiedControllers: (mount: string) => string): CgroupTree {
  const v1 = new Map<string, Hierarchy>();
  let unified: Hierarchy | undefined;
  for (const line of mounts.split('\n')) {
    const [, mount = '', type, options = ''] = line.split(' ');
    if (type === 'cgroup2') unified ??= { version: 2, mount };
    if (type !== 'cgroup') continue;
    for (const option of options.split(',')) if (!v1.has(option)) v1.set(option, { version: 1, mount });
  }
  const v2 = new Set(unified ? unifiedControllers(unified.mount).trim().split(/\s+/) : []);
  const of = (controller: keyof typeof V1_NAMES): Hierarchy | undefined =>
    v1.get(V1_NAMES[controller]) ?? (v2.has(controller) ? unified : undefined);
  return {
    cpu: of('cpu') ?? unified,
    // Time is counted in v2 without any controller.
    cpuacct: v1.get('cpuacct') ?? unified,
    memory: of('memory'),
    pids: of('pids'),
    io: of('io'),
    unified,
  };
}
