import type { Informers } from '@trimtab/client';
import type { ControllerRunner } from './runner.js';

/** Bookmarks come every minute; a watch that has heard nothing for so long is not one any more. */
export const FRESH_WITHIN_MS = 90_000;

export interface Health {
  /** Every cache has its first list and has been heard of lately: what is decided is decided on news. */
  readonly ready: boolean;
  /** Work gets done: no key waits or is worked on for ever. */
  readonly alive: boolean;
  /** What is wrong, one line each. */
  readonly reasons: readonly string[];
  /** Milliseconds of the longest silence; Infinity before the first answer. */
  readonly stalenessMs: number;
}

/** Health as freshness: not whether a socket is open, but how old what we know is. */
export function healthOf(
  informers: Informers,
  runners: readonly ControllerRunner[],
  limits: { readonly freshWithinMs?: number; readonly stuckAfterMs?: number } = {},
): Health {
  const { freshWithinMs = FRESH_WITHIN_MS, stuckAfterMs = 600_000 } = limits;
  const stale = informers.all().flatMap((informer) => {
    const { resource } = informer.type;
    const ms = informer.staleness();
    if (informer.hasSynced() && ms <= freshWithinMs) return [];
    const { lastError } = informer.stats;
    const why = lastError ? `: ${lastError.message}` : '';
    return [
      informer.hasSynced()
        ? `${resource}: nothing heard for ${Math.round(ms / 1000)} s${why}`
        : `${resource}: not listed yet${why}`,
    ];
  });
  const stuck = runners
    .filter((runner) => runner.queue.oldestWaitMs > stuckAfterMs)
    .map(({ definition, queue }) => `${definition.name}: a key has waited ${Math.round(queue.oldestWaitMs / 1000)} s`);
  return {
    ready: stale.length === 0,
    alive: stuck.length === 0,
    reasons: [...stale, ...stuck],
    stalenessMs: informers.staleness(),
  };
}
