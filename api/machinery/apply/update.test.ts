import type { KubeObject, ManagedFieldsEntry } from '../object.js';
import type { Schema } from '../schema/schema.js';
import { schemaFor } from '../schema/table.js';
import { serverSideApply } from './apply.js';
import { decodeFieldSet, encodeFieldSet, pathsOf } from './field-set.js';
import { managerFromUserAgent, withManagedFields } from './managers.js';
import { at, entry, fields, managers, update, widget } from './testing.js';
import { ignoreManagedTimes, trackUpdate } from './update.js';

describe('field sets', () => {
  test('FieldsV1 is read and written back', () => {
    const wire = {
      'f:metadata': { 'f:labels': { '.': {}, 'f:app': {} } },
      'f:spec': {
        'f:containers': { 'k:{"name":"a"}': { '.': {}, 'f:image': {} } },
        'f:cidrs': { 'v:"x"': {}, 'v:3': {} },
        'f:list': { 'i:0': {} },
      },
    };
    const set = decodeFieldSet(wire);
    expect(encodeFieldSet(set)).toEqual(wire);
    expect(pathsOf(set).map((path) => path.join('/'))).toContain('f:spec/f:containers/k:{"name":"a"}/f:image');
  });

  test('keys are the same in whatever order they are written, unknown elements are dropped', () => {
    const set = decodeFieldSet({ 'k:{"b":1,"a":"x"}': {}, 'z:what': {}, 'k:broken': {}, 'v:broken': {} });
    expect(encodeFieldSet(set)).toEqual({ 'k:{"a":"x","b":1}': {} });
  });

  test('objects of one shape share what is said of them, and none is taken for another', () => {
    const schema: Schema = { type: 'object', properties: { data: { type: 'object', values: { type: 'string' } } } };
    const owned = (data: object) => {
      const object = { metadata: {}, data } as KubeObject;
      const context = { schema, manager: 'm', apiVersion: 'v1', now: 0, resetFields: [] };
      return trackUpdate(undefined, object, context).metadata.managedFields![0]!.fieldsV1!;
    };
    const first = owned({ a: '1', b: '2' });
    expect(owned({ a: '3', b: '4' })['f:data']).toBe(first['f:data']);
    expect(owned({ a: '1' })).toEqual({ 'f:data': { '.': {}, 'f:a': {} } });
    expect(owned({ 'a\n0\nf:b': '1' })).toEqual({ 'f:data': { '.': {}, 'f:a\n0\nf:b': {} } });
  });

  test('lists are told apart by the keys of their elements, long ones and repeated elements too', () => {
    const schema = schemaFor({ group: '', version: 'v1', kind: 'Pod' })!;
    const owned = (...containers: readonly object[]) => {
      const object = { metadata: { name: 'p' }, spec: { containers } } as KubeObject;
      const { managedFields } = trackUpdate(undefined, object, {
        schema,
        manager: 'm',
        apiVersion: 'v1',
        now: 0,
      }).metadata;
      return (managedFields![0]!.fieldsV1 as Record<string, Record<string, object>>)['f:spec']!['f:containers'];
    };
    const ports = (...numbers: readonly number[]) => ({
      name: 'a',
      ports: numbers.map((containerPort) => ({ containerPort })),
    });
    const port = (n: number, protocol: string) => `k:{"containerPort":${n},"protocol":"${protocol}"}`;
    expect(owned(ports(80, 81))).toEqual({
      '.': {},
      'k:{"name":"a"}': {
        '.': {},
        'f:name': {},
        'f:ports': {
          '.': {},
          [port(80, 'TCP')]: { '.': {}, 'f:containerPort': {} },
          [port(81, 'TCP')]: { '.': {}, 'f:containerPort': {} },
        },
      },
    });
    const numbers = Array.from({ length: 200 }, (_, i) => i + 1);
    const many = owned(ports(...numbers)) as Record<string, Record<string, object>>;
    expect(Object.keys(many['k:{"name":"a"}']!['f:ports']!)).toHaveLength(201);
    expect(owned({ name: 'a', ports: [{ containerPort: 80, protocol: 'UDP' }] })).toHaveProperty([
      'k:{"name":"a"}',
      'f:ports',
      port(80, 'UDP'),
      'f:protocol',
    ]);
    // An element that stands twice is owned as one, without its fields.
    expect(owned({ name: 'a' }, { name: 'a', image: 'x' })).toEqual({ '.': {}, 'k:{"name":"a"}': {} });
  });

  test('a client is named by its user agent', () => {
    expect(managerFromUserAgent('kubectl/v1.33.0 (linux/amd64)')).toBe('kubectl');
    expect(managerFromUserAgent(undefined)).toBe('unknown');
    expect(managerFromUserAgent('x'.repeat(200))).toHaveLength(128);
  });
});

