import fc from 'fast-check';
import type { FieldsV1 } from '../apply/field-set.js';
import { trackUpdate } from '../apply/update.js';
import type { Json, KubeObject } from '../object.js';
import { decodeTyped } from '../schema/decode.js';
import { builtinResources } from '../schema/resources.js';
import type { Schema } from '../schema/schema.js';
import { schemaFor } from '../schema/table.js';
import { objectText, untypedObjectText } from './object-text.js';
import { decodeProtobuf, encodeProtobuf, hasProtobuf } from './protobuf.js';

/** Objects nobody would think of: any field of any kind, as its schema lets it be. */

/** Choices from one seed: objects are large, and shrinking them choice by choice takes longer than reading one. */
class Choices {
  #state: number;
  /** How many more values may be made. */
  left = 120;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  below(n: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
  }

  of<T>(...values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }
}

function text(choose: Choices): string {
  const length = choose.of(1, 3, 12, 47, 48, 130, 200);
  const alphabet = choose.of('abcz', 'a"\\\n/', 'äé', '漢字', '🦀x');
  return Array.from({ length }, () => choose.of(...alphabet)).join('');
}

function scalar(choose: Choices, { type, format, name, enum: values }: Schema): Json {
  if (values && values.length > 0) return choose.of(...values);
  if (format === 'date-time') {
    const seconds = new Date(choose.below(4e9) * 1000).toISOString().slice(0, 19);
    return `${seconds}${name?.endsWith('MicroTime') ? '.000123' : ''}Z`;
  }
  if (format === 'byte') return Buffer.from(text(choose)).toString('base64');
  switch (type) {
    case 'integer':
      return format === 'int64'
        ? choose.of(1, 127, 128, 2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER, -1, -(2 ** 40))
        : choose.of(1, 127, 128, 70_000, 2 ** 31 - 1, -1, -(2 ** 31));
    case 'number':
      return choose.of(1.5, -2, 1e100);
    case 'boolean':
      return true;
    case 'quantity':
      return choose.of('1', '100m', '2Gi', '500M', '1e3', '0');
    case 'int-or-string':
      return choose.of<Json>(80, 65535, 'http', '25%');
    case 'any':
      return choose.of<Json>({ a: [1, 'x', null] }, { kind: 'X', deep: { deeper: true } });
    default:
      return text(choose);
  }
}

/**
 * Fields that protobuf has no number for (types of embedded objects, the newest fields), and those of schemas whose values
 * are more schemas or something else. Managed fields have a test of their own.
 */
const elsewhere: ReadonlySet<string> = new Set([
  ...['managedFields', 'apiVersion', 'kind', 'nodeAllocatableResourceClaimStatuses', 'nodeAllocatableResourceMappings'],
  ...['additionalProperties', 'additionalItems', 'items', 'dependencies'],
]);

/** A value with something in it: empty lists and zeros are not told from absence on the wire. */
function randomValue(choose: Choices, schema: Schema): Json {
  choose.left--;
  if (schema.type === 'array')
    return Array.from({ length: choose.left < 0 ? 0 : choose.of(1, 2) }, () => randomValue(choose, schema.items!));
  if (schema.values && !schema.properties)
    return choose.left < 0
      ? {}
      : { [text(choose)]: randomValue(choose, schema.values), z: randomValue(choose, schema.values) };
  if (schema.type !== 'object' || !schema.properties) return scalar(choose, schema);
  const names = Object.keys(schema.properties).filter((name) => !elsewhere.has(name));
  const chosen = names.filter(() => choose.left > 0 && choose.below(names.length) < 4);
  return Object.fromEntries(
    chosen
      .map((name) => [name, randomValue(choose, schema.properties![name]!)] as const)
      .filter(([, value]) => !isEmpty(value)),
  );
}

/** A quantity of nothing is written as one of zero. */
const isEmpty = (value: Json): boolean =>
  typeof value === 'object' && value !== null ? Object.keys(value).length === 0 : !value || value === '0';

/** Zeros and what has nothing in it left out, all the way up: Go writes some of them and leaves out others. */
function withoutEmpties(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutEmpties);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, below]) => [key, withoutEmpties(below as Json)] as const)
      .filter(([, below]) => !isEmpty(below)),
  );
}

const kinds = builtinResources().map(({ type }) => type);

function randomObject(seed: number, type: (typeof kinds)[number]): KubeObject {
  const { group, version, kind } = type;
  const schema = schemaFor(type)!;
  const given = randomValue(new Choices(seed), schema) as Record<string, Json>;
  const apiVersion = group ? `${group}/${version}` : version;
  const { value, errors } = decodeTyped<KubeObject>(schema, { metadata: {}, ...given, apiVersion, kind });
  expect(errors).toEqual([]);
  return value;
}

describe('any object of any kind', () => {
  test.each(kinds.filter(hasProtobuf).map((type) => [`${type.group}/${type.version} ${type.kind}`, type] as const))(
    '%s comes back from protobuf as it went',
    (_, type) => {
      fc.assert(
        fc.property(fc.integer(), (seed) => {
          const object = randomObject(seed, type);
          const bytes = encodeProtobuf(object);
          const back = decodeProtobuf(bytes) as unknown as Json;
          expect(Buffer.from(encodeProtobuf(back as object)).equals(bytes)).toBe(true);
          const typed = decodeTyped<KubeObject>(schemaFor(type)!, back).value as unknown as Json;
          expect(withoutEmpties(typed)).toEqual(withoutEmpties(object as unknown as Json));
        }),
        // With the counterexample that was found, every time.
        { numRuns: 12, examples: [[3]] },
      );
    },
  );

  test('is written with its managed fields as JSON.stringify writes it', () => {
    const pods = kinds.find((type) => type.kind === 'Pod')!;
    const schema = schemaFor(pods)!;
    fc.assert(
      fc.property(fc.integer(), fc.integer(), fc.boolean(), (seed, other, twice) => {
        const context = { schema, manager: 'a"b', apiVersion: 'v1', now: 0 };
        const first = trackUpdate(undefined, randomObject(seed, pods), context);
        const again = { ...randomObject(other, pods), metadata: first.metadata };
        const object = twice ? trackUpdate(first, again, { ...context, manager: 'c', subresource: 'status' }) : first;
        expect(objectText(object)).toBe(JSON.stringify(object));
        const { apiVersion: _, kind: __, ...rest } = object;
        expect(untypedObjectText(object)).toBe(JSON.stringify(rest));
      }),
      { numRuns: 60 },
    );
  });

  test('is written whatever stands where managed fields belong', () => {
    const odd = [
      { metadata: { managedFields: [], name: 'after' } },
      {
        metadata: {
          name: 'x',
          managedFields: [{}, null, { fieldsV1: null }, { fieldsV1: { 'f:a': { '.': {} } as FieldsV1 } }],
        },
      },
      { metadata: { managedFields: [{ manager: undefined, fieldsV1: {} }] }, spec: undefined, 'a"b': [1] },
      { metadata: undefined },
      {},
    ] as unknown as KubeObject[];
    for (const object of odd) expect(objectText(object)).toBe(JSON.stringify(object));
  });
});
