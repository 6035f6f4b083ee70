import type { RequestInfo } from '../http/request-info.js';

const objectsPerSeat = 100;
const maxSeats = 10;

/**
 * Seats a request takes: one, and for a list one for every hundred objects it may have to look at, up to ten (kubernetes:
 * pkg/util/flowcontrol/request/list_work_estimator.go). `count` gives how many objects there are of a resource.
 */
export function seatsFor(info: RequestInfo, count: (resource: NonNullable<RequestInfo['resource']>) => number): number {
  if (info.verb !== 'list' || !info.resource || info.resource.name !== '') return 1;
  const limit = Number(info.query.get('limit') ?? 0);
  const there = count(info.resource);
  const selects = info.query.has('labelSelector') || info.query.has('fieldSelector');
  const looked = limit > 0 && !selects ? Math.min(limit, there) : there;
  return Math.min(maxSeats, Math.max(1, Math.ceil(looked / objectsPerSeat)));
}
