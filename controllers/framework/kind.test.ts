import { ConfigMaps, Deployments, Pods, seededRandom, VirtualClock } from '@trimtab/machinery';
import {
  admission,
  admit,
  apply,
  clusterRole,
  controller,
  conversionFaults,
  conversionReview,
  convertedBy,
  customKind,
  MemoryClient,
  type ObjectOf,
  otherVersion,
  permissionRecorder,
  permissionsOf,
  refusedBy,
  review,
  runInMemory,
  s,
  unusedOf,
  webhookConfigurations,
} from './index.js';

const Widgets = customKind({
  group: 'example.com',
  version: 'v1',
  kind: 'Widget',
  shortNames: ['wd'],
  spec: s.object({
    host: s.string({ pattern: '^[a-z.]+$', minLength: 3 }),
    size: s.defaulted(s.integer({ minimum: 1, maximum: 9 }), 1),
    mode: s.oneOf(['fast', 'slow']),
    tags: s.optional(s.list(s.string({ maxLength: 5 }), { maxItems: 3 })),
    labels: s.optional(s.map(s.string())),
  }),
  status: s.object({ ready: s.optional(s.integer()), conditions: s.conditions() }),
  columns: [{ name: 'Ready', type: 'integer', path: '.status.ready' }],
  scale: { replicas: '.spec.size', ready: '.status.ready' },
});

describe('row 33: one declaration', () => {
  test('is a type', () => {
    const widget = Widgets.of({ name: 'w', namespace: 'ns' }, { host: 'a.b', size: 2, mode: 'fast' });
    const host: string = widget.spec.host;
    const tags: readonly string[] | undefined = widget.spec.tags;
    const mode: 'fast' | 'slow' = widget.spec.mode;
    // @ts-expect-error: there is no such mode
    const wrong: 'medium' = widget.spec.mode;
    expect([host, tags, mode, wrong]).toEqual(['a.b', undefined, 'fast', 'fast']);
    // @ts-expect-error: mode is missing
    Widgets.of({ name: 'w' }, { host: 'a', size: 2 });
  });

  test('is a CustomResourceDefinition with columns, subresources and rules', () => {
    expect(Widgets.definition).toMatchObject({
      metadata: { name: 'widgets.example.com' },
      spec: {
        scope: 'Namespaced',
        names: { kind: 'Widget', plural: 'widgets', shortNames: ['wd'] },
        versions: [
          {
            name: 'v1',
            subresources: { status: {}, scale: { specReplicasPath: '.spec.size' } },
            additionalPrinterColumns: [{ name: 'Ready', jsonPath: '.status.ready' }, { name: 'Age' }],
            schema: {
              openAPIV3Schema: {
                properties: {
                  spec: { required: ['host', 'mode'], properties: { size: { default: 1, maximum: 9 } } },
                },
              },
            },
          },
        ],
      },
    });
  });

  test('is a validator that names what is wrong, in the server’s words', () => {
    const of = (spec: object) => Widgets.validate({ metadata: { name: 'w' }, spec } as never);
    expect(of({ host: 'a.b', mode: 'fast' })).toEqual([]);
    expect(of({ host: 'A', size: 10, mode: 'medium', tags: ['toolong', 1], other: 1 })).toEqual([
      'spec.host: Invalid value: "A": spec.host in body should be at least 3 chars long',
      `spec.host: Invalid value: "A": spec.host in body should match '^[a-z.]+$'`,
      'spec.size: Invalid value: 10: spec.size in body should be less than or equal to 9',
      'spec.mode: Unsupported value: "medium": supported values: "fast", "slow"',
      'spec.tags[0]: Too long: may not be more than 5 bytes',
      'spec.tags[1]: Invalid value: 1: spec.tags[1] in body must be of type string: "integer"',
      'spec.other: is not known',
    ]);
    expect(Widgets.validate({ metadata: {} })).toEqual(['spec: Required value']);
  });

  test('is a generator of what the validator accepts, the same for the same seed', () => {
    const all = (seed: number) => {
      const random = seededRandom(seed);
      return Array.from({ length: 300 }, (_, i) => Widgets.sample(random, `w${i}`));
    };
    for (const widget of all(1)) expect(Widgets.validate(widget)).toEqual([]);
    expect(all(1)).toEqual(all(1));
    expect(new Set(all(1).map(({ spec }) => spec.size))).toEqual(new Set([1, 2, 3, 4, 5, 6, 7, 8, 9]));
  });
});

