import type { Json } from '../object.js';

/**
 * The one description of an object's shape. Built-in kinds (from the generated table) and custom kinds (from their
 * structural schema) are both given in it; decoding, pruning, defaulting, validation, strategic merge, server-side apply and
 * OpenAPI all read it. Nodes are shared and may be recursive: treat them as immutable and never walk them without data.
 */
export interface Schema {
  /** `any` accepts every JSON value; `quantity` and `int-or-string` are strings or numbers. */
  readonly type:
    | 'object'
    | 'array'
    | 'string'
    | 'integer'
    | 'number'
    | 'boolean'
    | 'any'
    | 'int-or-string'
    | 'quantity';
  /** OpenAPI format: `int32`, `int64`, `date-time`, `byte`, … */
  readonly format?: string;
  /** The full definition name where the node is a named type: `io.k8s.api.core.v1.Container`. */
  readonly name?: string;
  readonly required?: readonly string[];
  /** Known fields of an object. May be a getter, so that recursive types cost nothing until used. */
  readonly properties?: Readonly<Record<string, Schema>>;
  /** Element type of a string-keyed map. */
  readonly values?: Schema;
  readonly items?: Schema;
  readonly default?: Json;
  readonly enum?: readonly Json[];
  readonly nullable?: boolean;
  /** Built-in kinds: an empty value means the same as none and is left out, as Go's `omitempty` does. */
  readonly omitZero?: boolean;
  /** Built-in kinds: fields Go writes even when nothing is in them (`resources: {}`). */
  readonly alwaysPresent?: readonly string[];
  /** Server-side apply: how a list or map is owned. */
  readonly listType?: 'atomic' | 'set' | 'map';
  readonly listMapKeys?: readonly string[];
  readonly mapType?: 'granular' | 'atomic';
  /** Strategic merge patch. */
  readonly patchMergeKey?: string;
  readonly patchStrategy?: readonly ('merge' | 'replace' | 'retainKeys')[];
  /** Unknown fields are kept rather than pruned. */
  readonly preserveUnknown?: boolean;
  /** The value is a whole object with apiVersion, kind and metadata. */
  readonly embeddedResource?: boolean;
  /** Value constraints of custom kinds, passed through to their validator. */
  readonly constraints?: Readonly<Record<string, Json>>;
}

/** Of what is made a hundred times of one template, each with the very same object in it. */
export const isTemplate = (schema: Schema | undefined): boolean => schema?.name === 'io.k8s.api.core.v1.PodSpec';
