import type { GroupVersionKind, Json } from '../object.js';
import type { Schema } from '../schema/schema.js';
import { kindsOf, schemaOf } from '../schema/table.js';
import { commonDescription, descriptionOf } from './descriptions.js';

/** Writes schemas as OpenAPI does, in the version 2 or 3 of it, and gathers the named ones they refer to. */

type Mutable = { [key: string]: Json | undefined };
const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.';

export class SchemaWriter {
  readonly #components = new Map<string, Json>();
  readonly #queue: string[] = [];

  constructor(
    readonly openapi: 2 | 3,
    /** Versions in which the kinds of every group (`DeleteOptions`, `WatchEvent`) are declared. */
    readonly groupVersions: readonly { readonly group: string; readonly version: string }[],
  ) {}

  /** A reference to a definition by name; the definition itself is gathered. `string` is plain text. */
  reference(name: string): Json {
    if (name === 'string') return { type: 'string' };
    this.#enqueue(name);
    return { $ref: `${this.openapi === 3 ? '#/components/schemas/' : '#/definitions/'}${name}` };
  }

  /** Publishes a schema that is in no table under a name of its own. */
  define(name: string, schema: Schema, gvk?: GroupVersionKind): void {
    const properties = schema.properties ?? {};
    const whole: Schema = gvk
      ? {
          ...schema,
          properties: {
            apiVersion: { type: 'string', constraints: { description: commonDescription('apiVersion') } },
            kind: { type: 'string', constraints: { description: commonDescription('kind') } },
            metadata: schemaOf(`${META}ObjectMeta`)!,
            ...Object.fromEntries(
              Object.entries(properties).filter(([k]) => !['apiVersion', 'kind', 'metadata'].includes(k)),
            ),
          },
        }
      : schema;
    const body = this.#node(whole, name, '') as Mutable;
    this.#components.set(name, gvk ? { ...body, 'x-kubernetes-group-version-kind': [gvkJson(gvk)] } : body);
  }

  /** Publishes the list of a kind that is in no table. */
  defineList(name: string, gvk: GroupVersionKind, item: string): void {
    this.#components.set(name, {
      type: 'object',
      required: ['items'],
      properties: {
        apiVersion: { type: 'string' },
        items: { type: 'array', items: this.reference(item) },
        kind: { type: 'string' },
        metadata: this.reference(`${META}ListMeta`),
      },
      'x-kubernetes-group-version-kind': [gvkJson(gvk)],
    });
  }

  /** Everything referred to or defined so far, by name, with what those refer to in turn. */
  components(): { [name: string]: Json } {
    for (let name = this.#queue.pop(); name !== undefined; name = this.#queue.pop())
      this.#components.set(name, this.#definition(name));
    return Object.fromEntries([...this.#components].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #enqueue(name: string): void {
    if (this.#components.has(name)) return;
    this.#components.set(name, {});
    this.#queue.push(name);
  }

  #definition(name: string): Json {
    const schema = schemaOf(name);
    if (!schema) return {};
    const body = this.#node(schema, name, name);
    const kinds = kindsOf(name);
    if (!kinds) return body;
    const gvks =
      kinds === 'every' ? this.groupVersions.map((gv) => ({ ...gv, kind: name.slice(META.length) })) : [kinds];
    return { ...(body as Mutable), 'x-kubernetes-group-version-kind': gvks.map(gvkJson) };
  }

  /** A place that holds a schema: a reference, with what the place adds to it, or the schema itself. */
  #place(schema: Schema, owner: string, field: string): Json {
    const description = descriptionOf(owner, field);
    const inTable = schema.name !== undefined && schemaOf(schema.name) !== undefined;
    if (!inTable) return { ...(description ? { description } : {}), ...(this.#node(schema, owner, '') as Mutable) };
    const reference = this.reference(schema.name!);
    const extras = { ...(description ? { description } : {}), ...extensions(schema) };
    if (Object.keys(extras).length === 0) return reference;
    return this.openapi === 3 ? { allOf: [reference], ...extras } : { ...(reference as Mutable), ...extras };
  }

  /** The schema in full. `named` is set where the node is the body of a definition. */
  #node(schema: Schema, owner: string, named: string): Json {
    const out: Mutable = {};
    if (named) {
      const description = descriptionOf(named, '');
      if (description) out.description = description;
    }
    Object.assign(out, this.#type(schema, named));
    const opaque = this.openapi === 2 && (schema.preserveUnknown || schema.nullable);
    if (schema.properties && !opaque) {
      const properties: Mutable = {};
      for (const [field, value] of Object.entries(schema.properties))
        properties[field] = this.#place(value, named || owner, field);
      if (Object.keys(properties).length > 0) out.properties = properties;
    }
    if (schema.values) out.additionalProperties = this.#place(schema.values, '', '');
    if (schema.items && !opaque) out.items = this.#place(schema.items, '', '');
    if (schema.required && schema.required.length > 0 && !opaque) out.required = schema.required;
    if (schema.default !== undefined && this.openapi === 3) out.default = schema.default;
    if (schema.enum && !(this.openapi === 2 && schema.nullable)) out.enum = schema.enum;
    if (schema.nullable && this.openapi === 3) out.nullable = true;
    for (const [key, value] of Object.entries(schema.constraints ?? {})) {
      if (this.openapi === 3 || !UNKNOWN_TO_V2.has(key)) out[key] = value;
    }
    return { ...out, ...extensions(schema) };
  }

  #type(schema: Schema, named: string): Mutable {
    const v3 = this.openapi === 3;
    const format = schema.format === undefined ? {} : { format: schema.format };
    switch (schema.type) {
      case 'quantity':
        return v3 ? { oneOf: [{ type: 'string' }, { type: 'number' }] } : { type: 'string' };
      case 'int-or-string':
        if (named)
          return v3 ? { ...format, oneOf: [{ type: 'integer' }, { type: 'string' }] } : { type: 'string', ...format };
        return { 'x-kubernetes-int-or-string': true };
      case 'any':
        return OPAQUE_OBJECTS.has(named) ? { type: 'object' } : {};
      default:
        return !v3 && schema.nullable ? {} : { type: schema.type, ...format };
    }
  }
}

const OPAQUE_OBJECTS: ReadonlySet<string> = new Set([
  `${META}FieldsV1`,
  `${META}Patch`,
  'io.k8s.apimachinery.pkg.runtime.RawExtension',
]);
const UNKNOWN_TO_V2: ReadonlySet<string> = new Set(['allOf', 'anyOf', 'oneOf', 'not', 'default', 'nullable']);

function extensions(schema: Schema): Mutable {
  const embedded = schema.name !== undefined && schemaOf(schema.name) !== undefined;
  return {
    ...(schema.listType ? { 'x-kubernetes-list-type': schema.listType } : {}),
    ...(schema.listMapKeys ? { 'x-kubernetes-list-map-keys': schema.listMapKeys } : {}),
    ...(schema.mapType ? { 'x-kubernetes-map-type': schema.mapType } : {}),
    ...(schema.patchMergeKey ? { 'x-kubernetes-patch-merge-key': schema.patchMergeKey } : {}),
    ...(schema.patchStrategy ? { 'x-kubernetes-patch-strategy': schema.patchStrategy.join(',') } : {}),
    ...(schema.preserveUnknown && !embedded ? { 'x-kubernetes-preserve-unknown-fields': true } : {}),
    ...(schema.embeddedResource ? { 'x-kubernetes-embedded-resource': true } : {}),
  };
}

export function gvkJson({ group, version, kind }: GroupVersionKind): Json {
  return { group, kind, version };
}
