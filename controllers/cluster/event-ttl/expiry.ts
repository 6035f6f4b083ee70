import type { Event } from '@trimtab/machinery';

/** When an event was last seen, in milliseconds since the epoch. */
export function lastSeen({ metadata, ...event }: Event): number {
  const { series, lastTimestamp, deprecatedLastTimestamp, eventTime } = event as Event & {
    readonly deprecatedLastTimestamp?: string;
  };
  const times = [
    series?.lastObservedTime,
    lastTimestamp,
    deprecatedLastTimestamp,
    eventTime,
    metadata.creationTimestamp,
  ];
  return Math.max(...times.map((time) => Date.parse(time ?? '') || 0));
}

/** What becomes of a page of events. */
export interface Sweep {
  readonly expired: readonly Event[];
  /** When the first of the others will have expired; infinite when there are none. */
  readonly nextAt: number;
}

export function sweep(events: readonly Event[], now: number, ttlMs: number): Sweep {
  const expired: Event[] = [];
  let nextAt = Number.POSITIVE_INFINITY;
  for (const event of events) {
    const at = lastSeen(event) + ttlMs;
    if (at <= now) expired.push(event);
    else nextAt = Math.min(nextAt, at);
  }
  return { expired, nextAt };
}