describe('updates', () => {
  const created = update(
    undefined,
    widget({ replicas: 1, containers: [{ name: 'a', image: '1' }] }, { labels: { app: 'w' } }),
    'creator',
  );

  test('the creator owns what it set, and never identity', () => {
    expect(created.metadata.managedFields).toEqual([
      {
        manager: 'creator',
        operation: 'Update',
        apiVersion: 'test/v1',
        time: '2026-01-01T00:00:00Z',
        fieldsType: 'FieldsV1',
        fieldsV1: {
          'f:metadata': { 'f:labels': { '.': {}, 'f:app': {} } },
          'f:spec': {
            '.': {},
            'f:containers': { '.': {}, 'k:{"name":"a"}': { '.': {}, 'f:image': {}, 'f:name': {} } },
            'f:replicas': {},
          },
        },
      },
    ]);
  });

  test('who changes a field owns it from then on', () => {
    const scaled = update(created, { ...created, spec: { ...created.spec, replicas: 2 } }, 'scaler', { now: at(5) });
    expect(fields(scaled, 'scaler')).toEqual({ 'f:spec': { 'f:replicas': {} } });
    expect(entry(scaled, 'scaler')?.time).toBe('2026-01-01T00:00:05Z');
    expect(JSON.stringify(fields(scaled, 'creator'))).not.toContain('replicas');
    expect(entry(scaled, 'creator')?.time).toBe('2026-01-01T00:00:00Z');
  });

  test('fields that vanish leave their owners, and an owner without fields is gone', () => {
    const { replicas: _, ...rest } = created.spec!;
    const scaled = update(created, { ...created, spec: { ...created.spec, replicas: 2 } }, 'scaler');
    const gone = update(scaled, { ...scaled, spec: rest }, 'remover');
    expect(managers(gone)).toEqual(['creator:Update']);
  });

  test('who makes an element stand twice owns it', () => {
    const before = update(undefined, widget({ cidrs: ['a', 'b'] }), 'creator');
    const after = update(before, { ...before, spec: { cidrs: ['a', 'a', 'b'] } }, 'doubler');
    expect(fields(after, 'doubler')).toEqual({ 'f:spec': { 'f:cidrs': { 'v:"a"': {} } } });
    expect(JSON.stringify(fields(after, 'creator'))).not.toContain('v:\\"a\\"');
  });

  test('an update that changes nothing keeps the managed fields themselves', () => {
    const again = update(
      created,
      { ...created, metadata: { ...created.metadata, resourceVersion: '9', generation: 3 } },
      'other',
      { now: at(9) },
    );
    expect(again.metadata.managedFields).toBe(created.metadata.managedFields);
  });

  test('each endpoint tracks its own part', () => {
    const reported = update(created, { ...created, spec: { replicas: 9 }, status: { ready: 1 } }, 'kubelet', {
      subresource: 'status',
    });
    expect(managers(reported)).toEqual(['creator:Update', 'kubelet:Update/status']);
    expect(fields(reported, 'kubelet')).toEqual({ 'f:status': { '.': {}, 'f:ready': {} } });
    const main = update(created, { ...created, status: { ready: 4 } }, 'liar');
    expect(managers(main)).toEqual(['creator:Update']);
  });

  test('managed fields are cleared by an empty list or entry, and not through a subresource', () => {
    const clear = (entries: readonly ManagedFieldsEntry[]) => ({
      ...created,
      metadata: { ...created.metadata, managedFields: entries },
    });
    expect(update(created, clear([]), 'x').metadata.managedFields).toBeUndefined();
    expect(update(created, clear([{}]), 'x').metadata.managedFields).toBeUndefined();
    expect(update(created, clear([]), 'x', { subresource: 'status' }).metadata.managedFields).toEqual(
      created.metadata.managedFields,
    );
    expect(update(created, clear([{ manager: 'odd' }]), 'x').metadata.managedFields).toEqual(
      created.metadata.managedFields,
    );
    const untracked = update(created, clear([]), 'x');
    expect(update(untracked, widget({ replicas: 5 }), 'x').metadata.managedFields).toBeUndefined();
  });

  test('more than ten updaters are merged into one, oldest first', () => {
    let object = created;
    for (let i = 1; i <= 14; i++) {
      object = update(
        object,
        { ...object, metadata: { ...object.metadata, labels: { ...object.metadata.labels, [`l${i}`]: 'x' } } },
        `m${i}`,
        {
          now: at(i),
        },
      );
    }
    expect(object.metadata.managedFields).toHaveLength(10);
    expect(managers(object)[0]).toBe('ancient-changes:Update');
    expect(JSON.stringify(fields(object, 'ancient-changes'))).toMatch(/f:replicas.*/);
    expect(JSON.stringify(fields(object, 'ancient-changes'))).toContain('f:l5');
    expect(managers(object)).toContain('m14:Update');
    expect(managers(object)).not.toContain('m5:Update');
  });

  test('writes that only move a timestamp are no writes', () => {
    const later = withManagedFields(
      created,
      created.metadata.managedFields!.map((e) => ({ ...e, time: '2027-01-01T00:00:00Z' })),
    );
    expect(ignoreManagedTimes(created, later)).toBe(created);
    const changed = { ...later, spec: { replicas: 7 } };
    expect(ignoreManagedTimes(created, changed)).toBe(changed);
  });
});

