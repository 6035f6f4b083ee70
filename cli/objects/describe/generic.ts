import type { Event, KubeObject } from '@trimtab/machinery';
import { type Block, type Entry, value } from './block.js';
import { eventsEntry } from './events.js';
import { annotations, controlledBy, created, deletion, identity, labels } from './metadata.js';

/** Any object: what every kind has first, then its own fields under words made of their names. */
export function describeAny(object: KubeObject, events: readonly Event[], now: number): Block {
  const { apiVersion, kind, metadata: _, ...fields } = object;
  return [
    ...identity(object),
    ...labels(object),
    ...annotations(object),
    value('API Version', apiVersion ?? ''),
    value('Kind', kind ?? ''),
    ...created(object),
    ...deletion(object),
    ...controlledBy(object),
    ...(kind === 'Secret' && apiVersion === 'v1' ? secretBlock(fields) : fieldsBlock(fields)),
    eventsEntry(events, now),
  ];
}

/** How long the values are; never what they are. */
function secretBlock({ data, ...fields }: { readonly data?: unknown }): Block {
  const inner = Object.entries((data ?? {}) as Record<string, string>).map(([key, text]) =>
    value(key, `${Buffer.from(text, 'base64').length} bytes`),
  );
  return [...fieldsBlock(fields), { label: 'Data', inner }];
}

/** Fields that are free keys, not names of a schema, and so stay as they are written. */
const FREE = new Set([
  'data',
  'binaryData',
  'labels',
  'annotations',
  'matchLabels',
  'nodeSelector',
  'limits',
  'requests',
]);

function fieldsBlock(fields: object, free = false): Block {
  return Object.entries(fields)
    .filter(([, field]) => field !== undefined && field !== null)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, field]) => fieldBlock(free ? name : titleOf(name), field, FREE.has(name)));
}

function fieldBlock(label: string, field: unknown, free: boolean): Block {
  if (Array.isArray(field)) return [listEntry(label, field)];
  if (typeof field === 'object') return [{ label, inner: fieldsBlock(field as object, free) }];
  return [value(label, String(field).replace(/\n$/, ''))];
}

function listEntry(label: string, items: readonly unknown[]): Entry {
  if (items.every((item) => typeof item !== 'object')) return value(label, items.map(String));
  const inner = items.map((item, i) => {
    const block = Array.isArray(item) ? fieldBlock('Items', item, false) : fieldsBlock((item ?? {}) as object);
    return { label: nameOf(item) ?? String(i), inner: block };
  });
  return { label, inner };
}

/** What people call an element of a list by. */
function nameOf(item: unknown): string | undefined {
  const { name, type, key } = (item ?? {}) as Readonly<Record<string, unknown>>;
  const found = [name, type, key].find((each) => typeof each === 'string' && each !== '');
  return found as string | undefined;
}

/** `clusterIPs` becomes `Cluster IPs`, `lastTransitionTime` `Last Transition Time`. */
export function titleOf(name: string): string {
  const spaced = name.replace(/([a-z\d])([A-Z])/g, '$1 $2').replace(/([A-Z])([A-Z][a-z]{2,})/g, '$1 $2');
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}
