import { isRecord, type JsonRecord, own } from '../patch/structure.js';
import type { Schema } from '../schema/schema.js';
import { keyElement, valueElement } from './path-element.js';

/**
 * How ownership sees a value: as one leaf, as a map whose fields are owned one by one, or as a list whose elements are. The
 * schema decides; where it says nothing, lists are atomic and maps granular.
 */
export type Shape = 'leaf' | 'map' | 'list';

export function shapeOf(schema: Schema | undefined, value: unknown): Shape {
  if (isRecord(value)) {
    if (isAtomicMap(schema) || isOpaque(schema)) return 'leaf';
    return 'map';
  }
  if (Array.isArray(value) && schema?.type === 'array' && listKeys(schema) !== undefined) return 'list';
  return 'leaf';
}

function isAtomicMap(schema: Schema | undefined): boolean {
  if (schema?.mapType !== undefined) return schema.mapType === 'atomic';
  return schema?.name !== undefined && atomicDefinitions.has(schema.name);
}

/** Definitions that are owned as a whole wherever they stand (kubernetes/api: structType=atomic). */
const atomicDefinitions: ReadonlySet<string> = new Set(
  Object.entries({
    'api.admissionregistration.v1': 'ParamKind Variable ParamRef MatchResources NamedRuleWithOperations',
    'api.admissionregistration.v1beta1': 'ParamKind Variable ParamRef MatchResources NamedRuleWithOperations',
    'api.admissionregistration.v1alpha1': 'ParamKind ParamRef MatchResources NamedRuleWithOperations',
    'api.autoscaling.v1': 'CrossVersionObjectReference',
    'api.core.v1':
      'SecretReference FileKeySelector ObjectFieldSelector ResourceFieldSelector ConfigMapKeySelector SecretKeySelector NodeSelector NodeSelectorTerm TopologySelectorTerm EvictionResponder EndpointAddress EndpointPort ObjectReference LocalObjectReference TypedLocalObjectReference ScopeSelector',
    'api.discovery.v1': 'EndpointPort',
    'api.networking.v1': 'ServiceBackendPort',
    'api.rbac.v1': 'Subject RoleRef',
    'apimachinery.pkg.apis.meta.v1': 'OwnerReference LabelSelector LabelSelectorRequirement',
  }).flatMap(([group, names]) => names.split(' ').map((name) => `io.k8s.${group}.${name}`)),
);

/** Built-in values without a declared shape (RawExtension, a revision's data) are owned as a whole; custom ones are not. */
const isOpaque = (schema: Schema | undefined): boolean =>
  schema?.type === 'any' && (schema.name?.startsWith('io.k8s.') ?? false);

/**
 * The fields that tell a list's elements apart: some for a keyed list, none for a set, undefined for an atomic one. Built-in
 * lists without a list type follow their merge strategy.
 */
export function listKeys(schema: Schema): readonly string[] | undefined {
  if (schema.listType === 'map') return schema.listMapKeys ?? [];
  if (schema.listType === 'set') return [];
  if (schema.listType === undefined && schema.patchStrategy?.includes('merge')) {
    return schema.patchMergeKey === undefined ? [] : [schema.patchMergeKey];
  }
  return undefined;
}

/** Key fields that the API fills in, so that an element given without them is the same element. */
const keyDefaults: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'io.k8s.api.core.v1.ContainerPort': { protocol: 'TCP' },
  'io.k8s.api.core.v1.ServicePort': { protocol: 'TCP' },
  'io.k8s.api.core.v1.LocalObjectReference': { name: '' },
};

/** The path element of a list's item, or why it has none. */
export function itemElement(schema: Schema, item: unknown): { readonly element: string } | { readonly fault: string } {
  const keys = listKeys(schema) ?? [];
  if (keys.length === 0) {
    if (Array.isArray(item)) return { fault: 'not supported: associative list with lists as elements' };
    if (item === null) return { fault: "associative list without keys has an element that's an explicit null" };
    if (isRecord(item)) return { fault: "associative list without keys has an element that's a map type" };
    return { element: valueElement(item) };
  }
  if (item === null) return { fault: 'associative list with keys may not have a null element' };
  if (!isRecord(item)) return { fault: 'associative list with keys may not have non-map elements' };
  const found: Record<string, unknown> = {};
  for (const key of keys) {
    const value = own(item, key) ?? defaultOf(schema.items, key);
    if (value !== undefined && value !== null) found[key] = value;
  }
  if (Object.keys(found).length === 0) {
    const names = keys.map((key) => JSON.stringify(key)).join(' ');
    return {
      fault: `associative list with keys has an element that omits all key fields [${names}] (and doesn't have default values for any key fields)`,
    };
  }
  return { element: keyElement(found) };
}

function defaultOf(items: Schema | undefined, key: string): unknown {
  const declared = childSchema(items, key)?.default;
  return declared ?? (items?.name === undefined ? undefined : keyDefaults[items.name]?.[key]);
}

/** The schema of a map's field. */
export function childSchema(schema: Schema | undefined, field: string): Schema | undefined {
  if (!schema) return undefined;
  return isNamedField(schema, field)
    ? schema.properties![field]
    : (schema.values ?? (schema.type === 'any' ? schema : undefined));
}

/** Whether the field is one the schema names, rather than a free key. */
export function isNamedField(schema: Schema | undefined, field: string): boolean {
  const properties = schema?.properties;
  return properties !== undefined && Object.hasOwn(properties, field);
}

/** A field that Go keeps in the object even when nothing is in it counts as an empty object where its parent is there. */
export function presentField(schema: Schema | undefined, parent: JsonRecord | undefined, field: string): unknown {
  if (!parent) return undefined;
  const value = own(parent, field);
  if (value !== undefined) return value;
  const always = schema?.alwaysPresent?.includes(field) && childSchema(schema, field)?.type === 'object';
  return always ? {} : undefined;
}

/** Empty lists and maps, and null, are told apart from absence but have no fields of their own. */
export function isHollow(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  if (Array.isArray(value)) return value.length === 0;
  if (!isRecord(value)) return false;
  for (const field in value) if (Object.hasOwn(value, field)) return false;
  return true;
}