describe('built-in kinds', () => {
  const schema = schemaFor({ group: 'apps', version: 'v1', kind: 'Deployment' })!;
  const template = {
    metadata: { labels: { app: 'w' } },
    spec: {
      containers: [
        {
          name: 'n',
          image: 'i',
          resources: { requests: { cpu: '100m' } },
          ports: [{ containerPort: 80, protocol: 'TCP' }],
        },
      ],
    },
  };
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'w' },
    spec: { replicas: 1, selector: { matchLabels: { app: 'w' } }, strategy: { type: 'Recreate' }, template },
  };
  const apps = { schema, apiVersion: 'apps/v1', now: at(0) };

  test('a created Deployment is tracked as kubectl shows it', () => {
    const created = trackUpdate(undefined, deployment, { ...apps, manager: 'kubectl-create' });
    expect(fields(created, 'kubectl-create')).toEqual({
      'f:spec': {
        'f:replicas': {},
        'f:selector': {},
        'f:strategy': { 'f:type': {} },
        'f:template': {
          'f:metadata': { 'f:labels': { '.': {}, 'f:app': {} } },
          'f:spec': {
            'f:containers': {
              '.': {},
              'k:{"name":"n"}': {
                '.': {},
                'f:image': {},
                'f:name': {},
                'f:ports': {
                  '.': {},
                  'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {}, 'f:protocol': {} },
                },
                'f:resources': { '.': {}, 'f:requests': { '.': {}, 'f:cpu': {} } },
              },
            },
          },
        },
      },
    });
  });

  test('a quantity written otherwise is no change and no conflict', () => {
    const created = trackUpdate(undefined, deployment, { ...apps, manager: 'kubectl-create' });
    const config = JSON.parse(JSON.stringify(deployment).replace('"100m"', '"0.1"')) as typeof deployment;
    const result = serverSideApply(created, config, { ...apps, manager: 'alice' });
    expect(result.spec).toBe(created.spec);
  });
});
