import { timestamp } from '@trimtab/machinery';
import { attemptOf, terminatedState } from '../../container/exit.js';
import type { ContainerStatus } from '../../runtime/runtime.js';
import type { MemoryReading } from '../../stats/cgroup-readings.js';
import type { ProbeAnswer } from '../probe-memory.js';
import type { OomKill } from './kernel-log.js';

/** What a node remembers of one end of one container; JSON on disk and over `/trimtab/exits`. Times are RFC 3339. */
export interface ExitRecord {
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string;
  readonly container: string;
  readonly attempt: number;
  readonly image: string;
  /** As in the container's status: `OOMKilled`, `Error`, `Completed`. */
  readonly reason: string;
  readonly exitCode: number;
  /** By its name, where a signal ended the container's first process. */
  readonly signal?: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  /** Bytes, file cache included. */
  readonly memoryPeak?: number;
  readonly memoryLimit?: number;
  /** Processes that were killed for want of memory. */
  readonly oomKills?: readonly OomVictim[];
  /** Why the kubelet itself ended it: a failed probe, a changed definition, the end of the pod. */
  readonly killedFor?: string;
  /** The last answer to each kind of probe. */
  readonly probes: readonly ProbeRecord[];
  /** The end of what it wrote. */
  readonly log: readonly string[];
}

export interface OomVictim {
  readonly pid: number;
  readonly command: string;
  /** Its anonymous memory. */
  readonly bytes?: number;
  /** The whole pod's limit was met, not the container's own; or the node had none left. */
  readonly limitOf: 'container' | 'pod' | 'node';
}

export interface ProbeRecord {
  readonly kind: string;
  readonly result: string;
  readonly output: string;
  readonly at: string;
}

/** All that is found out about an exit, before it is put into words. */
export interface ExitFacts {
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string;
  readonly status: ContainerStatus;
  readonly image: string;
  readonly memory: MemoryReading | undefined;
  /** The container's own memory limit, in bytes. */
  readonly ownLimit: number | undefined;
  readonly victims: readonly OomKill[];
  readonly cgroup: string;
  readonly killedFor: string | undefined;
  readonly probes: readonly ProbeAnswer[];
  readonly log: readonly string[];
}

/** Pure. */
export function exitRecord(facts: ExitFacts): ExitRecord {
  const { status, memory } = facts;
  const { reason = 'Error', exitCode } = terminatedState(status, '');
  const signal = status.signal ? signalName(status.signal) : undefined;
  const oomKills = facts.victims.map(
    (kill): OomVictim => ({
      pid: kill.pid,
      command: kill.command,
      ...(kill.bytes === undefined ? {} : { bytes: kill.bytes }),
      limitOf: whoseLimit(kill, facts),
    }),
  );
  return {
    namespace: facts.namespace,
    pod: facts.pod,
    uid: facts.uid,
    container: status.name,
    attempt: attemptOf(status),
    image: facts.image,
    reason,
    exitCode,
    ...(signal ? { signal } : {}),
    startedAt: timestamp(status.startedAt),
    finishedAt: timestamp(status.finishedAt ?? status.startedAt),
    ...(memory?.peak === undefined ? {} : { memoryPeak: memory.peak }),
    ...(memory?.limit === undefined ? {} : { memoryLimit: memory.limit }),
    ...(oomKills.length > 0 ? { oomKills } : {}),
    ...(facts.killedFor ? { killedFor: facts.killedFor } : {}),
    probes: facts.probes.map(({ kind, result, output, at }) => ({ kind, result, output, at: timestamp(at) })),
    log: facts.log,
  };
}

function whoseLimit({ limitGroup }: OomKill, { cgroup, memory, ownLimit }: ExitFacts): OomVictim['limitOf'] {
  if (limitGroup === undefined) return 'node';
  if (limitGroup.endsWith(cgroup)) return 'container';
  // The groups of a pod of one container have the same limit, and the outer one is met first.
  return ownLimit !== undefined && memory?.limit !== undefined && ownLimit <= memory.limit ? 'container' : 'pod';
}

/** Linux' numbers on every architecture we run on. */
const SIGNALS =
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS'.split(
    ' ',
  );

export function signalName(signal: number): string {
  const name = SIGNALS[signal - 1];
  if (name) return `SIG${name}`;
  return signal >= 34 && signal <= 64 ? `SIGRTMIN+${signal - 34}` : `signal ${signal}`;
}
