import fc from 'fast-check';
import { isReason, StatusError } from '../status.js';
import { createJsonPatch } from './diff.js';
import { applyJsonPatch, type JsonPatchOperation, maxJsonPatchOperations, parseJsonPatch } from './json-patch.js';
import { applyMergePatch, createMergePatch } from './merge-patch.js';
import { equalJson } from './structure.js';

/** Freezes deeply, so that a patch that changes its input fails loudly. */
function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const child of Object.values(value)) frozen(child);
  }
  return value;
}

function statusOf(run: () => unknown): StatusError {
  try {
    run();
  } catch (error) {
    if (error instanceof StatusError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const causeOf = (run: () => unknown): string => statusOf(run).status.details?.causes?.[0]?.message ?? '';

const pod = frozen({
  metadata: { name: 'a', labels: { app: 'web', 'a/b': 'c' } as Record<string, string> },
  spec: { containers: [{ name: 'x', args: ['1', '2', '3'] }, { name: 'y' }], replicas: 1 } as Record<string, unknown>,
});

describe('JSON patch', () => {
  test('applies operations in order and shares what they do not reach', () => {
    const result = applyJsonPatch(pod, [
      { op: 'test', path: '/spec/replicas', value: 1 },
      { op: 'replace', path: '/spec/replicas', value: 3 },
      { op: 'add', path: '/spec/containers/-', value: { name: 'z' } },
      { op: 'remove', path: '/spec/containers/0/args/1' },
      { op: 'move', from: '/spec/replicas', path: '/spec/count' },
      { op: 'copy', from: '/spec/containers/1', path: '/spec/first' },
      { op: 'add', path: '/spec/first/name', value: 'copied' },
    ]);
    expect(result.spec).toEqual({
      containers: [{ name: 'x', args: ['1', '3'] }, { name: 'y' }, { name: 'z' }],
      count: 3,
      first: { name: 'copied' },
    });
    expect(result.metadata).toBe(pod.metadata);
    expect((result.spec as typeof pod.spec).containers).not.toBe(pod.spec.containers);
    expect((result.spec.containers as unknown[])[1]).toBe((pod.spec.containers as unknown[])[1]);
  });

  test('escapes in pointers, whole-document replacement, and values that are not aliased', () => {
    expect(applyJsonPatch(pod, [{ op: 'remove', path: '/metadata/labels/a~1b' }]).metadata.labels).toEqual({
      app: 'web',
    });
    expect(applyJsonPatch<unknown>(pod, [{ op: 'replace', path: '', value: { a: 1 } }])).toEqual({ a: 1 });
    const value = frozen({ deep: { n: 1 } });
    const result = applyJsonPatch<unknown>(pod, [
      { op: 'add', path: '/extra', value },
      { op: 'replace', path: '/extra/deep/n', value: 2 },
    ]);
    expect(result).toMatchObject({ extra: { deep: { n: 2 } } });
    expect(value.deep.n).toBe(1);
  });

  test.each<[JsonPatchOperation, string]>([
    [{ op: 'test', path: '/metadata/name', value: 'b' }, 'testing value /metadata/name failed: test failed'],
    [{ op: 'test', path: '/metadata/none', value: 'b' }, 'testing value /metadata/none failed: test failed'],
    [
      { op: 'remove', path: '/spec/none' },
      "error in remove for path: '/spec/none': Unable to remove nonexistent key: none: missing value",
    ],
    [
      { op: 'add', path: '/a/b/c', value: 1 },
      'add operation does not apply: doc is missing path: "/a/b/c": missing value',
    ],
    [
      { op: 'replace', path: '/spec/x', value: 1 },
      'replace operation does not apply: doc is missing key: /spec/x: missing value',
    ],
    [
      { op: 'add', path: '/spec/containers/9', value: 1 },
      "error in add for path: '/spec/containers/9': Unable to access invalid index: 9: invalid index referenced",
    ],
    [
      { op: 'copy', from: '/none', path: '/x' },
      'copy operation does not apply: doc is missing from path: /none: missing value',
    ],
  ])('%j does not apply', (operation, message) => {
    const error = statusOf(() => applyJsonPatch(pod, [operation]));
    expect(error.code).toBe(422);
    expect(error.message).toBe('the server rejected our request due to an error in our request');
    expect(error.status.details?.causes?.[0]?.message).toBe(message);
  });

  test('bodies are checked and bounded', () => {
    expect(
      isReason(
        statusOf(() => parseJsonPatch({ op: 'add' })),
        'BadRequest',
      ),
    ).toBe(true);
    for (const bad of [
      { op: 'jump', path: '/a' },
      { op: 'add', path: '/a' },
      { op: 'add', path: 'a', value: 1 },
      null,
    ]) {
      expect(statusOf(() => parseJsonPatch([bad])).code).toBe(400);
    }
    const many = Array.from({ length: maxJsonPatchOperations + 1 }, () => ({ op: 'remove', path: '/a' }));
    const error = statusOf(() => parseJsonPatch(many));
    expect([error.code, error.message]).toEqual([
      413,
      'The allowed maximum operations in a JSON patch is 10000, got 10001',
    ]);
    const doubling = Array.from({ length: 30 }, (): JsonPatchOperation => ({ op: 'copy', from: '/a', path: '/a/-' }));
    expect(causeOf(() => applyJsonPatch({ a: ['0123456789'] }, doubling))).toMatch(/accumulated size increase of copy/);
  });

  test('prototypes cannot be reached', () => {
    expect(() => applyJsonPatch({}, [{ op: 'add', path: '/__proto__/polluted', value: 1 }])).toThrow();
    expect(() => applyJsonPatch({}, [{ op: 'add', path: '/constructor/prototype/polluted', value: 1 }])).toThrow();
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });
});

const scalar = fc.oneof(fc.integer({ min: 0, max: 5 }), fc.constantFrom('a', 'b', ''), fc.boolean());
const key = fc.constantFrom('a', 'b', 'c', 'x/y', '~z', '');
const { json, object } = fc.letrec<{ json: unknown; object: Record<string, unknown> }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 4 },
    scalar,
    fc.array(tie('json'), { maxLength: 5 }),
    tie('object') as fc.Arbitrary<unknown>,
  ),
  object: fc.dictionary(key, tie('json'), { maxKeys: 4 }),
}));

