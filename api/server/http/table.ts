import type { KubeObject } from '@trimtab/machinery';
import type { ServedKind, TableColumn } from '../registry/served-kind.js';

export type IncludeObject = 'None' | 'Metadata' | 'Object';

const nameColumn: TableColumn = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'The name of the object, unique within its namespace.',
  priority: 0,
  cell: (o) => o.metadata.name,
};

/** How long ago, as kubectl prints ages: `5s`, `2m10s`, `3h4m`, `5d`, `2y10d`. */
export function age(since: string | null | undefined, now: number): string {
  if (!since) return '<unknown>';
  return humanDuration((now - Date.parse(since)) / 1000);
}

/** Seconds in the two leading units (apimachinery: util/duration). */
export function humanDuration(seconds: number): string {
  const s = Math.floor(seconds);
  if (s < -1) return '<invalid>';
  if (s < 0) return '0s';
  if (s < 120) return `${s}s`;
  const m = Math.floor(s / 60);
  if (m < 10) return s % 60 === 0 ? `${m}m` : `${m}m${s % 60}s`;
  if (m < 180) return `${m}m`;
  const h = Math.floor(s / 3600);
  if (h < 8) return m % 60 === 0 ? `${h}h` : `${h}h${m % 60}m`;
  if (h < 48) return `${h}h`;
  const d = Math.floor(h / 24);
  if (h < 192) return h % 24 === 0 ? `${d}d` : `${d}d${h % 24}h`;
  if (d < 730) return `${d}d`;
  const y = Math.floor(d / 365);
  if (d < 8 * 365) return d % 365 === 0 ? `${y}y` : `${y}y${d % 365}d`;
  return `${y}y`;
}

const ageColumn: TableColumn = {
  name: 'Age',
  type: 'string',
  description: 'Time since the object was created.',
  priority: 0,
  cell: (o, now) => age(o.metadata.creationTimestamp, now),
};

const plain: readonly TableColumn[] = [nameColumn, ageColumn];

/** `columns` false leaves the definitions out: watch events after the first. */
export function tableOf(
  kind: ServedKind,
  objects: readonly KubeObject[],
  how: {
    readonly version: 'v1' | 'v1beta1';
    readonly include: IncludeObject;
    readonly now: number;
    readonly metadata: object;
    readonly columns: boolean;
  },
): object {
  const columns = kind.columns ?? plain;
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${how.version}`,
    metadata: how.metadata,
    columnDefinitions: how.columns
      ? columns.map((c) => ({
          name: c.name,
          type: c.type,
          format: c.format ?? '',
          description: c.description ?? '',
          priority: c.priority ?? 0,
        }))
      : null,
    rows: objects.map((object) => ({
      cells: columns.map((c) => c.cell(object, how.now) ?? null),
      ...(how.include === 'None'
        ? { object: null }
        : { object: how.include === 'Object' ? object : partialMetadata(object, how.version) }),
    })),
  };
}

export function partialMetadata(object: KubeObject, version: 'v1' | 'v1beta1' = 'v1'): KubeObject {
  return { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata: object.metadata };
}
