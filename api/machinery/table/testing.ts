import { type Table, type TableOptions, toTable } from './table.js';

/** What the tests of tables share: a fixed instant, and tables as lines of text. */

export const NOW = Date.UTC(2026, 0, 10, 12, 0, 0);
export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
export const ago = (ms: number): string => new Date(NOW - ms).toISOString().replace('.000Z', 'Z');

/** The rows as kubectl prints them, cells apart by two spaces; wide columns only where asked. */
export function lines(table: Table, showWide = false): string[] {
  const shown = table.columnDefinitions.map((c, i) => ({ ...c, i })).filter((c) => showWide || c.priority === 0);
  const header = shown.map((c) => c.name.toUpperCase()).join('  ');
  return [header, ...table.rows.map((row) => shown.map(({ i }) => String(row.cells[i] ?? '<none>')).join('  '))];
}

export const object = (spec: object, more: object = {}) => ({
  metadata: { name: 'x', creationTimestamp: ago(5 * MINUTE) },
  spec,
  ...more,
});

export function show(
  id: string,
  objects: object | object[],
  showWide = false,
  options: Partial<TableOptions> = {},
): string[] {
  const [group = '', resource = ''] = id.split('/');
  const list = (Array.isArray(objects) ? objects : [objects]) as Parameters<typeof toTable>[1];
  return lines(toTable({ group, resource }, list, { now: NOW, ...options }), showWide);
}
