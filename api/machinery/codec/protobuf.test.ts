import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { Json } from '../object.js';
import { decodeTyped } from '../schema/decode.js';
import { schemaFor } from '../schema/table.js';
import {
  decodeProtobuf,
  decodeProtobufMessage,
  encodeProtobuf,
  encodeProtobufList,
  encodeProtobufMessage,
  hasProtobuf,
  isProtobuf,
  ProtobufError,
  protobufWatchFrame,
} from './protobuf.js';

const packed = gunzipSync(readFileSync(new URL('./testdata/vectors.json.gz', import.meta.url))).toString();
const vectors = Object.entries(JSON.parse(packed) as Record<string, [string, string]>);
const watchEvent = { group: '', version: 'v1', kind: 'WatchEvent' };
const pod = { group: '', version: 'v1', kind: 'Pod' };

describe('golden vectors', () => {
  test('there is one for every kind', () => expect(vectors).toHaveLength(193));

  test.each(vectors)('%s reads as its JSON and writes as its bytes', (_, [json, base64]) => {
    const bytes = Buffer.from(base64, 'base64');
    expect(decodeProtobuf(bytes, watchEvent)).toEqual(JSON.parse(json));
    expect(Buffer.from(encodeProtobuf(JSON.parse(json))).equals(bytes)).toBe(true);
  });

  test('typed decoding accepts every vector without a complaint of type', () => {
    for (const [name, [json]] of vectors) {
      const object = JSON.parse(json) as { apiVersion?: string; kind?: string };
      const [group, version] = object.apiVersion?.includes('/')
        ? object.apiVersion.split('/')
        : ['', object.apiVersion];
      const schema = object.kind && schemaFor({ group: group!, version: version!, kind: object.kind });
      if (schema) expect([name, decodeTyped(schema, object).errors]).toEqual([name, []]);
    }
  });
});

