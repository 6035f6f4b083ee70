import type { Lease } from '@trimtab/machinery';
import { microTimestamp } from '@trimtab/machinery';

/** client-go's and controller-runtime's defaults: every leader election is set so. */
export const LEASE_TIMES: LeaseTimes = { durationMs: 15_000, renewMs: 10_000, retryMs: 2_000 };

export interface LeaseTimes {
  /** A lease that has not changed for so long is free. */
  readonly durationMs: number;
  /** A holder that could not renew for so long gives up, and so before anybody else may begin. */
  readonly renewMs: number;
  /** Between two attempts. */
  readonly retryMs: number;
}

/** What an elector has seen of its lease; times are its own clock's, so that clocks need not agree. */
export interface LeaseSight {
  /** Of the last change seen: holder, renewal, transitions. */
  readonly record: string;
  readonly at: number;
}

/** What to do about a lease that was just read. */
export type LeaseMove =
  | { readonly type: 'create' | 'update'; readonly lease: Lease }
  | { readonly type: 'wait'; readonly holder: string };

/** Pure: who sees a lease unchanged for its whole duration, by its own clock, may take it. */
export function leaseMove(
  lease: Lease | undefined,
  sight: LeaseSight | undefined,
  around: { readonly identity: string; readonly now: number; readonly times: LeaseTimes; readonly release?: boolean },
): LeaseMove {
  const { identity, now, times, release } = around;
  const holder = lease?.spec?.holderIdentity ?? '';
  const time = microTimestamp(now);
  if (lease && holder && holder !== identity && sight?.record === recordOf(lease)) {
    const free = sight.at + (lease.spec?.leaseDurationSeconds ?? times.durationMs / 1000) * 1000;
    if (now < free) return { type: 'wait', holder };
  } else if (lease && holder && holder !== identity) return { type: 'wait', holder };
  const transitions = (lease?.spec?.leaseTransitions ?? 0) + (lease && holder !== identity ? 1 : 0);
  const { holderIdentity: _, ...kept } = lease?.spec ?? {};
  const spec = {
    ...kept,
    // Nobody is no name: an empty one is refused (kubernetes: ValidateLeaseSpec).
    ...(release ? {} : { holderIdentity: identity }),
    leaseDurationSeconds: release ? 1 : Math.ceil(times.durationMs / 1000),
    acquireTime: holder === identity && lease?.spec?.acquireTime ? lease.spec.acquireTime : time,
    renewTime: time,
    leaseTransitions: transitions,
  };
  return { type: lease ? 'update' : 'create', lease: { metadata: {}, ...lease, spec } };
}

export const recordOf = ({ spec }: Lease): string =>
  [spec?.holderIdentity, spec?.renewTime, spec?.leaseTransitions, spec?.leaseDurationSeconds].join('|');
