import { columnLines } from '../columns.js';

/** One thing said of an object: a value beside its label, or something longer below it. */
export type Entry =
  | { readonly label: string; readonly value: string | readonly string[] }
  | { readonly label: string; readonly inner: Block }
  | { readonly label: string; readonly table: Table };

export type Block = readonly Entry[];

export interface Table {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Values of one block stand in one column; what is empty is `<none>`. */
export function blockLines(block: Block, indent = ''): readonly string[] {
  const labels = block.filter((entry) => 'value' in entry || isEmpty(entry)).map(({ label }) => label.length);
  const width = Math.max(0, ...labels) + 3;
  return block.flatMap((entry) => {
    const head = `${indent}${entry.label}:`;
    if ('value' in entry || isEmpty(entry)) {
      const values = 'value' in entry ? [entry.value].flat().flatMap((value) => value.split('\n')) : [];
      const [first, ...more] = values;
      const column = ' '.repeat(indent.length + width);
      return [head.padEnd(indent.length + width) + (first || '<none>'), ...more.map((line) => column + line)].map((l) =>
        l.trimEnd(),
      );
    }
    if ('inner' in entry) return [head, ...blockLines(entry.inner, `${indent}  `)];
    const { header, rows } = entry.table;
    const underline = header.map((text) => '-'.repeat(text.length));
    return [head, ...columnLines([header, underline, ...rows]).map((line) => `${indent}  ${line}`.trimEnd())];
  });
}

const isEmpty = (entry: Entry): boolean =>
  'inner' in entry ? entry.inner.length === 0 : 'table' in entry && entry.table.rows.length === 0;

export const value = (label: string, text: string | number | boolean | readonly string[]): Entry => ({
  label,
  value: typeof text === 'object' ? text : String(text),
});

/** Nothing where there is nothing to say. */
export const optional = (label: string, text: string | number | boolean | undefined | null): Block =>
  text === undefined || text === null || text === '' ? [] : [value(label, text)];

/** `key=value` a line, in the order of keys. */
export const pairs = (map: Readonly<Record<string, string>> | undefined, separator = '='): readonly string[] =>
  Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, text]) => `${key}${separator}${text}`);

/** `Sat, 21 Nov 2026 08:00:00 +0000` */
export function timeText(time: string | null | undefined): string {
  const at = Date.parse(time ?? '');
  return Number.isNaN(at) ? '<unset>' : new Date(at).toUTCString().replace('GMT', '+0000');
}
