/**
 * A place in the past as people type it, as the server reads it. A time of day (`10:32`, `10:32:07`) is the last one there was,
 * and a time without a zone is of this machine's, a date alone its
 * beginning; everything else the server judges. Pure but for the machine's zone.
 */
export function instantText(text: string, now: number): string {
  const day = /^([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?$/.exec(text);
  if (day) {
    const [, hours, minutes, seconds = '0'] = day;
    const date = new Date(now);
    date.setHours(Number(hours), Number(minutes), Number(seconds), 0);
    if (date.getTime() > now) date.setDate(date.getDate() - 1);
    return date.toISOString();
  }
  const local = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?))?$/.exec(text);
  const date = local && new Date(`${local[1]}T${local[2] ?? '00:00'}`);
  return date && !Number.isNaN(date.getTime()) ? date.toISOString() : text;
}
