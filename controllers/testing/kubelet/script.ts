import type { Pod } from '@trimtab/machinery';
import { type Duration, milliseconds } from '../world/duration.js';

/** What becomes of a pod. Times are virtual and counted from the step before. */
export interface PodScript {
  /** From being bound to its containers running; default 1 s. */
  readonly startAfter?: Duration;
  /** From running to ready; default at once, `never` for one that stays unready. */
  readonly readyAfter?: Duration | 'never';
  /** Its containers end by themselves, this long after they started, each time they do. */
  readonly exit?: { readonly after: Duration; readonly code: number };
  /** Its containers never start: the reason they wait for, such as `ImagePullBackOff`. */
  readonly waits?: string;
  /** From being deleted to gone; default 0, at most its grace. */
  readonly stopAfter?: Duration;
  /** The node it is bound to; default one of the kubelet's by chance. */
  readonly node?: string;
}

/** Says what becomes of a pod; `restarts` counts how often its containers have run before. */
export type ScriptFor = (pod: Pod, restarts: number) => PodScript | undefined;

export interface KubeletScript {
  readonly pods?: PodScript | ScriptFor;
  /** Names of its nodes; default `node-1` to `node-3`. */
  readonly nodes?: readonly string[];
  /** False: pods are bound by somebody else. */
  readonly binds?: boolean;
}

/** Runs for good, ready at once. */
export const running = (startAfter: Duration = '1s'): PodScript => ({ startAfter });
/** Runs, and is never ready. */
export const hang = (): PodScript => ({ readyAfter: 'never' });
/** Ends well after that long. */
export const succeed = (after: Duration = '1s'): PodScript => ({ exit: { after, code: 0 } });
/** Ends badly after that long, each time. */
export const crash = (after: Duration = '1s', code = 1): PodScript => ({ exit: { after, code } });

/** What the kubelet remembers of a pod. */
export interface PodLife {
  readonly boundAt: number;
  readonly startedAt?: number;
  readonly restarts: number;
  readonly exitedAt?: number;
  readonly exitCode?: number;
}

/** The first wait before a container that ended is started again; doubles up to {@link LONGEST_BACKOFF}. */
const BACKOFF = 10_000;
const LONGEST_BACKOFF = 300_000;

/** How a pod's life goes on, and in how many milliseconds it must be looked at again. Pure. */
export function liveOn(
  pod: Pod,
  life: PodLife,
  script: PodScript,
  now: number,
): { readonly life: PodLife; readonly wakeIn: number | undefined } {
  const { startAfter = '1s', readyAfter = 0, exit, waits } = script;
  if (waits !== undefined || (life.exitedAt !== undefined && !willRestart(pod, life.exitCode!)))
    return { life, wakeIn: undefined };
  if (life.exitedAt !== undefined) {
    const wakeIn = life.exitedAt + Math.min(BACKOFF * 2 ** life.restarts, LONGEST_BACKOFF) - now;
    if (wakeIn > 0) return { life, wakeIn };
    return liveOn(pod, { boundAt: life.boundAt, startedAt: now, restarts: life.restarts + 1 }, script, now);
  }
  if (life.startedAt === undefined) {
    const wakeIn = life.boundAt + milliseconds(startAfter) - now;
    if (wakeIn > 0) return { life, wakeIn };
    return liveOn(pod, { ...life, startedAt: now }, script, now);
  }
  const ready = readyAfter === 'never' ? undefined : life.startedAt + milliseconds(readyAfter) - now;
  const ends = exit && life.startedAt + milliseconds(exit.after) - now;
  if (ends !== undefined && ends <= 0) {
    const ended: PodLife = { ...life, exitedAt: now, exitCode: exit!.code };
    return willRestart(pod, exit!.code) ? liveOn(pod, ended, script, now) : { life: ended, wakeIn: undefined };
  }
  const waitsFor = [ready, ends].filter((ms): ms is number => ms !== undefined && ms > 0);
  return { life, wakeIn: waitsFor.length > 0 ? Math.min(...waitsFor) : undefined };
}

export function willRestart(pod: Pod, exitCode: number): boolean {
  const policy = pod.spec?.restartPolicy ?? 'Always';
  return policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0);
}

export function isReadyAt(life: PodLife, { readyAfter = 0 }: PodScript, now: number): boolean {
  if (life.startedAt === undefined || life.exitedAt !== undefined || readyAfter === 'never') return false;
  return now >= life.startedAt + milliseconds(readyAfter);
}
