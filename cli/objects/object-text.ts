import { apiVersionOf, type KubeObject, type ResourceType, stringifyYaml } from '@trimtab/machinery';
import { kindText } from './catalogue.js';

/** With its type, which lists leave out, and without managed fields, which nobody reads. */
export function shown(type: ResourceType, object: KubeObject): KubeObject {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, apiVersion: object.apiVersion ?? apiVersionOf(type), kind: object.kind ?? type.kind, metadata };
}

/** Several objects as one. */
export const listOf = (items: readonly KubeObject[]): object => ({
  apiVersion: 'v1',
  kind: 'List',
  metadata: { resourceVersion: '' },
  items,
});

/** Keys in order, four spaces deep, as kubectl writes JSON. */
export const jsonText = (value: unknown): string => JSON.stringify(sorted(value), undefined, 4);

/** Without the newline at its end. */
export const yamlText = (value: unknown): string => stringifyYaml(value).replace(/\n$/, '');

/** `pod/web`, `deployment.apps/web` */
export const nameText = (type: ResourceType, name: string): string => `${kindText(type)}/${name}`;

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, each]) => [key, sorted(each)]));
}
