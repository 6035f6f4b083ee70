import { decodeTyped } from './decode.js';
import { decodeStructural } from './decode-structural.js';
import type { Schema } from './schema.js';
import { schemaFor } from './table.js';

const pod = schemaFor({ group: '', version: 'v1', kind: 'Pod' })!;
const deployment = schemaFor({ group: 'apps', version: 'v1', kind: 'Deployment' })!;
const spec = (fields: object) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' }, spec: fields, status: {} });
const messages = (schema: Schema, value: unknown) => decodeTyped(schema, value).errors.map((e) => e.message);

describe('built-in kinds', () => {
  test('what needs no change comes back as the same object', () => {
    const value = spec({
      containers: [{ name: 'a', image: 'b', resources: { limits: { cpu: '1' } } }],
      hostNetwork: true,
    });
    const out = decodeTyped(pod, value);
    expect(out.value).toBe(value);
    expect(out).toMatchObject({ unknown: [], errors: [] });
  });

  test('what is shared with a known object is taken as it is, and everything else read', () => {
    const known = spec({ containers: [{ name: 'a', image: 'b' }], nodeName: 'n' }) as { spec: object };
    const next = { ...known, spec: { ...known.spec, hostname: null, x: 1, dnsConfig: { nameservers: [1] } } };
    const out = decodeTyped<typeof next>(pod, next, known);
    expect(out.unknown).toEqual(['unknown field "spec.x"']);
    expect(out.errors.map((e) => e.field)).toEqual(['spec.dnsConfig.nameservers[0]']);
    expect(decodeTyped(pod, { ...next, spec: { ...known.spec, hostname: null } }, known).value).toEqual(known);
  });

  test('unknown fields are pruned and named with their path, in order', () => {
    const out = decodeTyped(pod, {
      ...spec({ foo: 1, containers: [{ name: 'a' }, { name: 'b', imag: 'c', ports: [{ containerPort: 1, x: {} }] }] }),
      stat: {},
    });
    expect(out.unknown).toEqual([
      'unknown field "spec.foo"',
      'unknown field "spec.containers[1].imag"',
      'unknown field "spec.containers[1].ports[0].x"',
      'unknown field "stat"',
    ]);
    expect(out.value).toEqual(
      spec({
        containers: [
          { name: 'a', resources: {} },
          { name: 'b', ports: [{ containerPort: 1 }], resources: {} },
        ],
      }),
    );
  });

  test.each([
    [
      { spec: { replicas: '3' } },
      'json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      { spec: { replicas: 1.5 } },
      'json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      { spec: { replicas: 3000000000 } },
      'json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32',
    ],
    [
      { metadata: { labels: { a: 1 } } },
      'json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string',
    ],
    [
      { spec: { template: { spec: { containers: {} } } } },
      'json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container',
    ],
    [
      { spec: { template: { spec: { containers: ['a'] } } } },
      'json: cannot unmarshal string into Go struct field PodSpec.spec.template.spec.containers of type v1.Container',
    ],
    [
      { spec: { paused: 'true' } },
      'json: cannot unmarshal string into Go struct field DeploymentSpec.spec.paused of type bool',
    ],
    [
      { metadata: { labels: [] } },
      'json: cannot unmarshal array into Go struct field ObjectMeta.metadata.labels of type map[string]string',
    ],
    [[], 'json: cannot unmarshal array into Go value of type v1.Deployment'],
  ])('a wrong type is refused in the words of Kubernetes: %j', (value, message) => {
    expect(messages(deployment, value)).toEqual([message]);
  });

  test('all type errors are reported, each with its exact path', () => {
    const out = decodeTyped(
      pod,
      spec({ hostNetwork: 'no', containers: [{ name: 1 }, { name: 'b', ports: [{ containerPort: '80' }] }] }),
    );
    expect(out.errors.map((e) => e.field)).toEqual([
      'spec.hostNetwork',
      'spec.containers[0].name',
      'spec.containers[1].ports[0].containerPort',
    ]);
  });

  test('null means absent, and the zero value inside lists and maps', () => {
    const out = decodeTyped(pod, {
      metadata: { name: null, labels: { a: null }, creationTimestamp: null },
      spec: { containers: [null, { name: 'a', args: ['x', null] }], nodeName: null },
    });
    expect(out.value).toEqual({
      metadata: { labels: { a: '' } },
      spec: { containers: [{ resources: {} }, { name: 'a', args: ['x', ''], resources: {} }] },
      status: {},
    });
  });

  test('what Go would not write back is left out, what a zero is meant by stays', () => {
    const out = decodeTyped(
      pod,
      spec({
        hostNetwork: false,
        hostname: '',
        volumes: [],
        nodeSelector: {},
        terminationGracePeriodSeconds: 0,
        securityContext: {},
      }),
    );
    expect(out.value).toEqual(spec({ terminationGracePeriodSeconds: 0, securityContext: {} }));
  });

  test('quantities, times and base64 take their canonical form', () => {
    const limits = { cpu: 0.5, memory: '1024Mi', 'example.com/x': '1000m' };
    const out = decodeTyped(pod, {
      metadata: { deletionTimestamp: '2026-01-02T03:04:05.678+02:00' },
      spec: { containers: [{ name: 'a', resources: { limits } }] },
    });
    expect(out.value).toEqual({
      metadata: { deletionTimestamp: '2026-01-02T01:04:05Z' },
      spec: {
        containers: [{ name: 'a', resources: { limits: { cpu: '500m', memory: '1Gi', 'example.com/x': '1' } } }],
      },
      status: {},
    });
    const lease = schemaFor({ group: 'coordination.k8s.io', version: 'v1', kind: 'Lease' })!;
    expect(decodeTyped(lease, { spec: { renewTime: '2026-01-02T03:04:05.1Z' } }).value).toEqual({
      metadata: {},
      spec: { renewTime: '2026-01-02T03:04:05.100000Z' },
    });
    const secret = schemaFor({ group: '', version: 'v1', kind: 'Secret' })!;
    expect(decodeTyped(secret, { metadata: {}, data: { a: 'aGVs\nbG8=' } }).value).toEqual({
      metadata: {},
      data: { a: 'aGVsbG8=' },
    });
    expect(messages(secret, { data: { a: 'not base64!' } })).toEqual(['illegal base64 data at input byte 3']);
    expect(messages(pod, spec({ containers: [{ name: 'a', resources: { limits: { cpu: 'lots' } } }] }))[0]).toMatch(
      /^quantities must match the regular expression/,
    );
    expect(messages(pod, { metadata: { deletionTimestamp: '2026-02-30T00:00:00Z' } })[0]).toMatch(
      /^parsing time "2026-02-30T00:00:00Z"/,
    );
  });

  test('a key called __proto__ is data', () => {
    const labels = JSON.parse('{"__proto__":"x","a":null}');
    const out = decodeTyped<{ metadata: { labels: object } }>(pod, { metadata: { labels } });
    expect(JSON.stringify(out.value.metadata.labels)).toBe('{"__proto__":"x","a":""}');
    expect(decodeTyped(pod, JSON.parse('{"spec":{"__proto__":{"x":1}}}')).unknown).toEqual([
      'unknown field "spec.__proto__"',
    ]);
  });
});

