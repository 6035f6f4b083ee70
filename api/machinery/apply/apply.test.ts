import fc from 'fast-check';
import { isReason } from '../status.js';
import { decodeFieldSet, pathsOf } from './field-set.js';
import { lastAppliedAnnotation } from './last-applied.js';
import { withManagedFields } from './managers.js';
import { apply, at, conflictOf, entry, fields, managers, update, type Widget, widget } from './testing.js';

describe('server-side apply', () => {
  const config = widget({ replicas: 1, containers: [{ name: 'a', image: '1' }] }, { labels: { app: 'w' } });
  const created = apply(undefined, config, 'alice');

  test('creates, and the applier owns what it named', () => {
    expect(withManagedFields(created, undefined)).toEqual(config);
    expect(managers(created)).toEqual(['alice:Apply']);
    expect(fields(created, 'alice')).toEqual({
      'f:metadata': { 'f:labels': { 'f:app': {} } },
      'f:spec': { 'f:containers': { 'k:{"name":"a"}': { '.': {}, 'f:image': {}, 'f:name': {} } }, 'f:replicas': {} },
    });
  });

  test('applying the same again is the same object, also at a later time', () => {
    expect(apply(created, config, 'alice', { now: at(50) })).toBe(created);
  });

  test('fields given up are removed, fields of others and unowned ones stay', () => {
    const withOther = update(created, { ...created, spec: { ...created.spec, paused: true } }, 'bob');
    const result = apply(withOther, widget({ containers: [{ name: 'a', image: '1' }] }), 'alice');
    expect(result.spec).toEqual({ containers: [{ name: 'a', image: '1' }], paused: true });
    expect(result.metadata.labels).toBeUndefined();
    expect(managers(result)).toEqual(['alice:Apply', 'bob:Update']);
  });

  test('a conflict names field and owner, and nothing is changed', () => {
    const scaled = update(created, { ...created, spec: { ...created.spec, replicas: 5 } }, 'kubectl-client-side-apply');
    const error = conflictOf(() => apply(scaled, config, 'alice'));
    expect(error.code).toBe(409);
    expect(error.message).toBe(
      'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using test/v1: .spec.replicas',
    );
    expect(error.status.details?.causes).toEqual([
      {
        reason: 'FieldManagerConflict',
        message: 'conflict with "kubectl-client-side-apply" using test/v1',
        field: '.spec.replicas',
      },
    ]);
  });

  test('several conflicts are listed by owner; appliers are named without a version', () => {
    const both = apply(
      apply(undefined, widget({ replicas: 2, paused: true }), 'bob'),
      widget({ cidrs: ['x'] }),
      'carl',
    );
    const error = conflictOf(() =>
      apply(
        update(both, { ...both, spec: { ...both.spec, strategy: { type: 'A' } } }, 'dave'),
        widget({ replicas: 3, paused: false, strategy: { type: 'B' } }),
        'alice',
      ),
    );
    expect(error.message).toBe(
      'Apply failed with 3 conflicts: conflicts with "bob":\n- .spec.paused\n- .spec.replicas\nconflicts with "dave" using test/v1:\n- .spec.strategy.type',
    );
    expect(error.status.details?.causes).toHaveLength(3);
  });

  test('force takes the fields over', () => {
    const scaled = update(created, { ...created, spec: { ...created.spec, replicas: 5 } }, 'bob');
    const result = apply(scaled, config, 'alice', { force: true });
    expect(result.spec?.replicas).toBe(1);
    expect(managers(result)).toEqual(['alice:Apply']);
  });

  test('the same value is shared, and stays until its last owner gives it up', () => {
    const shared = apply(created, widget({ replicas: 1 }), 'bob');
    expect(managers(shared)).toEqual(['alice:Apply', 'bob:Apply']);
    const left = apply(shared, widget({ containers: [{ name: 'a', image: '1' }] }), 'alice');
    expect(left.spec?.replicas).toBe(1);
    const { spec: _, ...nothing } = config;
    const right = apply(left, nothing, 'bob');
    expect(right.spec).toEqual({ containers: [{ name: 'a', image: '1' }] });
    expect(fields(right, 'bob')).toEqual({ 'f:metadata': { 'f:labels': { 'f:app': {} } } });
  });

  test('an element of a keyed list goes with its applier, with the defaults under it, unless another owns it', () => {
    const two = apply(undefined, widget({ containers: [{ name: 'a' }, { name: 'b', image: '1' }] }), 'alice');
    const defaulted = update(
      two,
      widget({ containers: [{ name: 'a' }, { name: 'b', image: '1', args: ['x'] }] }),
      'defaulter',
    );
    const one = apply(defaulted, widget({ containers: [{ name: 'a' }] }), 'alice');
    expect(one.spec).toEqual({ containers: [{ name: 'a' }] });
    const shared = apply(two, widget({ containers: [{ name: 'b' }] }), 'bob');
    expect(apply(shared, widget({ containers: [{ name: 'a' }] }), 'alice').spec).toEqual({
      containers: [{ name: 'a' }, { name: 'b' }],
    });
  });

  test('elements stand in the applied order, those of others keep their place', () => {
    const live = apply(undefined, widget({ containers: ['a', 'b', 'c'].map((name) => ({ name })) }), 'bob');
    const order = (names: string[]) =>
      (
        apply(live, widget({ containers: names.map((name) => ({ name })) }), 'alice').spec!.containers as {
          name: string;
        }[]
      ).map((c) => c.name);
    expect(order(['c', 'a'])).toEqual(['b', 'c', 'a']);
    expect(order(['x'])).toEqual(['a', 'b', 'c', 'x']);
    expect(order(['x', 'a'])).toEqual(['x', 'a', 'b', 'c']);
    expect(order(['a', 'x', 'c'])).toEqual(['a', 'b', 'x', 'c']);
  });

  test('list elements with the same port and another protocol are two, a missing protocol is its default', () => {
    const port = (...ports: object[]) => widget({ containers: [{ name: 'a', ports }] });
    const live = apply(undefined, port({ port: 80, protocol: 'TCP' }, { port: 80, protocol: 'UDP' }), 'alice');
    const same = apply(live, port({ port: 80 }), 'bob');
    expect((same.spec!.containers as { ports: object[] }[])[0]!.ports).toHaveLength(2);
    expect(JSON.stringify(fields(same, 'bob'))).toContain('k:{\\"port\\":80,\\"protocol\\":\\"TCP\\"}');
  });

  test('sets are owned by value, atomic lists and maps as a whole', () => {
    const live = apply(
      undefined,
      widget({ cidrs: ['a', 'b'], tolerations: [{ key: 'x' }], selector: { matchLabels: { a: 'b' } } }),
      'alice',
    );
    expect(fields(live, 'alice')).toEqual({
      'f:spec': { 'f:cidrs': { 'v:"a"': {}, 'v:"b"': {} }, 'f:selector': {}, 'f:tolerations': {} },
    });
    expect(apply(live, widget({ cidrs: ['c'] }), 'bob').spec?.cidrs).toEqual(['a', 'b', 'c']);
    expect(conflictOf(() => apply(live, widget({ tolerations: [{ key: 'y' }] }), 'bob')).message).toContain(
      '.spec.tolerations',
    );
    expect(conflictOf(() => apply(live, widget({ selector: { matchLabels: { c: 'd' } } }), 'bob')).message).toContain(
      '.spec.selector',
    );
  });

  test('free-form values are owned field by field', () => {
    const live = apply(undefined, widget({ free: { a: { b: 1 }, list: [1, 2] } }), 'alice');
    const result = apply(live, widget({ free: { a: { c: 2 } } }), 'bob');
    expect(result.spec?.free).toEqual({ a: { b: 1, c: 2 }, list: [1, 2] });
    expect(conflictOf(() => apply(live, widget({ free: { list: [3] } }), 'bob')).message).toContain('.spec.free.list');
  });

  test('an object nobody tracked belongs to before-first-apply', () => {
    const live = { ...widget({ replicas: 3, paused: true }), metadata: { name: 'w', uid: 'u' } };
    const error = conflictOf(() => apply(live, widget({ replicas: 4 }), 'alice'));
    expect(error.message).toContain('conflict with "before-first-apply" using test/v1: .spec.replicas');
    const result = apply(live, widget({ replicas: 3 }), 'alice');
    expect(managers(result)).toEqual(['alice:Apply', 'before-first-apply:Update']);
  });

  test('the status endpoint applies status, the main one does not', () => {
    const status = {
      ...widget({ replicas: 9 }),
      status: { ready: 1, conditions: [{ type: 'Ready', status: 'True' }] },
    };
    const viaMain = apply(created, { ...config, status: status.status }, 'alice');
    expect(viaMain).toBe(created);
    const viaStatus = apply(created, status, 'kubelet', { subresource: 'status' });
    expect(viaStatus.spec).toBe(created.spec);
    expect(viaStatus.status).toEqual(status.status);
    expect(managers(viaStatus)).toEqual(['alice:Apply', 'kubelet:Apply/status']);
  });

  test('null gives a field up, and is owned as such', () => {
    const live = update(undefined, widget({ replicas: 1, paused: true }), 'bob');
    const result = apply(live, widget({ paused: null }), 'alice', { force: true });
    expect(result.spec).toEqual({ replicas: 1 });
    expect(apply(live, { ...widget({}), spec: null as unknown as Widget['spec'] }, 'alice').spec).toEqual(live.spec);
  });

  test('bad requests are refused with Kubernetes’ words', () => {
    expect(() => apply(undefined, config, '')).toThrow(
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    );
    expect(() => apply(undefined, widget({}, { managedFields: [{}] }), 'a')).toThrow(
      'metadata.managedFields must be nil',
    );
    expect(() => apply(undefined, { ...config, apiVersion: 'test/v2' }, 'a')).toThrow(
      'Incorrect version specified in apply patch. Specified patch version: test/v2, expected: test/v1',
    );
    const error = conflictOf(() =>
      apply(undefined, widget({ containers: [{ image: 'x' }, { name: 'a' }, { name: 'a' }], cidrs: ['x', 'x'] }), 'a'),
    );
    expect(isReason(error, 'Invalid')).toBe(true);
    expect(error.status.details?.causes?.map((cause) => cause.field)).toEqual([
      'spec.containers[0]',
      'spec.containers[2]',
      'spec.cidrs[1]',
    ]);
  });

  test('what client-side apply set goes over to kubectl without conflict, and its annotation is kept in step', () => {
    const last = widget({ replicas: 1, paused: true });
    const annotations = { [lastAppliedAnnotation]: JSON.stringify(last) };
    const live = update(undefined, widget({ replicas: 1, paused: true }, { annotations }), 'kubectl-client-side-apply');
    const next = widget({ replicas: 2, paused: true });
    const result = apply(live, next, 'kubectl');
    expect(result.spec).toEqual({ replicas: 2, paused: true });
    expect(JSON.parse(result.metadata.annotations![lastAppliedAnnotation]!)).toEqual(next);
    expect(() => apply(live, next, 'someone-else')).toThrow('Apply failed with 1 conflict');
    const changedSince = update(live, { ...live, spec: { replicas: 7, paused: true } }, 'hpa');
    expect(() => apply(changedSince, next, 'kubectl')).toThrow('conflict with "hpa" using test/v1: .spec.replicas');
  });

  test('appliers keep their entry from version to version', () => {
    const live = { ...created, apiVersion: 'test/v2' };
    const result = apply(live, { ...config, apiVersion: 'test/v2' }, 'alice', { apiVersion: 'test/v2' });
    expect(managers(result)).toEqual(['alice:Apply']);
    expect(entry(result, 'alice')?.apiVersion).toBe('test/v2');
  });

  const name = fc.constantFrom('a', 'b', 'c');
  const specs = fc
    .record({
      replicas: fc.option(fc.nat(2), { nil: undefined }),
      containers: fc.option(
        fc.uniqueArray(
          fc.record({
            name,
            image: fc.option(fc.constantFrom('1', '2'), { nil: undefined }),
            args: fc.option(fc.array(name, { maxLength: 2 }), { nil: undefined }),
          }),
          { selector: (c) => c.name },
        ),
        { nil: undefined },
      ),
      cidrs: fc.option(fc.uniqueArray(name), { nil: undefined }),
      tolerations: fc.option(fc.array(fc.record({ key: name }), { maxLength: 2 }), { nil: undefined }),
      strategy: fc.option(fc.record({ type: name }), { nil: undefined }),
      free: fc.option(fc.dictionary(name, fc.oneof(fc.nat(2), fc.dictionary(name, fc.nat(2)))), { nil: undefined }),
    })
    .map((spec) => widget(JSON.parse(JSON.stringify(spec)) as object));
  const history = fc.array(
    fc.record({ manager: fc.constantFrom('x', 'y', 'z'), kind: fc.constantFrom('apply', 'update'), object: specs }),
    { maxLength: 6 },
  );
  const replay = (steps: readonly { manager: string; kind: string; object: Widget }[]): Widget | undefined => {
    let live: Widget | undefined;
    for (const { manager, kind, object } of steps) {
      live =
        kind === 'apply'
          ? apply(live, object, manager, { force: true })
          : update(
              live,
              { ...object, metadata: { ...object.metadata, managedFields: live?.metadata.managedFields } },
              manager,
            );
    }
    return live;
  };

  test('whatever came before: applying holds the configuration, and applying again changes nothing', () => {
    fc.assert(
      fc.property(history, specs, (steps, object) => {
        const before = replay(steps);
        const once = apply(before, object, 'x', { force: true });
        expect(apply(once, object, 'x', { now: at(30) })).toBe(once);
        expect(apply(once, object, 'fresh', {}).spec).toEqual(once.spec);
        // Every leaf the configuration names has its value.
        expect(withManagedFields(apply(once, object, 'x'), undefined)).toEqual(withManagedFields(once, undefined));
        for (const key of ['replicas', 'tolerations', 'strategy']) {
          if (object.spec?.[key] !== undefined) expect(once.spec?.[key]).toEqual(object.spec[key]);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('whatever came before: owned fields exist, and nobody but sharers owns a field twice by update', () => {
    fc.assert(
      fc.property(history, (steps) => {
        const live = replay(steps);
        if (!live) return;
        const updaters = (live.metadata.managedFields ?? []).filter((e) => e.operation === 'Update');
        const leaves = updaters.flatMap((e) => pathsOf(decodeFieldSet(e.fieldsV1)).map((path) => path.join('/')));
        expect(new Set(leaves).size).toBe(leaves.length);
      }),
      { numRuns: 300 },
    );
  });

  test('an applier that gives everything up leaves the object as if it had never been there', () => {
    fc.assert(
      fc.property(specs, specs, (base, extra) => {
        const before = update(undefined, base, 'owner');
        let merged: Widget;
        try {
          merged = apply(before, extra, 'guest');
        } catch (error) {
          expect(isReason(error, 'Conflict')).toBe(true);
          return;
        }
        const after = apply(merged, { ...extra, spec: {} }, 'guest');
        const clean = (value: unknown): unknown =>
          JSON.parse(
            JSON.stringify(value, (_, v: unknown) =>
              v !== null && typeof v === 'object' && Object.keys(v).length === 0 ? undefined : v,
            ) ?? 'null',
          );
        expect(clean(sorted(after.spec))).toEqual(clean(sorted(before.spec)));
      }),
      { numRuns: 300 },
    );
  });

  /** Lists by their text: an applier may have reordered what it shared. */
  function sorted(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(sorted).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, sorted(item)]));
  }
});
