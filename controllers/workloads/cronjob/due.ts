import type { CronJob } from '@trimtab/machinery';
import type { Schedule } from './schedule.js';

/** More than this and something is wrong with the clock or the controller. */
const MANY = 100;
const WINDOWS_MS = [1, 24, 31 * 24, 366 * 24, 5 * 366 * 24].map((hours) => hours * 3_600_000);

/** Which run is due (kubernetes: nextScheduleTime, mostRecentScheduleTime). */
export interface Due {
  /** Of the runs missed since the last one, only the latest is made up for. */
  readonly at: number | undefined;
  readonly tooMany: boolean;
  /** When to look again. */
  readonly nextAt: number | undefined;
}

export function dueOf(cronJob: CronJob, schedule: Schedule, now: number): Due {
  const { lastScheduleTime } = cronJob.status ?? {};
  const { startingDeadlineSeconds } = cronJob.spec;
  const since = Date.parse(lastScheduleTime ?? cronJob.metadata.creationTimestamp ?? '') || now;
  const reach = startingDeadlineSeconds === undefined ? since : now - startingDeadlineSeconds * 1000;
  const from = Math.max(since, reach);
  const first = schedule.next(from);
  const nextAt = schedule.next(now);
  if (first === undefined || first > now) return { at: undefined, tooMany: false, nextAt };
  return { at: latest(schedule, first, now), tooMany: countUpTo(schedule, first, now, MANY) > MANY, nextAt };
}

/** The last time not after `now`; `first` is one. */
function latest(schedule: Schedule, first: number, now: number): number {
  for (const window of WINDOWS_MS) {
    const start = Math.max(first, now - window);
    let at = start === first ? first : schedule.next(start);
    if (at === undefined || at > now) continue;
    for (let next = schedule.next(at); next !== undefined && next <= now; next = schedule.next(at)) at = next;
    return at;
  }
  return first;
}

function countUpTo(schedule: Schedule, first: number, now: number, limit: number): number {
  let count = 0;
  for (let at: number | undefined = first; at !== undefined && at <= now && count <= limit; at = schedule.next(at))
    count++;
  return count;
}
