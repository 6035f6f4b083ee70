/**
 * A place in the past as people type it, as the server reads it. A time of day (`10:32`, `10:32:07`) is the last one there was,
 * and a time without a zone is of this machine's; everything else the server judges. Pure but for the machine's zone.
 */
export function instantText(text: string, now: number): string {
  const day = /^(\d{1,2}):(\d\d)(?::(\d\d))?$/.exec(text);
  if (day) {
    const [, hours, minutes, seconds = '0'] = day;
    const date = new Date(now);
    date.setHours(Number(hours), Number(minutes), Number(seconds), 0);
    if (date.getTime() > now) date.setDate(date.getDate() - 1);
    return date.toISOString();
  }
  const local = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(:\d\d)?)$/.exec(text);
  return local ? new Date(`${local[1]}T${local[2]}`).toISOString() : text;
}
