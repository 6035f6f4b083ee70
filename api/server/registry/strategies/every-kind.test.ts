import { equalJson, type KubeObject, type Schema } from '@trimtab/machinery';
import fc from 'fast-check';
import { builtinKinds } from '../builtin-kinds.js';
import type { ServedKind } from '../served-kind.js';
import { createBuiltinStrategies } from './index.js';

/** What holds for every built-in kind, tried on objects of any shape that its schema allows. */

const kinds = builtinKinds({ strategies: createBuiltinStrategies() })
  .kinds()
  .filter((kind) => kind.verbs.includes('get') && kind.verbs.includes('create'));
const seed = 20_260_101;
const context = { now: 0, user: { name: 'u', groups: [] } };

const words = fc.constantFrom(
  '',
  'a',
  'x.example.com',
  'Always',
  'RollingUpdate',
  'ClientIP',
  'LoadBalancer',
  '10%',
  '/a',
  'A b',
);

/** Values a schema allows, most of its fields left out, and ever fewer further down. */
function anyOf(schema: Schema, depth: number): fc.Arbitrary<unknown> {
  switch (schema.type) {
    case 'string':
      if (schema.format === 'date-time') return fc.constant('2026-01-01T00:00:00Z');
      if (schema.format === 'byte') return fc.constantFrom('', 'YQ==');
      return schema.enum ? fc.constantFrom(...(schema.enum as readonly string[])) : words;
    case 'integer':
      return fc.constantFrom(-1, 0, 1, 80, 70_000);
    case 'number':
      return fc.constantFrom(0, 1.5);
    case 'boolean':
      return fc.boolean();
    case 'quantity':
      return fc.constantFrom('0', '1', '100m', '1Gi');
    case 'int-or-string':
      return fc.constantFrom(0, 80, '25%', 'http');
    case 'array':
      return depth <= 0 || !schema.items ? fc.constant([]) : fc.array(anyOf(schema.items, depth - 1), { maxLength: 2 });
    case 'object': {
      if (depth <= 0) return fc.constant({});
      if (schema.values)
        return fc.dictionary(fc.constantFrom('a', 'cpu'), anyOf(schema.values, depth - 1), { maxKeys: 2 });
      const fields = Object.entries(schema.properties ?? {}).filter(
        ([name]) => !/^(metadata|apiVersion|kind)$/.test(name) || depth < 6,
      );
      return fc
        .subarray(fields, { maxLength: Math.min(fields.length, 6) })
        .chain((chosen) => fc.record(Object.fromEntries(chosen.map(([name, s]) => [name, anyOf(s, depth - 1)]))));
    }
    default:
      return fc.constant({ any: 'thing' });
  }
}

const objectOf = (kind: ServedKind): fc.Arbitrary<KubeObject> =>
  anyOf(kind.schema, 6).map((fields) => ({
    ...(fields as object),
    apiVersion: kind.group ? `${kind.group}/${kind.version}` : kind.version,
    kind: kind.kind,
    metadata: { name: 'a', ...(kind.namespaced ? { namespace: 'default' } : {}) },
  }));

describe.each(kinds.map((kind) => [`${kind.group}/${kind.version} ${kind.kind}`, kind] as const))('%s', (_, kind) => {
  const fill = (object: KubeObject) => kind.strategy.default?.(object) ?? object;
  const check = (property: (object: KubeObject) => void) =>
    fc.assert(
      fc.property(objectOf(kind), (given) => property(kind.decode(given).value)),
      { seed, numRuns: 40 },
    );

  test('rule 41: defaults given twice are the defaults given once', () => {
    check((object) => {
      const once = fill(object);
      expect(fill(once)).toBe(once);
      expect(equalJson(kind.decode(once).value, once)).toBe(true);
    });
  });

  test('whatever it is given, it finds words for it; and an update that changes nothing passes where create did', () => {
    check((object) => {
      let made = fill(object);
      made = kind.strategy.prepareForCreate?.(made, context) ?? made;
      made = fill(made);
      const causes = kind.strategy.validate?.(made) ?? [];
      for (const cause of causes) expect([typeof cause.field, typeof cause.message]).toEqual(['string', 'string']);
      const again = kind.strategy.prepareForUpdate?.(made, made, '') ?? made;
      expect(equalJson(fill(again), made)).toBe(true);
      const changed = kind.strategy.validateUpdate?.(fill(again), made, '') ?? [];
      if (causes.length === 0) expect(changed).toEqual([]);
    });
  });

  test('what is stored and read back is what was written', () => {
    check((object) => {
      const made = fill(object);
      const back = fill(kind.storage.fromStorage(kind.storage.toStorage(made)));
      const again = kind.storage.fromStorage(kind.storage.toStorage(back));
      expect(equalJson(fill(again), back)).toBe(true);
    });
  });
});
