import fc from 'fast-check';
import { StatusError } from '../status.js';
import { applyStrategicMergePatch } from './strategic.js';
import { createStrategicMergePatch } from './strategic-diff.js';
import { equalJson } from './structure.js';
import { widgetSchema } from './testing.js';

const apply = (original: object, patch: object): unknown => applyStrategicMergePatch(original, patch, widgetSchema);
const spec = (original: object, patch: object): unknown =>
  (apply({ spec: original }, { spec: patch }) as { spec: unknown }).spec;
const names = (value: unknown): string[] => (value as { containers: { name: string }[] }).containers.map((c) => c.name);
const named = (...list: string[]) => list.map((name) => ({ name }));

function failure(run: () => unknown): [number, string] {
  try {
    run();
  } catch (error) {
    if (error instanceof StatusError) {
      return [error.code, error.status.details?.causes?.[0]?.message ?? error.message];
    }
  }
  return [0, 'nothing was thrown'];
}

describe('strategic merge patch', () => {
  test('lists of objects merge by their merge key', () => {
    const original = {
      containers: [
        { name: 'a', image: '1', args: ['x'] },
        { name: 'b', image: '1' },
      ],
    };
    const result = spec(original, { containers: [{ name: 'b', image: '2' }] }) as typeof original;
    expect(result).toEqual({
      containers: [
        { name: 'a', image: '1', args: ['x'] },
        { name: 'b', image: '2' },
      ],
    });
    expect(result.containers[0]).toBe(original.containers[0]);
    expect(spec(original, { containers: [{ name: 'b', image: '1' }] })).toBe(original);
  });

  test('new elements come before those only the server knows, lists without a strategy are replaced', () => {
    expect(names(spec({ containers: named('a', 'b') }, { containers: named('c') }))).toEqual(['c', 'a', 'b']);
    expect(names(spec({ containers: named('a', 'b', 'c') }, { containers: named('c', 'a') }))).toEqual(['b', 'c', 'a']);
    expect(spec({ tolerations: [{ key: 'a' }] }, { tolerations: [{ key: 'b' }] })).toEqual({
      tolerations: [{ key: 'b' }],
    });
    expect(
      spec({ containers: [{ name: 'a', args: ['1', '2'] }] }, { containers: [{ name: 'a', args: ['3'] }] }),
    ).toEqual({
      containers: [{ name: 'a', args: ['3'] }],
    });
  });

  test('primitives with the merge strategy are united, and removed by their directive', () => {
    expect(spec({ cidrs: ['a', 'b'] }, { cidrs: ['b', 'c'] })).toEqual({ cidrs: ['a', 'b', 'c'] });
    expect(spec({ cidrs: ['a', 'b', 'c'] }, { '$deleteFromPrimitiveList/cidrs': ['b', 'z'] })).toEqual({
      cidrs: ['a', 'c'],
    });
    expect(spec({}, { '$deleteFromPrimitiveList/cidrs': ['b'] })).toEqual({});
    expect(
      spec(
        { cidrs: ['a', 'b', 'c'] },
        { cidrs: ['d'], '$deleteFromPrimitiveList/cidrs': ['b'], '$setElementOrder/cidrs': ['d', 'c', 'a'] },
      ),
    ).toEqual({ cidrs: ['d', 'c', 'a'] });
  });

  test('$patch deletes and replaces elements and objects', () => {
    const original = { containers: named('a', 'b', 'c') };
    expect(names(spec(original, { containers: [{ name: 'b', $patch: 'delete' }] }))).toEqual(['a', 'c']);
    expect(names(spec(original, { containers: [{ name: 'z', $patch: 'delete' }] }))).toEqual(['a', 'b', 'c']);
    expect(names(spec(original, { containers: [{ name: 'n' }, { $patch: 'replace' }] }))).toEqual(['n']);
    expect(spec({ strategy: { type: 'A', rolling: {} } }, { strategy: { $patch: 'replace', type: 'B' } })).toEqual({
      strategy: { type: 'B' },
    });
    expect(spec({ strategy: { type: 'A' } }, { strategy: { $patch: 'delete' } })).toEqual({ strategy: {} });
    expect(
      spec(
        {},
        {
          containers: [
            { name: 'a', $patch: 'delete' },
            { name: 'b', image: null },
          ],
        },
      ),
    ).toEqual({
      containers: [{ name: 'b' }],
    });
  });

  test('$retainKeys clears the other members of a union', () => {
    const original = { strategy: { type: 'Rolling', rolling: { surge: 1 } } };
    expect(spec(original, { strategy: { $retainKeys: ['type'], type: 'Recreate' } })).toEqual({
      strategy: { type: 'Recreate' },
    });
    expect(
      spec(
        { volumes: [{ name: 'v', empty: { medium: '' } }, { name: 'w' }] },
        { volumes: [{ name: 'v', $retainKeys: ['name', 'path'], path: { path: '/x' } }] },
      ),
    ).toEqual({ volumes: [{ name: 'v', path: { path: '/x' } }, { name: 'w' }] });
    expect(failure(() => spec(original, { strategy: { $retainKeys: ['rolling'], type: 'Recreate' } }))).toEqual([
      400,
      'invalid patch format of retainKeys',
    ]);
  });

  test('$setElementOrder puts the client’s elements in order and keeps what only the server knows in place', () => {
    const original = { containers: named('a', 'server', 'b') };
    const order = (...list: string[]) => ({ '$setElementOrder/containers': named(...list) });
    expect(names(spec(original, order('b', 'a')))).toEqual(['server', 'b', 'a']);
    expect(names(spec(original, order('a', 'b')))).toEqual(['a', 'server', 'b']);
    expect(names(spec(original, { ...order('a', 'new', 'b'), containers: named('new') }))).toEqual([
      'a',
      'new',
      'server',
      'b',
    ]);
    expect(names(spec({}, { ...order('y', 'x'), containers: named('y', 'x') }))).toEqual(['y', 'x']);
    expect(failure(() => spec(original, { ...order('a', 'b'), containers: named('c') }))[0]).toBe(422);
    expect(failure(() => spec(original, { '$setElementOrder/containers': 'a' }))[0]).toBe(400);
    expect(spec(original, { ...order('a'), containers: null })).toEqual({});
  });

  test('an element that replaces a deleted one comes after those only the server knows', () => {
    const patch = {
      '$setElementOrder/containers': named('a', 'new'),
      containers: [{ name: 'new' }, { name: 'old', $patch: 'delete' }],
    };
    expect(names(spec({ containers: named('old', 'a', 'sidecar') }, patch))).toEqual(['a', 'sidecar', 'new']);
  });

  test('nulls remove, and leave nothing behind in values that are new', () => {
    expect(spec({ replicas: 3, free: 1 }, { replicas: null, none: null })).toEqual({ free: 1 });
    expect(spec({}, { strategy: { type: 'A', rolling: null } })).toEqual({ strategy: { type: 'A' } });
  });

  test('what does not fit is refused', () => {
    expect(failure(() => spec({ containers: named('a') }, { containers: [{ image: 'x' }] }))).toEqual([
      422,
      'map: {"image":"x"} does not contain declared merge key: name',
    ]);
    expect(failure(() => spec({ containers: named('a') }, { containers: ['a'] }))[0]).toBe(422);
    expect(failure(() => spec({ containers: named('a') }, { containers: [{ name: 'a', $patch: 'mend' }] }))).toEqual([
      422,
      'unknown patch type: mend',
    ]);
    expect(failure(() => apply({}, []))[0]).toBe(400);
  });

  const name = fc.constantFrom('a', 'b', 'c', 'd');
  const container = fc.record({
    name,
    image: fc.option(fc.constantFrom('1', '2'), { nil: undefined }),
    args: fc.option(fc.array(fc.constantFrom('x', 'y'), { minLength: 1, maxLength: 3 }), { nil: undefined }),
    env: fc.option(
      fc.uniqueArray(fc.record({ name, value: fc.constantFrom('1', '2') }), { selector: (e) => e.name, maxLength: 3 }),
      { nil: undefined },
    ),
    ports: fc.option(
      fc.array(fc.record({ port: fc.constantFrom(80, 443), protocol: fc.constantFrom('TCP', 'UDP') }), {
        maxLength: 3,
      }),
      {
        nil: undefined,
      },
    ),
  });
  const widget = fc
    .record({
      replicas: fc.option(fc.nat(3), { nil: undefined }),
      containers: fc.uniqueArray(container, { selector: (c) => c.name, maxLength: 4 }),
      cidrs: fc.option(fc.uniqueArray(name), { nil: undefined }),
      tolerations: fc.option(fc.array(fc.record({ key: name })), { nil: undefined }),
      strategy: fc.option(
        fc.oneof(
          fc.constant({ type: 'Recreate' }),
          fc.record({ type: fc.constant('Rolling'), rolling: fc.record({ surge: fc.nat(2) }) }),
        ),
        { nil: undefined },
      ),
      volumes: fc.uniqueArray(
        fc.oneof(
          fc.record({ name, empty: fc.constant({ medium: 'm' }) }),
          fc.record({ name, path: fc.record({ path: name }) }),
        ),
        { selector: (v) => v.name },
      ),
    })
    .map((value) => JSON.parse(JSON.stringify({ spec: value })) as object);

  const repeatsPort = (value: object): boolean =>
    ((value as { spec: { containers: { ports?: { port: number }[] }[] } }).spec.containers ?? []).some(
      ({ ports = [] }) => new Set(ports.map((p) => p.port)).size < ports.length,
    );

  test('the patch between two objects makes the second of the first', () => {
    fc.assert(
      fc.property(widget, widget, (from, to) => {
        const patch = createStrategicMergePatch(from, to, widgetSchema);
        expect(patch === undefined).toBe(equalJson(from, to));
        if (patch) expect(apply(from, patch)).toEqual(to);
      }),
      { numRuns: 500 },
    );
  });

  test('a patch applied a second time changes nothing', () => {
    fc.assert(
      fc.property(widget, widget, widget, (from, to, base) => {
        // A port number used by two protocols has no merge key of its own: known weakness of the format.
        fc.pre(![from, to, base].some(repeatsPort));
        const patch = createStrategicMergePatch(from, to, widgetSchema) ?? {};
        const once = apply(base, patch) as object;
        expect(apply(once, patch)).toEqual(once);
      }),
      { numRuns: 300 },
    );
  });

  test('elements that others added meanwhile stay', () => {
    const from = { spec: { containers: named('a', 'b') } };
    const to = { spec: { containers: [{ name: 'b', image: '2' }] } };
    const patch = createStrategicMergePatch(from, to, widgetSchema)!;
    expect(apply({ spec: { containers: named('a', 'sidecar', 'b') } }, patch)).toEqual({
      spec: { containers: [{ name: 'sidecar' }, { name: 'b', image: '2' }] },
    });
  });
});
