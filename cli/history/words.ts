import { createHash } from 'node:crypto';
import type { KubeObject } from '@trimtab/machinery';
import { stringifyYaml } from '@trimtab/machinery';

/** The past in words and lines. Pure. */

/** What the server tells of one object between two moments, or of one write. */
export interface Change {
  readonly apiVersion: string;
  readonly kind: string;
  readonly resource: string;
  readonly namespace?: string;
  readonly name: string;
  readonly type: 'created' | 'changed' | 'deleted';
  readonly revision: number;
  readonly time?: string;
  readonly writer?: Writer;
  readonly writers?: readonly Writer[];
  readonly before?: KubeObject;
  readonly after?: KubeObject;
}

export interface Writer {
  readonly manager: string;
  readonly operation: string;
  readonly subresource?: string;
}

type Place = Pick<Change, 'apiVersion' | 'kind' | 'namespace' | 'name'>;

/** `deployment.apps/web in default` */
export function placeText({ apiVersion, kind, namespace, name }: Place): string {
  return `${kindName({ apiVersion, kind })}/${name}${namespace ? ` in ${namespace}` : ''}`;
}

const kindName = ({ apiVersion, kind }: Pick<Place, 'apiVersion' | 'kind'>): string => {
  const group = apiVersion.includes('/') ? `.${apiVersion.split('/')[0]}` : '';
  return `${kind.toLowerCase()}${group}`;
};

export const writerText = ({ manager, subresource }: Writer): string =>
  subresource ? `${manager} (${subresource})` : manager;

/** An object as a diff shows it: without managed fields, its version, and what a Secret holds. */
export function comparable(object: KubeObject): KubeObject {
  const { managedFields: _, resourceVersion: __, ...metadata } = object.metadata;
  const plain = { ...object, metadata } as KubeObject & { readonly data?: Readonly<Record<string, string>> };
  if (object.kind !== 'Secret' || !plain.data) return plain;
  const data = Object.fromEntries(Object.entries(plain.data).map(([key, value]) => [key, hashed(value)]));
  return { ...plain, data } as KubeObject;
}

const hashed = (value: string): string => `sha256:${createHash('sha256').update(value).digest('hex').slice(0, 12)}`;

export const yamlLines = (object: KubeObject | undefined): readonly string[] =>
  object === undefined ? [] : stringifyYaml(comparable(object)).replace(/\n$/, '').split('\n');

/** One field that changed, as people write it. */
export interface FieldChange {
  readonly path: string;
  readonly before: unknown;
  readonly after: unknown;
}

/** What differs between two values; elements of lists are told apart by their names where they have some. */
export function fieldChanges(before: unknown, after: unknown, path = ''): readonly FieldChange[] {
  if (Object.is(before, after)) return [];
  if (isRecord(before) && isRecord(after))
    return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((field) =>
      fieldChanges(before[field], after[field], `${path}${fieldText(field)}`),
    );
  if (Array.isArray(before) && Array.isArray(after)) {
    const key = keyOf([...before, ...after]);
    if (key === undefined) return JSON.stringify(before) === JSON.stringify(after) ? [] : [{ path, before, after }];
    const of = (list: readonly unknown[]) => new Map(list.map((item) => [String((item as Item)[key]), item]));
    const [was, is] = [of(before), of(after)];
    return [...new Set([...was.keys(), ...is.keys()])].flatMap((name) =>
      fieldChanges(was.get(name), is.get(name), `${path}[${name}]`),
    );
  }
  return JSON.stringify(before) === JSON.stringify(after) ? [] : [{ path, before, after }];
}

type Item = Readonly<Record<string, unknown>>;

const isRecord = (value: unknown): value is Item =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const fieldText = (field: string): string => (/^[\w-]+$/.test(field) ? `.${field}` : `[${field}]`);

/** The field that names the elements of a list, if all have it. */
function keyOf(items: readonly unknown[]): string | undefined {
  return ['name', 'type', 'key', 'mountPath', 'containerPort', 'ip'].find(
    (key) =>
      items.length > 0 && items.every((item) => isRecord(item) && ['string', 'number'].includes(typeof item[key])),
  );
}

const LONGEST = 60;

/** `spec.replicas: 2 → 3`, `metadata.labels[tier] = web`, `spec.paused is gone` */
export function fieldWords({ path, before, after }: FieldChange): string {
  const name = path.replace(/^\./, '');
  if (after === undefined) return `${name} is gone`;
  if (before === undefined) return `${name} = ${valueText(after)}`;
  return `${name}: ${valueText(before)} → ${valueText(after)}`;
}

function valueText(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
