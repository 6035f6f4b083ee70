import { mountFailures } from '../volumes/volume-manager.js';
import type { Pod } from './api.js';
import { type PodContextDeps, podSubject } from './pod-context.js';

/** One event for each volume that could not be set up. */
export function tellMountFailures({ recorder }: Pick<PodContextDeps, 'recorder'>, pod: Pod, error: unknown): void {
  for (const message of mountFailures(error)) recorder.event(podSubject(pod), 'Warning', 'FailedMount', message);
}

/** What could not be done with a pod's sandbox, in the log and as an event. */
export function tellFailure(
  { recorder, logger }: PodContextDeps,
  pod: Pod,
  reason: string,
  what: string,
  error: unknown,
): void {
  const why = error instanceof Error ? error.message : String(error);
  logger.warn({ reason }, `${what}: ${why}`);
  recorder.event(podSubject(pod), 'Warning', reason, `${what}: ${why}`);
}
