import { CelDuration, CelError, CelTimestamp } from './values.js';

const NANO = 1_000_000_000n;
const MIN = -62135596800n * NANO;
const MAX = 253402300800n * NANO;
const MAX_INT64 = 2n ** 63n - 1n;

export function timestampOf(nano: bigint): CelTimestamp {
  if (nano < MIN || nano >= MAX) throw new CelError('timestamp overflow');
  return new CelTimestamp(nano);
}

export function durationOf(nano: bigint): CelDuration {
  if (nano > MAX_INT64 || nano < -MAX_INT64 - 1n) throw new CelError('duration overflow');
  return new CelDuration(nano);
}

const RFC3339 = /^(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)$/;

/** An RFC 3339 time to the nanosecond; undefined for anything else. */
export function parseTimestamp(text: string): CelTimestamp | undefined {
  const match = RFC3339.exec(text);
  if (!match) return undefined;
  const [, day, time, fraction = '', zone] = match;
  const millis = Date.parse(`${day}T${time}${zone!.toUpperCase()}`);
  if (Number.isNaN(millis) || !isDay(day!)) return undefined;
  return timestampOf(BigInt(millis) * 1_000_000n + BigInt(fraction.padEnd(9, '0')));
}

/** `2024-02-29`, at its first moment in UTC. */
export function parseDate(text: string): CelTimestamp | undefined {
  if (!/^\d{4}-\d\d-\d\d$/.test(text) || !isDay(text)) return undefined;
  return timestampOf(BigInt(Date.parse(`${text}T00:00:00Z`)) * 1_000_000n);
}

/** `Date.parse` takes the 31st of June for the 1st of July. */
function isDay(text: string): boolean {
  const millis = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(millis) && new Date(millis).toISOString().startsWith(text);
}

export function formatTimestamp({ nano }: CelTimestamp): string {
  const seconds = nano >= 0n ? nano / NANO : (nano - NANO + 1n) / NANO;
  const rest = nano - seconds * NANO;
  const fraction = rest === 0n ? '' : `.${rest.toString().padStart(9, '0').replace(/0+$/, '')}`;
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}${fraction}Z`;
}

const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1000n,
  µs: 1000n,
  μs: 1000n,
  ms: 1_000_000n,
  s: NANO,
  m: 60n * NANO,
  h: 3600n * NANO,
};

/** A duration as Go writes them (`1h30m`, `-1.5s`, `0`); undefined for anything else. */
export function parseDuration(text: string): CelDuration | undefined {
  const match = /^([+-]?)(?:0|((?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+))$/.exec(text);
  if (!match) return undefined;
  let total = 0n;
  for (const [, whole = '', fraction = '', unit] of (match[2] ?? '').matchAll(
    /(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/g,
  )) {
    const scale = UNITS[unit!]!;
    total += BigInt(whole || '0') * scale;
    if (fraction !== '') total += (BigInt(fraction) * scale) / 10n ** BigInt(fraction.length);
  }
  if (total > MAX_INT64) return undefined;
  return new CelDuration(match[1] === '-' ? -total : total);
}

/** Seconds with as many decimals as it takes: `5400s`, `1.5s`. */
export function formatDuration({ nano }: CelDuration): string {
  const size = nano < 0n ? -nano : nano;
  const rest = size % NANO;
  const fraction = rest === 0n ? '' : `.${rest.toString().padStart(9, '0').replace(/0+$/, '')}`;
  return `${nano < 0n ? '-' : ''}${size / NANO}${fraction}s`;
}

export type CalendarField = 'year' | 'month' | 'date' | 'weekday' | 'hour' | 'minute' | 'second' | 'milli' | 'yearday';

/** One field of an instant in a time zone: `UTC`, `Europe/Berlin`, `-08:00`. Months and days of a year count from 0. */
export function calendar({ nano }: CelTimestamp, field: CalendarField, zone = 'UTC'): bigint {
  const millis = Number((nano >= 0n ? nano : nano - 999_999n) / 1_000_000n);
  const date = new Date(millis + offsetOf(zone, millis));
  switch (field) {
    case 'year':
      return BigInt(date.getUTCFullYear());
    case 'month':
      return BigInt(date.getUTCMonth());
    case 'date':
      return BigInt(date.getUTCDate());
    case 'weekday':
      return BigInt(date.getUTCDay());
    case 'hour':
      return BigInt(date.getUTCHours());
    case 'minute':
      return BigInt(date.getUTCMinutes());
    case 'second':
      return BigInt(date.getUTCSeconds());
    case 'milli':
      return BigInt(date.getUTCMilliseconds());
    case 'yearday':
      return BigInt(
        Math.floor(
          (Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()) -
            Date.UTC(date.getUTCFullYear(), 0, 1)) /
            86_400_000,
        ),
      );
  }
}

function offsetOf(zone: string, millis: number): number {
  if (zone === 'UTC' || zone === '') return 0;
  const fixed = /^([+-]?)(\d\d):(\d\d)$/.exec(zone);
  if (fixed) return (fixed[1] === '-' ? -1 : 1) * (Number(fixed[2]) * 60 + Number(fixed[3])) * 60_000;
  try {
    const parts = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    }).formatToParts(millis);
    const of = (type: string) => Number(parts.find((part) => part.type === type)?.value);
    const local = Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute'), of('second'));
    return local - Math.floor(millis / 1000) * 1000;
  } catch {
    throw new CelError(`unknown time zone ${zone}`);
  }
}