describe('objects as clients send them', () => {
  const round = (object: object) => decodeProtobuf(encodeProtobuf(object));

  test('zero values Go puts on the wire do not appear, meaningful zeros do', () => {
    const sent = {
      kind: 'Deployment',
      apiVersion: 'apps/v1',
      metadata: { name: 'a' },
      spec: {
        replicas: 0,
        template: { spec: { containers: [{ name: 'a', image: 'b' }], terminationGracePeriodSeconds: 0 } },
      },
    };
    expect(round(sent)).toEqual({
      kind: 'Deployment',
      apiVersion: 'apps/v1',
      metadata: { name: 'a' },
      spec: {
        replicas: 0,
        template: {
          metadata: {},
          spec: { containers: [{ name: 'a', image: 'b', resources: {} }], terminationGracePeriodSeconds: 0 },
        },
        strategy: {},
      },
      status: {},
    });
  });

  test('strings, numbers and binaries of every size survive', () => {
    const data = { 'ü🦀': 'aGk=', empty: '', big: Buffer.alloc(70_000, 7).toString('base64') };
    const secret = {
      kind: 'Secret',
      apiVersion: 'v1',
      metadata: { name: 'ß', generation: 2 ** 52, deletionGracePeriodSeconds: -1 },
      data,
      type: 'x',
    };
    expect(round(secret)).toEqual(secret);
    const service = (targetPort: number | string) => ({
      kind: 'Service',
      apiVersion: 'v1',
      metadata: {},
      spec: { ports: [{ port: 80, targetPort }], type: 'X' },
      status: { loadBalancer: {} },
    });
    expect(round(service('http'))).toEqual(service('http'));
    expect(round(service(-8080))).toEqual(service(-8080));
  });

  test('schemas of custom kinds keep their shape', () => {
    const openAPIV3Schema = {
      type: 'object',
      properties: {
        spec: { type: 'object', additionalProperties: false, items: { type: 'string' }, default: { a: [1, null] } },
        x: { additionalProperties: { type: 'string' }, items: [{ type: 'object' }], dependencies: { q: ['r'] } },
      },
      'x-kubernetes-validations': [{ rule: 'true' }],
      maximum: 1.5,
    };
    const crd = {
      kind: 'CustomResourceDefinition',
      apiVersion: 'apiextensions.k8s.io/v1',
      metadata: {},
      spec: {
        group: 'g',
        names: { plural: 'as', kind: 'A' },
        scope: 'Namespaced',
        versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema } }],
      },
    };
    expect((round(crd) as typeof crd).spec).toEqual(crd.spec);
  });

  test('times keep their precision: seconds, or microseconds', () => {
    const lease = {
      kind: 'Lease',
      apiVersion: 'coordination.k8s.io/v1',
      metadata: { creationTimestamp: '1969-12-31T23:59:59Z' },
      spec: { renewTime: '2026-01-02T03:04:05.678901Z' },
    };
    expect(round(lease)).toEqual(lease);
  });

  test('equal maps are equal bytes, whatever the order of their keys', () => {
    const labelled = (labels: object) => encodeProtobuf({ kind: 'Pod', apiVersion: 'v1', metadata: { labels } });
    expect(
      Buffer.from(labelled({ z: '1', a: '2', 10: '3', 9: '4' })).equals(labelled({ a: '2', 9: '4', z: '1', 10: '3' })),
    ).toBe(true);
    expect(Buffer.from(labelled({ z: '1', a: '2' })).equals(labelled({ a: '2', z: '1' }))).toBe(true);
  });

  test('a list written from its items equals the list written whole', () => {
    const items = ['a', 'b'].map((name) => ({
      metadata: { name, labels: { z: '1', a: '2' } },
      spec: { containers: [] },
    }));
    const metadata = { resourceVersion: '7' };
    const whole = encodeProtobuf({ kind: 'PodList', apiVersion: 'v1', metadata, items });
    const parts = encodeProtobufList(
      { ...pod, kind: 'PodList' },
      metadata,
      items.map((i) => encodeProtobufMessage(pod, i)),
    );
    expect(Buffer.from(parts).equals(whole)).toBe(true);
  });

  test('a watch frame is a length and an event that carries a whole object', () => {
    const object = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', reason: 'Expired', code: 410 };
    const frame = Buffer.from(protobufWatchFrame('ERROR', encodeProtobuf(object)));
    expect(frame.readUInt32BE()).toBe(frame.length - 4);
    expect(decodeProtobufMessage(watchEvent, frame.subarray(4))).toEqual({ type: 'ERROR', object });
  });
});

describe('what is refused', () => {
  const bytes = encodeProtobuf({ kind: 'Pod', apiVersion: 'v1', metadata: { name: 'some-name', labels: { a: 'b' } } });

  test('bytes without the header', () => {
    expect(isProtobuf(Buffer.from('{}'))).toBe(false);
    expect(() => decodeProtobuf(Buffer.from('{"kind":"Pod"}'))).toThrow(/magic bytes/);
  });

  test('kinds without a message, by name', () => {
    expect(hasProtobuf({ group: 'example.com', version: 'v1', kind: 'Widget' })).toBe(false);
    expect(() => encodeProtobuf({ kind: 'Widget', apiVersion: 'example.com/v1' })).toThrow(
      'no protobuf encoding for kind "Widget" in version "example.com/v1"; use JSON',
    );
  });

  test('bytes cut short or changed never crash or hang, and never give a half object silently', () => {
    for (let end = 4; end < bytes.length - 4; end++)
      expect(() => decodeProtobuf(bytes.subarray(0, end))).toThrow(ProtobufError);
    for (let i = 4; i < bytes.length; i++) {
      const changed = Uint8Array.from(bytes);
      changed[i] = 255 - changed[i]!;
      let out: Json | undefined;
      try {
        out = decodeProtobuf(changed);
      } catch (e) {
        expect(e).toBeInstanceOf(ProtobufError);
      }
      expect(out === undefined || typeof out === 'object').toBe(true);
    }
  });
});
