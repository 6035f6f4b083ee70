import { type LocalTime, localTime } from './local-time.js';

/**
 * When a CronJob is due: five fields with names, ranges, lists and steps, `@hourly` and the like, `@every 90s`
 * (kubernetes: robfig/cron, ParseStandard). Times are milliseconds since the epoch.
 */
export interface Schedule {
  /** The first time after `ms`; undefined when there is none within five years. */
  next(ms: number): number | undefined;
}

const MINUTE_MS = 60_000;
const HORIZON_MS = 5 * 366 * 24 * 60 * MINUTE_MS;

const SHORTHANDS: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

interface Field {
  readonly values: ReadonlySet<number>;
  /** Says nothing: of the two day fields, the other one decides. */
  readonly open: boolean;
}

/** Throws an Error that says what is wrong with the schedule or the time zone. */
export function parseSchedule(text: string, timeZone: string | undefined): Schedule {
  const every = /^@every ((?:\d+(?:\.\d+)?(?:ms|h|m|s))+)$/.exec(text);
  if (every) return everySchedule(durationMs(every[1]!));
  const parts = (SHORTHANDS[text] ?? text).trim().split(/\s+/);
  if (text.startsWith('@') && !SHORTHANDS[text]) throw new Error(`unrecognized descriptor: ${text}`);
  if (parts.length !== 5) throw new Error(`expected exactly 5 fields, found ${parts.length}: ${text}`);
  const [minute, hour, day, month, weekday] = [
    parseField(parts[0]!, 0, 59),
    parseField(parts[1]!, 0, 23),
    parseField(parts[2]!, 1, 31),
    parseField(parts[3]!, 1, 12, MONTHS),
    parseField(parts[4]!, 0, 6, DAYS),
  ] as const;
  const localOf = localTime(timeZone);
  const isDay = (time: LocalTime) => {
    const [a, b] = [day.values.has(time.day), weekday.values.has(time.weekday)];
    return month.values.has(time.month) && (day.open || weekday.open ? a && b : a || b);
  };
  return {
    next(ms) {
      let at = (Math.floor(ms / MINUTE_MS) + 1) * MINUTE_MS;
      const end = at + HORIZON_MS;
      while (at < end) {
        const local = localOf(at);
        if (!isDay(local)) at = nextDay(at, local, localOf);
        else if (!hour.values.has(local.hour)) at += (60 - local.minute) * MINUTE_MS;
        else if (!minute.values.has(local.minute)) at += MINUTE_MS;
        else return at;
      }
      return undefined;
    },
  };
}

/** The start of the next local day, which may be 23 or 25 hours from the last, and may begin at one o'clock. */
function nextDay(at: number, { hour, minute }: LocalTime, localOf: (ms: number) => LocalTime): number {
  const next = at + (24 * 60 - hour * 60 - minute) * MINUTE_MS;
  const reached = localOf(next);
  if (reached.hour >= 12 || reached.hour * 60 + reached.minute === 0) return next;
  const start = next - (reached.hour * 60 + reached.minute) * MINUTE_MS;
  return localOf(start).day === reached.day ? start : next;
}

function everySchedule(ms: number): Schedule {
  const delay = Math.max(1_000, Math.floor(ms / 1_000) * 1_000);
  return { next: (from) => Math.floor(from / 1_000) * 1_000 + delay };
}

function durationMs(text: string): number {
  const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: MINUTE_MS, h: 60 * MINUTE_MS };
  let sum = 0;
  for (const [, count, unit] of text.matchAll(/([\d.]+)(ms|h|m|s)/g)) sum += Number(count) * units[unit!]!;
  return sum;
}

function parseField(text: string, min: number, max: number, words: readonly string[] = []): Field {
  const values = new Set<number>();
  let open = false;
  const numberOf = (word: string): number => {
    const at = words.indexOf(word.toLowerCase());
    const number = at >= 0 ? at + min : /^\d+$/.test(word) ? Number(word) : Number.NaN;
    if (!(number >= min && number <= max)) throw new Error(`${word || 'nothing'} is not between ${min} and ${max}`);
    return number;
  };
  for (const item of text.split(',')) {
    const [range = '', stepText] = item.split('/');
    const step = stepText === undefined ? 1 : Number(stepText);
    if (!Number.isInteger(step) || step < 1) throw new Error(`step must be a positive number: ${item}`);
    const [from = '', to] = range.split('-');
    const all = range === '*' || range === '?';
    if (all && step === 1) open = true;
    const first = all ? min : numberOf(from);
    const last = all || (to === undefined && stepText !== undefined) ? max : to === undefined ? first : numberOf(to);
    for (let value = first; value <= last; value += step) values.add(value);
  }
  return { values, open };
}
