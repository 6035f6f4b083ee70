import type { Container } from '@trimtab/machinery';
import type { RestartPolicy } from '../pod/api.js';

/** How long a failing container waits. Units are milliseconds. */
export interface BackOff {
  readonly initialMs: number;
  readonly maxMs: number;
  /** A container that ran this long starts over with an immediate restart (KEP-4603: 10 minutes). */
  readonly resetAfterMs: number;
}

/** Ours: the first restart at once (200 ms from crash to running is owed, which leaves none to wait), then 1 s doubling to 60 s. */
export const DEFAULT_RESTART_BACK_OFF: BackOff = { initialMs: 1_000, maxMs: 60_000, resetAfterMs: 600_000 };
/** The curve Kubernetes ships: 10 s doubling to 5 minutes. */
export const KUBERNETES_BACK_OFF: BackOff = { initialMs: 10_000, maxMs: 300_000, resetAfterMs: 600_000 };

const CURVE = /^(\d+(?:\.\d+)?)s\.\.(\d+(?:\.\d+)?)s$/;

/** `fast` (ours), `kubernetes`, or `FIRSTs..LASTs`; undefined for anything else. The first restart is at once in any case. */
export function parseBackOff(text: string): BackOff | undefined {
  if (text === 'fast') return DEFAULT_RESTART_BACK_OFF;
  if (text === 'kubernetes') return KUBERNETES_BACK_OFF;
  const match = CURVE.exec(text);
  if (!match) return undefined;
  const [initialMs, maxMs] = [Number(match[1]) * 1_000, Number(match[2]) * 1_000] as const;
  if (initialMs <= 0 || maxMs < initialMs) return undefined;
  return { initialMs, maxMs, resetAfterMs: DEFAULT_RESTART_BACK_OFF.resetAfterMs };
}

export type ContainerKind = 'init' | 'sidecar' | 'main' | 'ephemeral';

/** `undefined` is a container that has not failed lately; 0 means one immediate restart has been used. */
export type BackOffDelay = number | undefined;

/** The delay before the next start, given the delay before the last one and how long it ran. */
export function nextDelay(backOff: BackOff, last: BackOffDelay, ranMs: number): number {
  if (last === undefined || ranMs >= backOff.resetAfterMs) return 0;
  return last === 0 ? backOff.initialMs : Math.min(last * 2, backOff.maxMs);
}

/** Whether an exited container is started again (pod restart policy, sidecars, KEP-5307 rules). */
export function shouldRestart(
  kind: ContainerKind,
  podPolicy: RestartPolicy,
  container: Pick<Container, 'restartPolicy' | 'restartPolicyRules'>,
  exitCode: number,
): boolean {
  if (kind === 'ephemeral') return false;
  const action = ruleAction(container, exitCode);
  // With its pod, then, and not by itself.
  if (action === 'RestartAllContainers') return false;
  if (kind === 'sidecar' || action === 'Restart') return true;
  const policy = container.restartPolicy ?? podPolicy;
  if (policy === 'Never') return false;
  if (kind === 'init' || policy === 'OnFailure') return exitCode !== 0;
  return true;
}

/** What the first rule that speaks of the exit code asks for (KEP-5307, KEP-5532). */
export function ruleAction(container: Pick<Container, 'restartPolicyRules'>, exitCode: number): string | undefined {
  return container.restartPolicyRules?.find(({ exitCodes }) => {
    const listed = exitCodes?.values?.includes(exitCode) ?? false;
    return listed === (exitCodes?.operator === 'In');
  })?.action;
}

/** A duration as Go prints it, which is how Kubernetes' messages read: `10s`, `1m20s`, `5m0s`. */
export function goDuration(ms: number): string {
  if (ms < 1_000) return ms === 0 ? '0s' : `${ms}ms`;
  const seconds = ms / 1_000;
  const h = Math.floor(seconds / 3600);
  const m = Math.floor((seconds % 3600) / 60);
  const s = Number((seconds % 60).toFixed(3));
  return `${h ? `${h}h` : ''}${h || m ? `${m}m` : ''}${s}s`;
}