test('row 34: roles come from the declaration, and a test says what they forget', async () => {
  const definition = controller({
    name: 'c',
    for: Widgets,
    owns: [Deployments],
    reads: [Pods],
    cleanup: () => [],
    reconcile: ({ object }) =>
      object ? [apply(ConfigMaps, { metadata: { namespace: 'ns', name: 'x' }, data: {} })] : [],
  });
  const rules = permissionsOf([definition]);
  const of = (resource: string) => rules.find((rule) => rule.resources![0] === resource)?.verbs;
  expect(of('widgets')).toEqual(['get', 'list', 'patch', 'watch']);
  expect(of('widgets/status')).toEqual(['patch']);
  expect(of('deployments')).toEqual(['create', 'delete', 'get', 'list', 'patch', 'watch']);
  expect(of('pods')).toEqual(['get', 'list', 'watch']);
  expect(of('secrets')).toBeUndefined();
  expect(clusterRole('c', [definition])).toMatchObject({ kind: 'ClusterRole', metadata: { name: 'c' } });
  const memory = new MemoryClient(new VirtualClock());
  const { client, used } = permissionRecorder(memory);
  await client.create(Widgets, Widgets.of({ namespace: 'ns', name: 'w' }, { host: 'a.b', size: 1, mode: 'fast' }));
  (used as Set<string>).clear();
  const t = await runInMemory([definition], {
    client: Object.assign(client, { all: memory.all, find: memory.find }) as never,
  });
  await t.pass();
  expect(refusedBy(rules, used)).toEqual(['patch /configmaps']);
  const declared = { ...definition, permissions: [{ type: ConfigMaps, verbs: ['patch'] }] };
  expect(refusedBy(permissionsOf([declared]), used)).toEqual([]);
  // And what the role could do without, by what the test has tried.
  const unused = unusedOf(permissionsOf([declared]), used);
  expect(unused).toContain('delete apps/deployments');
  expect(unused).not.toContain('patch /configmaps');
});

describe('row 31: admission beside the controller', () => {
  const rule = admission<ObjectOf<typeof Widgets>>({
    for: Widgets,
    mutate: (draft) => {
      draft.spec.host = draft.spec.host.toLowerCase();
    },
    validate: ({ spec }, { old }) => (old && old.spec.mode !== spec.mode ? ['spec.mode: cannot be changed'] : []),
  });
  const ask = (phase: 'mutate' | 'validate', object: object, oldObject?: object) =>
    review([rule], phase, {
      request: {
        uid: 'u',
        kind: { group: 'example.com', version: 'v1', kind: 'Widget' },
        operation: oldObject ? 'UPDATE' : 'CREATE',
        object: object as never,
        oldObject: oldObject as never,
      },
    }).response!;
  const widget = (spec: object) => Widgets.of({ name: 'w' }, { host: 'a', size: 1, mode: 'fast', ...spec });

  test('fills in by the smallest patch, and refuses in words', () => {
    const { patch, allowed } = ask('mutate', widget({ host: 'A.B' }));
    expect(allowed).toBe(true);
    expect(JSON.parse(Buffer.from(patch!, 'base64').toString())).toEqual([
      { op: 'replace', path: '/spec/host', value: 'a.b' },
    ]);
    expect(ask('mutate', widget({ host: 'a.b' })).patch).toBeUndefined();
    expect(ask('validate', widget({}))).toMatchObject({ uid: 'u', allowed: true });
    expect(ask('validate', widget({ mode: 'slow' }), widget({}))).toMatchObject({
      allowed: false,
      status: { code: 422, message: 'spec.mode: cannot be changed' },
    });
    expect(ask('mutate', { metadata: {} })).toMatchObject({ allowed: false });
  });

  test('makes the configurations that have any server ask', () => {
    const [mutating, validating] = webhookConfigurations(
      'op',
      [rule],
      { url: 'https://h:1' },
      'PEM',
    ) as never as readonly {
      kind: string;
      webhooks: readonly object[];
    }[];
    expect([mutating!.kind, validating!.kind]).toEqual([
      'MutatingWebhookConfiguration',
      'ValidatingWebhookConfiguration',
    ]);
    expect(validating!.webhooks[0]).toMatchObject({
      clientConfig: { url: 'https://h:1/validate', caBundle: Buffer.from('PEM').toString('base64') },
      rules: [{ apiGroups: ['example.com'], resources: ['widgets'], operations: ['CREATE', 'UPDATE'] }],
      failurePolicy: 'Fail',
    });
  });
});

