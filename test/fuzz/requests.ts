import { encodeProtobuf } from '@trimtab/machinery';
import fc from 'fast-check';
import { NAMES, NAMESPACES, SEEDS, type Seed } from './seeds.js';

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
  /** Milliseconds after which the client goes away, at whatever point that is. */
  readonly abortAfter: number | undefined;
}

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
/** One in so many has it. (fast-check's own `option` counts those that have none.) */
const seldom = <T>(arbitrary: fc.Arbitrary<T>, oneIn: number): fc.Arbitrary<T | null> =>
  fc.oneof({ weight: oneIn - 1, arbitrary: fc.constant(null) }, { weight: 1, arbitrary });

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

const paths = fc.oneof(
  fc.constantFrom(
    '/',
    '/api',
    '/apis',
    '/api/v1',
    '/apis/apps',
    '/apis/apps/v1',
    '/openapi/v2',
    '/openapi/v3',
    '/openapi/v3/api/v1',
    '/version',
    '/metrics',
    '/healthz',
    '/readyz/store',
    '/livez?verbose',
    '/.well-known/openid-configuration',
    '/openid/v1/jwks',
    '/apis/nothing/v1/x',
    '/api/v1/watch/pods',
    '/api/v1/namespaces//pods',
    '/api/v1/namespaces/fuzz/pods/',
    '/api/v1//pods',
    '/api/v1/namespaces/%2e%2e/pods',
    '/api/v1/namespaces/fuzz/pods/%',
    '/api/v1/namespaces/fuzz/pods/%00',
    '/api/v1/namespaces/fuzz/pods/%ff%fe',
    '/apis/%F0%9F%92%A5/v1/x',
    '//',
    '/%2f',
    '/..',
    '/api/v1/__proto__',
    '/apis/__proto__/v1/x',
    '/apis/apps/__proto__/x',
    '/api/v1/namespaces/__proto__/configmaps/__proto__',
    '/api/v1/constructor',
    '/logs',
    '/debug/pprof',
    '/api/v1/nodes/a/unknown',
    '/api/v1/namespaces/fuzz/finalize',
    '/api/v1/namespaces/fuzz/status',
    '/trimtab',
    '/apis/trimtab.dev/v1',
  ),
  fc
    .array(
      fc.oneof(
        fc.constantFrom('api', 'apis', 'v1', 'namespaces', 'fuzz', 'pods', 'a', '', '.', '%25', '__proto__'),
        fc.string({ maxLength: 12 }).map((s) => encodeURIComponent(s)),
      ),
      { maxLength: 9 },
    )
    .map((parts) => `/${parts.join('/')}`),
);
const subresources = [
  'status',
  'scale',
  'log',
  'exec',
  'attach',
  'portforward',
  'binding',
  'eviction',
  'ephemeralcontainers',
  'resize',
  'token',
  'approval',
  'finalize',
  'nothing',
  '__proto__',
  '',
];

const parameter = fc.tuple(
  fc.constantFrom(
    'labelSelector',
    'fieldSelector',
    'limit',
    'continue',
    'resourceVersion',
    'resourceVersionMatch',
    'watch',
    'allowWatchBookmarks',
    'sendInitialEvents',
    'timeoutSeconds',
    'timeout',
    'dryRun',
    'fieldManager',
    'fieldValidation',
    'force',
    'pretty',
    'propagationPolicy',
    'gracePeriodSeconds',
    'orphanDependents',
    'includeObject',
    'tailLines',
    'container',
    'follow',
    'sinceTime',
    'command',
    'stdout',
    'at',
    'hash',
    'verbose',
    '__proto__',
    'limit',
  ),
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.constantFrom(
        '',
        '0',
        '1',
        '-1',
        '5',
        'true',
        'false',
        'All',
        'Strict',
        'Ignore',
        'Exact',
        'NotOlderThan',
        'Foreground',
        'Orphan',
        'Object',
        'None',
        'Metadata',
        'a=b',
        'a!=b',
        'a in (b,c),!d',
        'a>5',
        'a in (',
        'a in ()',
        '!',
        ',',
        '==',
        'a=b=c',
        'metadata.name=a',
        'metadata.name!=a,metadata.namespace=fuzz',
        'spec.nodeName=',
        'status.phase=Running',
        'a\\,b=c',
        '99999999999999999999',
        '1e3',
        '0x1',
        '1h',
        '32s',
        '-5s',
        '9999999h',
        'eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoiIn0',
        'eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIuLi8uLi8ifQ',
        'e30',
        'bnVsbA',
        'W10',
        'not base64!',
        'x'.repeat(5000),
        '💥',
        '\0',
        '__proto__',
        '2024-01-01T00:00:00Z',
      ),
    },
    { weight: 1, arbitrary: fc.string({ maxLength: 30 }) },
  ),
);

