import { encodeProtobuf } from '@trimtab/machinery';
import fc from 'fast-check';
import type { Seed } from './seeds.js';

/** Bodies: nearly right objects, patches and deletions, and what is none of these. */

/** Values that have broken programs before. */
const nasty: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -0,
  -1,
  1,
  1.5,
  2 ** 31,
  -(2 ** 31) - 1,
  2 ** 53,
  1e21,
  1e308,
  -1e-7,
  '',
  ' ',
  '\0',
  'a\nb',
  'é',
  '💥',
  '\ud800',
  '\u202e',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '..',
  '/',
  '%',
  '%00',
  '$(A)',
  '{{.}}',
  "'",
  '"',
  '\\',
  '0x10',
  '1e9',
  '1Ei',
  '9223372036854775807',
  '9223372036854775808',
  '-9223372036854775809',
  'NaN',
  'Infinity',
  '2024-02-30T00:00:00Z',
  '2024-01-01T00:00:00Z',
  'PT1S',
  '::1',
  '256.0.0.1',
  '10.0.0.0/33',
  'x'.repeat(300),
  [],
  {},
  [null],
  [[]],
  [{}],
  { '': '' },
  JSON.parse('{"__proto__":{"polluted":true}}'),
  JSON.parse('{"constructor":{"prototype":{"polluted":true}}}'),
  { length: 1e9 },
];
const deep = (depth: number): unknown => {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = i % 2 ? [value] : { a: value };
  return value;
};
const value = fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...nasty) }, { weight: 1, arbitrary: fc.jsonValue() });

/** Where in a value something changes: a choice at every step down, and what happens there. */
interface Mutation {
  readonly steps: readonly number[];
  readonly act: 'set' | 'delete' | 'copy' | 'add';
  readonly value: unknown;
  readonly key: string;
}
const mutation: fc.Arbitrary<Mutation> = fc.record({
  steps: fc.array(fc.nat(50), { minLength: 1, maxLength: 8 }),
  act: fc.constantFrom('set', 'set', 'delete', 'copy', 'add'),
  value,
  key: fc.constantFrom(
    '__proto__',
    'constructor',
    'status',
    'spec',
    'metadata',
    'unknown',
    'name',
    '$patch',
    '$retainKeys',
    '',
    'a.b/c',
  ),
});

function mutate(target: unknown, { steps, act, value: put, key }: Mutation): unknown {
  const copy = structuredClone(target) as Record<string, unknown>;
  let at: Record<string, unknown> = copy;
  for (const [i, step] of steps.entries()) {
    const keys = Object.keys(at);
    const chosen = keys[step % keys.length];
    if (chosen === undefined) break;
    const next = at[chosen];
    if (i < steps.length - 1 && typeof next === 'object' && next !== null) {
      at = next as Record<string, unknown>;
      continue;
    }
    if (act === 'delete') delete at[chosen];
    else if (act === 'set') at[chosen] = put;
    else if (act === 'copy' && Array.isArray(at)) at.push(structuredClone(next));
    else Object.defineProperty(at, key, { value: put, enumerable: true, configurable: true, writable: true });
    break;
  }
  return copy;
}

const mutated = (seed: Seed, name: string, more: object = {}): fc.Arbitrary<unknown> => {
  const named = { ...seed.object, metadata: { name, ...seed.object.metadata, ...more } };
  return fc.array(mutation, { maxLength: 3 }).map((all) => all.reduce(mutate, named as unknown));
};

const pointer = fc.constantFrom(
  '',
  '/',
  '/metadata',
  '/metadata/labels',
  '/metadata/labels/a',
  '/spec',
  '/spec/replicas',
  '/spec/template/spec/containers/0',
  '/spec/template/spec/containers/-',
  '/spec/ports/99999999999999999999',
  '/data/a',
  '/__proto__/polluted',
  '/metadata/finalizers',
  '/status',
  '/metadata/name',
  '/metadata/managedFields',
  '/kind',
  '~',
  '/a~2b',
  '/spec/~1',
  '/metadata/ownerReferences/-',
);
const operation = fc.record({
  op: fc.constantFrom('add', 'remove', 'replace', 'move', 'copy', 'test', 'other', null),
  path: pointer,
  from: pointer,
  value,
});
const directives = fc.constantFrom<object>(
  { $patch: 'delete' },
  { $patch: 'replace', spec: {} },
  { metadata: { $deleteFromPrimitiveList: 1 } },
  { metadata: { '$deleteFromPrimitiveList/finalizers': ['x'] } },
  { spec: { $retainKeys: ['a'], a: 1 } },
  {
    spec: {
      template: {
        spec: { '$setElementOrder/containers': [{ name: 'main' }, { x: 1 }], containers: [{ image: 'no-name' }] },
      },
    },
  },
  { spec: { ports: [{ $patch: 'replace' }, { port: 'x' }] } },
  { metadata: { labels: null } },
  { spec: null },
  { metadata: null },
  { metadata: { managedFields: [{}] } },
  { metadata: { managedFields: [{ manager: 'x', operation: 'Apply', fieldsV1: { 'f:x': 3 } }] } },
  { metadata: { finalizers: ['a.example/f'] } },
  { metadata: { ownerReferences: [{ uid: 'x' }] } },
);

