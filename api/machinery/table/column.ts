import type { KubeObject } from '../object.js';
import { sinceText } from './duration.js';

/** What a cell may hold; null is shown as `<none>`. */
export type Cell = string | number | boolean | null;

/** One column of a kind's table: its header, and how to read its cell. Columns with a priority are shown by `-o wide`. */
export interface Column<T extends KubeObject> {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  readonly format: string;
  readonly description: string;
  readonly priority: number;
  readonly cell: (object: T, now: number) => Cell;
}

/** Why the server says a row is done, so that clients can leave it out. */
export interface RowCondition {
  readonly type: 'Completed';
  readonly status: 'True';
  readonly reason: string;
  readonly message: string;
}

/** How a kind is printed. */
export interface Printer<T extends KubeObject> {
  readonly columns: readonly Column<T>[];
  readonly conditions?: (object: T) => readonly RowCondition[] | undefined;
}

type Options = Partial<Pick<Column<KubeObject>, 'type' | 'format' | 'priority'>>;

export function column<T extends KubeObject>(
  name: string,
  description: string,
  cell: Column<T>['cell'],
  options: Options = {},
): Column<T> {
  return { type: 'string', format: '', priority: 0, ...options, name, description, cell };
}

export const integer = { type: 'integer' } as const;
export const boolean = { type: 'boolean' } as const;
export const wide = { priority: 1 } as const;

/** The object's name, which clients use to tell rows apart. */
export const nameColumn: Column<KubeObject> = column(
  'Name',
  'Unique within its namespace and resource.',
  (object) => object.metadata.name ?? '',
  { format: 'name' },
);

export const ageColumn: Column<KubeObject> = column('Age', 'Time since the object was created.', (object, now) =>
  sinceText(object.metadata.creationTimestamp, now),
);

/** `a=b,c=d` in the order of keys, `<none>` for none. */
export function labelsText(labels: Readonly<Record<string, string>> | undefined): string {
  const pairs = Object.entries(labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return pairs.length === 0 ? '<none>' : pairs.map(([key, value]) => `${key}=${value}`).join(',');
}

/** The first `max` items, and how many more there are; `empty` for none. */
export function listText(items: readonly string[], max: number, empty: string, separator = ','): string {
  if (items.length === 0) return empty;
  const shown = items.slice(0, max).join(separator);
  return items.length > max ? `${shown} + ${items.length - max} more...` : shown;
}

export const boolText = (value: boolean | undefined): string =>
  value === undefined ? '<unset>' : value ? 'True' : 'False';