describe('row 32: conversion beside the kind', () => {
  interface Stored {
    readonly hosts: readonly string[];
    readonly seconds: number;
  }
  const old = otherVersion({
    version: 'v1beta1',
    spec: s.object({ hosts: s.string({ pattern: '^([a-z]+(,[a-z]+)*)?$' }), minutes: s.integer({ maximum: 9 }) }),
    toStored: ({ hosts, minutes }): Stored => ({ hosts: hosts === '' ? [] : hosts.split(','), seconds: minutes * 60 }),
    fromStored: ({ hosts, seconds }: Stored) => ({ hosts: hosts.join(','), minutes: seconds / 60 }),
    deprecated: 'use v1',
  });
  const kindWith = (seconds: object) =>
    customKind({
      group: 'example.com',
      version: 'v1',
      kind: 'Probe',
      spec: s.object({ hosts: s.list(s.string({ pattern: '^[a-z]+$' })), seconds: s.integer(seconds) }),
      others: [old],
    });
  const Probes = kindWith({ multipleOf: 60, maximum: 540 });
  const stored = { apiVersion: 'example.com/v1', kind: 'Probe', metadata: { name: 'p', uid: 'u' } };
  const object = { ...stored, spec: { hosts: ['a', 'b'], seconds: 120 } };
  const shown = { ...object, apiVersion: 'example.com/v1beta1', spec: { hosts: 'a,b', minutes: 2 } };

  test('goes to any version and back', () => {
    expect(Probes.convert(object, 'example.com/v1beta1')).toEqual(shown);
    expect(Probes.convert(shown, 'example.com/v1')).toEqual(object);
    expect(() => Probes.convert(object, 'example.com/v2')).toThrow('Probe is not served as example.com/v2');
  });

  test('random objects of every version go there and back; what is lost is named by field', () => {
    expect(conversionFaults(Probes, seededRandom(1))).toEqual([]);
    // A stored number of seconds that is no whole number of minutes does not fit the other version.
    expect(conversionFaults(kindWith({ maximum: 540 }), seededRandom(1))).toEqual([
      expect.stringMatching(/^from v1: spec\.minutes: .*must be of type integer/),
      'from v1: spec.seconds is lost',
    ]);
  });

  test('reviews are answered whole or not at all', () => {
    const ask = (desiredAPIVersion: string, ...objects: readonly object[]) =>
      conversionReview([Probes], { request: { uid: 'u', desiredAPIVersion, objects: objects as never } }).response;
    expect(ask('example.com/v1beta1', object, shown)).toEqual({
      uid: 'u',
      convertedObjects: [shown, shown],
      result: { status: 'Success' },
    });
    expect(ask('example.com/v9', object)).toMatchObject({ convertedObjects: [], result: { status: 'Failure' } });
  });

  test('the definition serves both, stores one, and says who converts', () => {
    const { spec } = convertedBy(Probes.definition, { service: { namespace: 'ns', name: 'op' } }, 'PEM');
    expect(spec.versions).toMatchObject([
      { name: 'v1', served: true, storage: true },
      { name: 'v1beta1', served: true, storage: false, deprecated: true, deprecationWarning: 'use v1' },
    ]);
    expect(spec.conversion).toMatchObject({
      strategy: 'Webhook',
      webhook: { conversionReviewVersions: ['v1'], clientConfig: { service: { path: '/convert' } } },
    });
  });
});

test('row 31: rules can be asked in process, without a review', () => {
  const rule = admission<ObjectOf<typeof Widgets>>({ for: Widgets, validate: () => ['no'] });
  const question = { kind: Widgets, operation: 'CREATE', old: undefined, user: 'u', dryRun: false };
  const object = Widgets.of({ name: 'w' }, { host: 'abc', size: 1, mode: 'fast' });
  expect(admit([rule], 'validate', { ...question, object })).toEqual({ refused: 'no' });
  expect(admit([rule], 'mutate', { ...question, object })).toEqual({ object });
  expect(admit([rule], 'validate', { ...question, operation: 'DELETE', object })).toEqual({ object: undefined });
});