describe('custom kinds', () => {
  const schema: Schema = {
    type: 'object',
    properties: {
      spec: {
        type: 'object',
        properties: {
          size: { type: 'integer', default: 3 },
          note: { type: 'string', nullable: true, default: 'none' },
          free: { type: 'object', preserveUnknown: true, properties: { known: { type: 'object', properties: {} } } },
          list: { type: 'array', items: { type: 'object', properties: { a: { type: 'string', default: 'x' } } } },
          labels: { type: 'object', values: { type: 'string' } },
          template: {
            type: 'object',
            embeddedResource: true,
            properties: { spec: { type: 'object', preserveUnknown: true } },
          },
        },
        default: {},
      },
    },
  };

  test('defaults are filled in, also below defaults, and null gives way to them', () => {
    expect(decodeStructural(schema, {}).value).toEqual({ spec: { size: 3, note: 'none' } });
    expect(decodeStructural(schema, { spec: { size: null, note: null, list: [{}] } }).value).toEqual({
      spec: { size: 3, note: null, list: [{ a: 'x' }] },
    });
    expect(decodeStructural(schema, { spec: { size: null } }, { defaults: false }).value).toEqual({ spec: {} });
  });

  test('unknown fields are pruned unless preserved; the object is a resource', () => {
    const out = decodeStructural(schema, {
      apiVersion: 'x/v1',
      kind: 'X',
      metadata: { name: 'a', nam: 'b' },
      oops: 1,
      spec: {
        size: 1,
        note: 'n',
        free: { any: { thing: null }, known: { gone: 1 } },
        labels: { a: 'b' },
        template: { kind: 'Pod', metadata: { lables: {} }, spec: { z: 1 }, q: 1 },
      },
    });
    expect(out.unknown).toEqual([
      'unknown field "metadata.nam"',
      'unknown field "oops"',
      'unknown field "spec.free.known.gone"',
      'unknown field "spec.template.metadata.lables"',
      'unknown field "spec.template.q"',
    ]);
    expect(out.value).toEqual({
      apiVersion: 'x/v1',
      kind: 'X',
      metadata: { name: 'a' },
      spec: {
        size: 1,
        note: 'n',
        free: { any: { thing: null }, known: {} },
        labels: { a: 'b' },
        template: { kind: 'Pod', metadata: {}, spec: { z: 1 } },
      },
    });
  });

  test('wrong types are left to validation, but metadata is checked', () => {
    const out = decodeStructural(schema, { metadata: { labels: { a: 1 } }, spec: { size: 'big', list: 'no' } });
    expect(out.errors).toEqual([
      {
        field: 'metadata.labels.a',
        message: 'json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string',
      },
    ]);
    expect(out.value).toMatchObject({ spec: { size: 'big', list: 'no' } });
  });

  test('without pruning the fields are reported and stay', () => {
    const value = { spec: { size: 1, note: '', x: 1 } };
    expect(decodeStructural(schema, value, { prune: false })).toEqual({
      value,
      unknown: ['unknown field "spec.x"'],
      errors: [],
    });
  });
});
