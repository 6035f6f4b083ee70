import fc from 'fast-check';
import { unifiedLines } from './diff-lines.js';

/** What a diff makes of the text it is of. */
function patched(before: readonly string[], diff: readonly string[]): readonly string[] {
  const out: string[] = [];
  let at = 0;
  for (const line of diff) {
    const start = /^@@ -(\d+)(?:,(\d+))? /.exec(line);
    if (start) {
      const from = Number(start[1]) - (start[2] === '0' ? 0 : 1);
      out.push(...before.slice(at, from));
      at = from;
    } else if (line.startsWith('+')) out.push(line.slice(1));
    else {
      expect(before[at]).toBe(line.slice(1));
      if (line.startsWith(' ')) out.push(before[at]!);
      at++;
    }
  }
  return [...out, ...before.slice(at)];
}

test('a diff laid over the old text gives the new one, and changes no line that is in both in order', () => {
  const text = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 40 });
  fc.assert(
    fc.property(text, text, (before, after) => {
      const diff = unifiedLines(before, after);
      expect(patched(before, diff)).toEqual(after);
      if (before.join() === after.join()) expect(diff).toEqual([]);
    }),
    { numRuns: 500 },
  );
});

test('one changed line of many: a hunk with three lines around it; far ones are apart', () => {
  const before = Array.from({ length: 40 }, (_, i) => `line ${i + 1}`);
  const after = before.with(9, 'ten').with(29, 'thirty');
  expect(unifiedLines(before, after)).toEqual([
    '@@ -7,7 +7,7 @@',
    ' line 7',
    ' line 8',
    ' line 9',
    '-line 10',
    '+ten',
    ' line 11',
    ' line 12',
    ' line 13',
    '@@ -27,7 +27,7 @@',
    ' line 27',
    ' line 28',
    ' line 29',
    '-line 30',
    '+thirty',
    ' line 31',
    ' line 32',
    ' line 33',
  ]);
});
