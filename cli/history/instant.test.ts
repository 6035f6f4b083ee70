import { instantText } from './instant.js';

/** Noon of a day in this machine's zone. */
const now = new Date(2026, 10, 21, 12, 0, 0).getTime();
const local = (day: number, hours: number, minutes: number, seconds = 0): string =>
  new Date(2026, 10, day, hours, minutes, seconds).toISOString();

test('a time of day is the last one there was, in this machine’s zone', () => {
  expect(instantText('10:32', now)).toBe(local(21, 10, 32));
  expect(instantText('9:05:07', now)).toBe(local(21, 9, 5, 7));
  expect(instantText('12:00', now)).toBe(local(21, 12, 0));
  expect(instantText('12:01', now)).toBe(local(20, 12, 1));
  expect(instantText('2026-11-20 10:32', now)).toBe(local(20, 10, 32));
  expect(instantText('2026-11-20', now)).toBe(local(20, 0, 0));
});

test('what else there is, no times of day among it, is for the server to judge', () => {
  for (const text of [
    '5m',
    '48213',
    '2026-11-21T10:32:00Z',
    '99:99',
    '24:00',
    'yesterday',
    '2026-11-20T25:00',
    '2026-13-40',
  ])
    expect(instantText(text, now)).toBe(text);
});
