import { badRequest, expired, timestamp } from '@trimtab/machinery';
import { CompactedError, type Snapshot, type Store } from '@trimtab/store';

/** A place in the past, as people and programs name it. */
export type Instant = { readonly revision: number } | { readonly time: number };

/** A moment that the store still has. */
export interface PastMoment {
  readonly revision: number;
  /** Unix milliseconds: the time asked for, or that of the revision where it is known. */
  readonly time?: number;
}

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const RFC3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)$/;
/** By how much the clocks of client and server may differ. */
const SKEW = 2_000;

/**
 * Reads a revision (`48213`), a time (`2026-11-21T10:32:00Z`) or a time ago (`5m`, `1h30m`, `2d`). Refuses everything else with
 * 400: a time of day alone says neither zone nor date, which only the asker knows.
 */
export function parseInstant(text: string, now: number): Instant {
  if (/^[1-9]\d*$/.test(text) && Number.isSafeInteger(Number(text))) return { revision: Number(text) };
  if (/^(\d+[smhd])+$/.test(text)) {
    const parts = [...text.matchAll(/(\d+)([smhd])/g)];
    return { time: now - parts.reduce((sum, [, count, unit]) => sum + Number(count) * UNITS[unit!]!, 0) };
  }
  const time = RFC3339.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time))
    throw badRequest(
      `${JSON.stringify(text)} is no place in the past: a revision (48213), a time (2026-11-21T10:32:00Z) or a time ago (5m, 1h30m) is`,
    );
  if (time > now + SKEW) throw badRequest(`${text} is in the future; it is ${timestamp(now)} here`);
  return { time };
}

/** The newest revision that was there at the instant. Throws 410 Expired, in words, where that is no longer kept. */
export function momentOf(store: Store, instant: Instant): PastMoment {
  if ('revision' in instant) {
    const time = store.timeOf(instant.revision);
    return { revision: instant.revision, ...(time === undefined ? {} : { time }) };
  }
  const revision = store.revisionAt(instant.time);
  if (revision === undefined) throw gone(store, `the state of ${timestamp(instant.time)}`);
  return { revision, time: instant.time };
}

/** The state at a moment; 410 Expired in words where it is no longer kept. The revision must be there already. */
export function snapshotAt(store: Store, { revision }: PastMoment): Snapshot {
  try {
    return store.snapshot(revision);
  } catch (error) {
    if (error instanceof CompactedError) throw gone(store, `revision ${revision}`);
    throw error;
  }
}

function gone({ oldest, revision }: Store, what: string) {
  const first = oldest ? `revision ${oldest.revision} of ${timestamp(oldest.time)}` : `the present one, ${revision}`;
  return expired(`${what} is no longer kept; the oldest state that is: ${first}`);
}
