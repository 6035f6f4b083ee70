/** Text in columns as kubectl sets it: three spaces between, no column narrower than six, nothing behind the last. */

const GAP = 3;
const LEAST = 6;

/** Widths of columns, the gap included. */
export type Widths = readonly number[];

/** Never narrower than `before`, so that lines written later stay below those written earlier. */
export function widthsOf(rows: readonly (readonly string[])[], before: Widths = []): Widths {
  const count = Math.max(before.length, ...rows.map((row) => row.length));
  return Array.from({ length: count }, (_, column) =>
    Math.max(LEAST, before[column] ?? 0, ...rows.map((row) => width(row[column] ?? '') + GAP)),
  );
}

export function lineOf(row: readonly string[], widths: Widths): string {
  const last = row.length - 1;
  return row.map((cell, i) => (i === last ? cell : cell + ' '.repeat(Math.max(0, widths[i]! - width(cell))))).join('');
}

export function columnLines(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = widthsOf(rows);
  return rows.map((row) => lineOf(row, widths));
}

const width = (text: string): number => [...text].length;