/** The text as the wire has it, with the damage that wires do. */
const encoded = (object: unknown, how: string, seed: number): Buffer => {
  let bytes: Buffer;
  try {
    bytes =
      how === 'protobuf' ? Buffer.from(encodeProtobuf(object as never)) : Buffer.from(JSON.stringify(object) ?? '');
  } catch {
    bytes = Buffer.from(JSON.stringify(object) ?? '');
  }
  if (seed % 6 === 0) return bytes.subarray(0, seed % (bytes.length + 1));
  if (seed % 6 === 1 && bytes.length > 0) {
    const damaged = Buffer.from(bytes);
    damaged[seed % bytes.length] = seed & 255;
    return damaged;
  }
  return bytes;
};

const yamls = [
  'a: &a [*a]',
  'a: &a {b: 1}\nc: {<<: *a}',
  '- - - -',
  '{',
  '!!js/function x',
  'a: 1\na: 2',
  '---\n---\n',
  '\t',
  '? : :',
  `${'a: {'.repeat(200)}`,
  '"\\uD800"',
  '!!binary "*"',
  'a: 0o17\nb: 0x\nc: .nan\nd: -.inf',
];
const types = [
  'application/json',
  'application/yaml',
  'application/vnd.kubernetes.protobuf',
  'text/plain',
  '',
  'application/json; charset=utf-16',
  'application/json;;;',
  'multipart/form-data',
  'application/cbor',
];
const patchTypes = [
  'json-patch+json',
  'merge-patch+json',
  'strategic-merge-patch+json',
  'apply-patch+yaml',
  'apply-patch+cbor',
].map((t) => `application/${t}`);

export const bodyFor = (
  method: string,
  seed: Seed,
  name: string,
): fc.Arbitrary<{ body: Buffer | undefined; type: string }> => {
  const object = fc
    .tuple(mutated(seed, name), fc.constantFrom('json', 'json', 'protobuf'), fc.nat(100_000))
    .map(([o, how, damage]) => ({
      body: encoded(o, how, damage),
      type: how === 'protobuf' ? 'application/vnd.kubernetes.protobuf' : 'application/json',
    }));
  const text = fc
    .tuple(fc.constantFrom(...yamls), fc.constantFrom(...types))
    .map(([t, type]) => ({ body: Buffer.from(t), type }));
  const bytes = fc
    .tuple(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(...types, ...patchTypes))
    .map(([b, type]) => ({ body: Buffer.from(b), type }));
  const nested = fc
    .tuple(fc.constantFrom(100, 1000, 20_000), fc.constantFrom(...types, ...patchTypes))
    .map(([depth, type]) => ({
      body: Buffer.from(
        depth > 5000 ? '['.repeat(depth) + ']'.repeat(depth) : JSON.stringify({ ...seed.object, spec: deep(depth) }),
      ),
      type,
    }));
  const patch = fc
    .tuple(
      fc.oneof(fc.array(operation, { maxLength: 4 }), directives, mutated(seed, name), value),
      fc.constantFrom(...patchTypes),
      fc.nat(100_000),
    )
    .map(([p, type, damage]) => ({ body: encoded(p, 'json', damage), type }));
  const deletion = fc
    .record(
      {
        kind: fc.constant('DeleteOptions'),
        apiVersion: fc.constantFrom('v1', 'meta.k8s.io/v1', 'x'),
        gracePeriodSeconds: value,
        propagationPolicy: fc.constantFrom('Orphan', 'Foreground', 'X', null),
        preconditions: fc.oneof(value, fc.constant({ uid: 'x' })),
        dryRun: fc.oneof(value, fc.constant(['All'])),
      },
      { requiredKeys: [] },
    )
    .map((o) => ({ body: Buffer.from(JSON.stringify(o)), type: 'application/json' }));
  const none = fc.constant({ body: undefined, type: '' });
  if (method === 'GET' || method === 'HEAD') return fc.oneof({ weight: 9, arbitrary: none }, bytes);
  if (method === 'DELETE') return fc.oneof({ weight: 3, arbitrary: none }, deletion, bytes, text);
  if (method === 'PATCH') return fc.oneof({ weight: 12, arbitrary: patch }, text, bytes, nested, object);
  return fc.oneof({ weight: 15, arbitrary: object }, text, bytes, nested, none);
};