const oddAccept = fc.constantFrom(
  'application/json',
  'application/yaml',
  'application/vnd.kubernetes.protobuf',
  '*/*',
  '',
  'nonsense',
  'application/*;q=0.1, text/html',
  'application/cbor',
  'application/json;as=Table;v=v1;g=meta.k8s.io,application/json',
  'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
  'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io',
  'application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json',
  'application/json;as=Nothing;v=v9;g=x',
  'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList',
  'application/json;stream=watch',
  'application/json;q=;as=',
  'application/com.github.proto-openapi.spec.v2@v1.0+protobuf',
  'application/vnd.kubernetes.protobuf;stream=watch',
);
const accept = fc.oneof({ weight: 2, arbitrary: fc.constant('application/json') }, oddAccept);
const oddHeader = fc.constantFrom<Record<string, string>>(
  { 'accept-encoding': 'gzip' },
  { 'if-none-match': '*' },
  { 'if-none-match': '"x"' },
  { range: 'bytes=0-1' },
  { 'user-agent': '' },
  { 'user-agent': '/x' },
  { 'impersonate-user': 'jane' },
  { 'impersonate-group': 'g' },
  { 'impersonate-user': 'jane', 'impersonate-group': 'system:masters' },
  { 'impersonate-extra-%': 'x', 'impersonate-user': 'a' },
  { 'impersonate-uid': 'x' },
  { 'impersonate-user': 'system:serviceaccount:x' },
  { 'audit-id': 'x'.repeat(1000) },
  { 'content-encoding': 'gzip' },
  { 'x-forwarded-for': ',,,' },
  { 'x-remote-user': 'root' },
  { upgrade: 'SPDY/3.1', connection: 'Upgrade' },
  { 'sec-websocket-protocol': 'base64url.bearer.authorization.k8s.io.***' },
  { expect: '100-continue' },
  { 'x-http-method-override': 'DELETE' },
  { cookie: '=;=' },
);
const header = fc.oneof({ weight: 4, arbitrary: fc.constant<Record<string, string>>({}) }, oddHeader);

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

const bodyFor = (
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

/** Requests as no client sends them, most of them nearly right. */
export const request: fc.Arbitrary<Request> = fc
  .record({
    method: fc.constantFrom(
      'GET',
      'GET',
      'POST',
      'POST',
      'PUT',
      'PATCH',
      'PATCH',
      'PATCH',
      'DELETE',
      'POST',
      'PUT',
      'DELETE',
      'HEAD',
      'OPTIONS',
    ),
    seed: fc.constantFrom(...SEEDS),
    name: fc.constantFrom(...NAMES),
    namespace: fc.constantFrom('fuzz', 'fuzz', 'fuzz', 'fuzz', ...NAMESPACES),
    subresource: seldom(fc.constantFrom(...subresources), 5),
    elsewhere: seldom(paths, 8),
    collection: fc.nat(9),
    parameters: fc.array(parameter, { maxLength: 3 }),
    plain: fc.boolean(),
    accept,
    header,
    abortAfter: seldom(fc.nat(15), 12),
  })
  .chain((r) => bodyFor(r.method, r.seed, r.name).map(({ body, type }) => ({ ...r, body, type })))
  .map((r): Request => {
    const collection = r.seed.path.replace('/namespaces/fuzz/', `/namespaces/${r.namespace}/`);
    const onCollection =
      r.method === 'POST' ? r.collection < 8 : ['GET', 'DELETE'].includes(r.method) && r.collection < 3;
    const named = onCollection ? collection : `${collection}/${encodeURIComponent(r.name)}`;
    const base = r.elsewhere ?? (r.subresource === null || onCollection ? named : `${named}/${r.subresource}`);
    // Half of the writes carry no parameters at all, so that much is stored.
    const parameters = r.plain ? [] : r.parameters;
    const extra =
      r.type.includes('apply-patch') && r.collection < 8
        ? [
            ['fieldManager', 'fuzz'],
            ['force', 'true'],
          ]
        : [];
    const query = [...parameters, ...extra]
      .map(([k, v]) => `${encodeURIComponent(k!)}=${encodeURIComponent(v!)}`)
      .join('&');
    return {
      method: r.method,
      path: query ? `${base}${base.includes('?') ? '&' : '?'}${query}` : base,
      headers: { accept: r.accept, ...(r.type ? { 'content-type': r.type } : {}), ...r.header },
      body: r.body,
      abortAfter: r.abortAfter ?? undefined,
    };
  });
