/** The canonical text of scalars that Kubernetes reads into something else and writes back. */

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)$/;

/**
 * An RFC 3339 time in UTC with exactly `digits` fractional digits (0 for `Time`, 6 for `MicroTime`); further digits are cut.
 * Throws an Error in the words of Go's `time` package for text that is no such time.
 */
export function canonicalTime(text: string, digits: 0 | 6): string {
  if (recentTimes.has(text) && text.length === (digits === 0 ? 20 : 27)) return text;
  const out = readTime(text, digits);
  if (recentTimes.size >= RECENT) recentTimes.clear();
  recentTimes.add(out);
  return out;
}

/** Objects repeat the same few instants, so what was found canonical a moment ago is not read again. */
const RECENT = 4096;
const recentTimes = new Set<string>();

function readTime(text: string, digits: 0 | 6): string {
  const m = RFC3339.exec(text);
  const layout = digits === 0 ? '2006-01-02T15:04:05Z07:00' : '2006-01-02T15:04:05.000000Z07:00';
  if (!m)
    throw new Error(
      `parsing time ${JSON.stringify(text)} as "${layout}": cannot parse ${JSON.stringify(text)} as "2006"`,
    );
  const [, year, month, day, hour, minute, second, fraction = '', zone] = m;
  const fits =
    Number(month) >= 1 &&
    Number(month) <= 12 &&
    Number(day) >= 1 &&
    Number(day) <= daysIn(Number(year), Number(month)) &&
    Number(hour) < 24 &&
    Number(minute) < 60 &&
    Number(second) < 60;
  if (!fits) throw new Error(`parsing time ${JSON.stringify(text)}: day, month or time of day out of range`);
  const tail = digits === 0 ? '' : `.${fraction.slice(0, 6).padEnd(6, '0')}`;
  if (zone === 'Z') return `${text.slice(0, 19)}${tail}Z`;
  const utc = new Date(Date.parse(`${text.slice(0, 19)}${zone}`)).toISOString();
  return `${utc.slice(0, 19)}${tail}Z`;
}

function daysIn(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const isBase64 = (text: string): boolean => text.length % 4 === 0 && BASE64.test(text);

/** Standard base64 with padding and without line breaks; throws an Error in the words of Go's `base64` package otherwise. */
export function canonicalBase64(text: string): string {
  if (isBase64(text)) return text;
  const joined = text.replaceAll(/[\r\n]/g, '');
  if (isBase64(joined)) return joined;
  const wrong = text.search(/[^A-Za-z0-9+/\r\n]/);
  throw new Error(`illegal base64 data at input byte ${wrong < 0 ? Math.floor(text.length / 4) * 4 : wrong}`);
}
