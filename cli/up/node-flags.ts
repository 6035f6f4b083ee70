import { type Command, InvalidArgumentError } from 'commander';

/** The local node's settings as the command line gives them; the kubelet's names where it has one. */
export interface RawNodeOptions {
  readonly maxPods?: number;
  readonly podMaxPids?: number;
  readonly systemReserved?: string;
  readonly kubeReserved?: string;
  readonly evictionHard?: string;
  readonly evictionSoft?: string;
  readonly evictionSoftGracePeriod?: string;
  readonly evictionMinimumReclaim?: string;
  /** Milliseconds. */
  readonly evictionPressureTransitionPeriod?: number;
  /** Seconds. */
  readonly evictionMaxPodGracePeriod?: number;
  readonly imageGcHighThreshold?: number;
  readonly imageGcLowThreshold?: number;
  /** Milliseconds. */
  readonly minimumImageTtlDuration?: number;
  /** MiB. */
  readonly goneLogsSize?: number;
  readonly staticPods?: string;
  /** Milliseconds. */
  readonly shutdownGracePeriod?: number;
  readonly shutdownGracePeriodCriticalPods?: number;
  readonly shutdownGracePeriodByPodPriority?: string;
}

export function nodeFlags(command: Command): Command {
  return command
    .option('--max-pods <n>', 'pods the node takes', whole)
    .option('--pod-max-pids <n>', 'processes and threads a pod may have', whole)
    .option('--system-reserved <list>', 'kept back from pods: cpu=500m,memory=1Gi,ephemeral-storage=5Gi')
    .option('--kube-reserved <list>', 'kept back as well, for the cluster itself')
    .option(
      '--eviction-hard <list>',
      'when pods go at once; "" for never (default: memory.available<100Mi, 5 % of disks and inodes)',
    )
    .option('--eviction-soft <list>', 'when pods go after a grace period')
    .option('--eviction-soft-grace-period <list>', 'which: memory.available=1m30s')
    .option('--eviction-minimum-reclaim <list>', 'what is freed beyond a threshold: nodefs.available=500Mi')
    .option('--eviction-pressure-transition-period <d>', 'how long a pressure is told of (default: 5m)', duration)
    .option('--eviction-max-pod-grace-period <s>', 'grace of pods that go at a soft threshold', whole)
    .option('--image-gc-high-threshold <percent>', 'disk use at which unused images go; 100: never', percent)
    .option('--image-gc-low-threshold <percent>', 'and to which', percent)
    .option('--minimum-image-ttl-duration <d>', 'images used more recently stay (default: 2m)', duration)
    .option('--gone-logs-size <MiB>', 'kept of the logs of pods that are gone (default: 100)', whole)
    .option('--static-pods <dir>', 'manifests of pods that run here whatever the API says')
    .option('--shutdown-grace-period <d>', 'on SIGTERM, end pods in order within this time: 30s', duration)
    .option('--shutdown-grace-period-critical-pods <d>', 'the last part of it, for critical pods', duration)
    .option('--shutdown-grace-period-by-pod-priority <list>', 'instead of both: 0=60s,1000000=30s');
}

function whole(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('a whole number is expected.');
  return Number(text);
}

function percent(text: string): number {
  const value = whole(text);
  if (value > 100) throw new InvalidArgumentError('a percentage is at most 100.');
  return value;
}

const UNITS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

/** A duration as Go writes it, in milliseconds; a bare number is seconds. */
export function duration(text: string): number {
  if (/^\d+$/.test(text)) return Number(text) * 1_000;
  if (!/^(\d+(\.\d+)?(ms|h|m|s))+$/.test(text)) throw new InvalidArgumentError('a duration such as 1m30s is expected.');
  let sum = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g)) sum += Number(amount) * UNITS[unit!]!;
  return sum;
}