describe('differences', () => {
  test('the JSON patch from one document to another makes that other', () => {
    fc.assert(
      fc.property(json, json, (from, to) => {
        const operations = parseJsonPatch(createJsonPatch(from, to));
        expect(applyJsonPatch(frozen(from), operations)).toEqual(to);
      }),
      { numRuns: 500 },
    );
  });

  test('the merge patch from one object to another makes that other', () => {
    fc.assert(
      fc.property(object, object, (from, to) => {
        const patch = createMergePatch(from, to);
        expect(patch === undefined).toBe(equalJson(from, to));
        if (patch) expect(applyMergePatch(frozen(from), patch)).toEqual(to);
      }),
      { numRuns: 500 },
    );
  });

  test('equal documents need no operation, one inserted or removed element needs one', () => {
    fc.assert(fc.property(json, (value) => expect(createJsonPatch(value, structuredClone(value))).toEqual([])));
    expect(createJsonPatch([1, 2, 4], [1, 2, 3, 4])).toEqual([{ op: 'add', path: '/2', value: 3 }]);
    expect(createJsonPatch([1, 2, 3, 4], [1, 3, 4])).toEqual([{ op: 'remove', path: '/1' }]);
    const list = [
      { n: 1, v: 1 },
      { n: 2, v: 1 },
      { n: 3, v: 1 },
    ];
    expect(
      createJsonPatch(list, [
        { n: 1, v: 2 },
        { n: 3, v: 1 },
      ]),
    ).toHaveLength(2);
    expect(createJsonPatch({ a: { b: 1, c: 1 } }, { a: { b: 2, c: 1 } })).toEqual([
      { op: 'replace', path: '/a/b', value: 2 },
    ]);
  });
});

describe('merge patch', () => {
  test('null removes, objects merge, lists replace, the rest is shared', () => {
    const result = applyMergePatch(pod, {
      metadata: { labels: { app: null, tier: 'front' } },
      spec: { containers: [{ name: 'n' }] },
    });
    expect(result).toEqual({
      metadata: { name: 'a', labels: { 'a/b': 'c', tier: 'front' } },
      spec: { containers: [{ name: 'n' }], replicas: 1 },
    });
    expect(applyMergePatch(pod, { metadata: { labels: { app: 'web', none: null } }, spec: { replicas: 1 } })).toBe(pod);
    expect(applyMergePatch(pod, { metadata: { name: 'b' } }).spec).toBe(pod.spec);
    expect(applyMergePatch({ a: 1 }, { a: { b: null, c: { d: null } } })).toEqual({ a: { c: {} } });
    expect(statusOf(() => applyMergePatch(pod, [])).code).toBe(400);
  });

  test('a key named __proto__ is only a key', () => {
    const result = applyMergePatch({}, JSON.parse('{"__proto__":{"polluted":1}}'));
    expect(Object.getPrototypeOf(result)).toBe(Object.prototype);
    expect((result as { polluted?: unknown }).polluted).toBeUndefined();
  });
});
