/** Times as tables show them (kubernetes/apimachinery pkg/util/duration). */

const DAY = 24;
const YEAR = 365 * DAY;

/**
 * A span of milliseconds in two or three significant figures: `90s`, `5m30s`, `2h5m`, `36h`, `7d12h`, `2y10d`. Up to two
 * seconds of clock difference count as now; further in the future is `<invalid>`.
 */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.trunc(milliseconds / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes < 10) return pair(minutes, 'm', seconds % 60, 's');
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.trunc(minutes / 60);
  if (hours < 8) return pair(hours, 'h', minutes % 60, 'm');
  if (hours < 2 * DAY) return `${hours}h`;
  const days = Math.trunc(hours / DAY);
  if (hours < 8 * DAY) return pair(days, 'd', hours % DAY, 'h');
  if (hours < 2 * YEAR) return `${days}d`;
  const years = Math.trunc(hours / YEAR);
  if (hours < 8 * YEAR) return pair(years, 'y', days % 365, 'd');
  return `${years}y`;
}

const pair = (large: number, largeUnit: string, small: number, smallUnit: string): string =>
  small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`;

/** How long ago a timestamp was; `<unknown>` when there is none. */
export function sinceText(time: string | null | undefined, now: number): string {
  if (!time) return '<unknown>';
  const at = Date.parse(time);
  return Number.isNaN(at) ? '<invalid>' : humanDuration(now - at);
}

/** The time from one timestamp to another; empty when either is missing. */
export function betweenText(from: string | undefined, to: string | undefined, now: number): string {
  if (!from) return '';
  return humanDuration((to ? Date.parse(to) : now) - Date.parse(from));
}
