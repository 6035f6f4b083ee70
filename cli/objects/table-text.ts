import type { Table, TableRow } from '@trimtab/machinery';
import { lineOf, type Widths, widthsOf } from './columns.js';

export interface TableForm {
  /** Columns of low priority too. */
  readonly wide: boolean;
  /** The namespace as first column. */
  readonly namespaces: boolean;
  /** `pod`, `deployment.apps`: put before names where a table is one of several. */
  readonly kind?: string;
}

/** Header and rows, as cells of text. A server may send rows without definitions after the first. */
export function tableCells(
  { columnDefinitions, rows }: Pick<Table, 'columnDefinitions' | 'rows'>,
  form: TableForm,
): { readonly header: readonly string[]; readonly rows: readonly (readonly string[])[] } {
  const shown = columnDefinitions
    .map((column, at) => ({ column, at }))
    .filter(({ column }) => form.wide || column.priority === 0);
  const header = shown.map(({ column }) => column.name.toUpperCase());
  const cells = rows.map((row) => {
    const texts = shown.map(({ column, at }) => {
      const text = cellText(row.cells[at]);
      return form.kind && column.format === 'name' ? `${form.kind}/${text}` : text;
    });
    return form.namespaces ? [namespaceOf(row), ...texts] : texts;
  });
  return { header: form.namespaces ? ['NAMESPACE', ...header] : header, rows: cells };
}

/** Writes tables that go on below one another: the header once, columns that never become narrower. */
export class TableWriter {
  #widths: Widths = [];
  #header = '';

  constructor(readonly form: TableForm) {}

  lines(table: Pick<Table, 'columnDefinitions' | 'rows'>): readonly string[] {
    const { header, rows } = tableCells(table, this.form);
    const first = header.join() !== this.#header;
    this.#header = header.join();
    const all = first ? [header, ...rows] : rows;
    this.#widths = widthsOf(all, this.#widths);
    return all.map((row) => lineOf(row, this.#widths));
  }
}

const namespaceOf = ({ object }: TableRow): string =>
  (object as { readonly metadata?: { readonly namespace?: string } } | undefined)?.metadata?.namespace ?? '';

/** One line, without what would drive a terminal. */
function cellText(cell: string | number | boolean | null | undefined): string {
  if (cell === null || cell === undefined) return '';
  const [first = '', ...more] = String(cell).split(/[\n\r\f]/);
  const text = more.length > 0 ? `${first}...` : first;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is to be made visible
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
