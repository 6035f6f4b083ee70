import {
  type CustomResourceDefinition,
  CustomResourceDefinitions,
  type JSONSchemaProps,
  type ResourceType,
  type UnknownObject,
  validateValue,
} from '@trimtab/machinery';
import { cluster } from './testing.js';

const Widgets: ResourceType<UnknownObject> = {
  group: 'example.com',
  version: 'v1',
  kind: 'Widget',
  resource: 'widgets',
  namespaced: true,
};

const schema: JSONSchemaProps = {
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      required: ['size'],
      properties: {
        size: { type: 'integer', minimum: 1 },
        colour: { type: 'string', default: 'red', enum: ['red', 'blue'] },
        port: { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] },
        free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
        tags: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
      },
    },
    status: { type: 'object', properties: { seen: { type: 'integer' } } },
  },
};

const definition = (
  change: Partial<CustomResourceDefinition['spec']> = {},
  name = 'widgets',
): CustomResourceDefinition => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${name}.example.com` },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: name, kind: 'Widget', shortNames: ['wd'] },
    versions: [
      { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema }, subresources: { status: {} } },
    ],
    ...change,
  },
});

const widget = (spec: object, extra: object = {}): UnknownObject => ({
  apiVersion: 'example.com/v1',
  kind: 'Widget',
  metadata: { namespace: 'default', name: 'w' },
  spec,
  ...extra,
});

const define = async (d = definition()) => {
  const c = await cluster();
  await c.client.create(CustomResourceDefinitions, d);
  await c.pass();
  return c;
};
const key = { namespace: 'default', name: 'w' };

describe('a custom resource definition', () => {
  test('is named, accepted and established, and serves its kind at once', async () => {
    const { client } = await define();
    const stored = await client.get(CustomResourceDefinitions, { name: 'widgets.example.com' });
    expect(stored.spec.names).toMatchObject({ singular: 'widget', listKind: 'WidgetList' });
    expect(stored.status).toMatchObject({ storedVersions: ['v1'], acceptedNames: { kind: 'Widget' } });
    expect(stored.status?.conditions?.map(({ type, status }) => `${type}=${status}`)).toEqual([
      'NamesAccepted=True',
      'Established=True',
    ]);
    expect(await client.list(Widgets)).toMatchObject({ kind: 'WidgetList', items: [] });
  });

  test('whose names are taken waits until they are free', async () => {
    const { client, pass } = await define();
    await client.create(
      CustomResourceDefinitions,
      definition({ names: { plural: 'others', singular: 'other', kind: 'Widget' } }, 'others'),
    );
    await pass();
    const conditions = async () =>
      (await client.get(CustomResourceDefinitions, { name: 'others.example.com' })).status?.conditions?.map(
        (c) => c.reason,
      );
    expect(await conditions()).toEqual(['KindConflict', 'NotAccepted']);
    await client.delete(CustomResourceDefinitions, { name: 'widgets.example.com' });
    await pass();
    expect(await conditions()).toEqual(['NoConflicts', 'InitialNamesAccepted']);
  });

  test('that is not sound is refused with all its faults', async () => {
    const { client } = await cluster();
    const bad = definition({
      group: 'nodot',
      scope: 'Everywhere',
      conversion: { strategy: 'Webhook' },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: false,
          schema: { openAPIV3Schema: { type: 'object', properties: { a: {} } } },
        },
        { name: 'v1', served: true, storage: false },
      ],
    });
    const error = await client.create(CustomResourceDefinitions, bad).catch((e: unknown) => e);
    expect(
      (error as { status: { details: { causes: { field: string }[] } } }).status.details.causes.map((c) => c.field),
    ).toEqual([
      'spec.group',
      'metadata.name',
      'spec.scope',
      'spec.conversion.webhookClientConfig',
      'spec.conversion.conversionReviewVersions',
      'spec.versions',
      'spec.versions[1].name',
      'spec.versions[0].schema.openAPIV3Schema.properties[a].type',
      'spec.versions[1].schema.openAPIV3Schema',
    ]);
  });

  test('of a group of Kubernetes’ own must say who approved it', async () => {
    const { client, pass } = await cluster();
    const own = (annotations: Record<string, string>) => {
      const { metadata, spec, ...type } = definition({ group: 'stuff.k8s.io' });
      return { ...type, spec, metadata: { ...metadata, name: 'widgets.stuff.k8s.io', annotations } };
    };
    await expect(client.create(CustomResourceDefinitions, own({}))).rejects.toMatchObject({
      message: expect.stringContaining(
        'metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111',
      ),
    });
    await client.create(CustomResourceDefinitions, own({ 'api-approved.kubernetes.io': 'unapproved, experimental' }));
    await pass();
    const read = async () =>
      (await client.get(CustomResourceDefinitions, { name: 'widgets.stuff.k8s.io' })).status?.conditions?.find(
        ({ type }) => type === 'KubernetesAPIApprovalPolicyConformant',
      );
    expect(await read()).toMatchObject({ status: 'False', reason: 'UnapprovedAnnotation' });
    const url = 'https://github.com/kubernetes/kubernetes/pull/78458';
    await client.patch(
      CustomResourceDefinitions,
      { name: 'widgets.stuff.k8s.io' },
      { type: 'merge', body: { metadata: { annotations: { 'api-approved.kubernetes.io': url } } } },
    );
    await pass();
    expect(await read()).toMatchObject({ status: 'True', reason: 'ApprovedAnnotation', message: `approved in ${url}` });
  });

  test('keeps every version that objects may lie in', async () => {
    const { client, pass } = await define();
    const stored = await client.get(CustomResourceDefinitions, { name: 'widgets.example.com' });
    const [v1] = stored.spec.versions;
    const v2 = { ...v1!, name: 'v2' };
    const both = await client.update(CustomResourceDefinitions, {
      ...stored,
      spec: { ...stored.spec, versions: [{ ...v1!, storage: false }, v2] },
    });
    await pass();
    const without = (read: CustomResourceDefinition) => ({ ...read, spec: { ...read.spec, versions: [v2] } });
    await expect(client.update(CustomResourceDefinitions, without(both))).rejects.toMatchObject({
      message: expect.stringContaining('status.storedVersions[0]: Invalid value: "v1": must appear in spec.versions'),
    });
    const rewritten = { ...both, status: { ...both.status!, storedVersions: ['v2'] } };
    const migrated = await client.update(CustomResourceDefinitions, rewritten, { subresource: 'status' });
    await expect(client.update(CustomResourceDefinitions, without(migrated))).resolves.toMatchObject({
      status: { storedVersions: ['v2'] },
    });
  });

  test.each([
    ['nothing', {}, 'spec.validation.openAPIV3Schema.type: Required value: must not be empty at the root'],
    ['an array', { type: 'array', items: { type: 'string' } }, 'Invalid value: "array": must be object at the root'],
    ['an object', { type: 'object' }, undefined],
    ['anything at all', { 'x-kubernetes-preserve-unknown-fields': true }, undefined],
  ])('whose schema is %s at the root', async (_what, openAPIV3Schema, refusal) => {
    const { client } = await cluster();
    const versions = [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema } }];
    const said = await client.create(CustomResourceDefinitions, definition({ versions })).then(
      () => undefined,
      (error: Error) => error.message,
    );
    expect(said).toEqual(refusal === undefined ? undefined : expect.stringContaining(refusal));
  });

  test('takes its objects with it when it goes, and waits for those that are held', async () => {
    const { client, pass } = await define();
    const held = widget({ size: 1 });
    await client.create(Widgets, { ...held, metadata: { ...held.metadata, finalizers: ['example.com/hold'] } });
    await client.delete(CustomResourceDefinitions, { name: 'widgets.example.com' });
    await pass(1000);
    expect((await client.get(Widgets, key)).metadata.deletionTimestamp).toBeDefined();
    const going = await client.get(CustomResourceDefinitions, { name: 'widgets.example.com' });
    expect(going.status?.conditions?.find(({ type }) => type === 'Terminating')).toMatchObject({
      status: 'True',
      reason: 'InstanceDeletionInProgress',
    });
    await expect(
      client.create(Widgets, { ...held, metadata: { ...held.metadata, name: 'late' } }),
    ).rejects.toMatchObject({
      code: 405,
    });
    await client.patch(Widgets, key, { type: 'merge', body: { metadata: { finalizers: null } } });
    await pass(1000);
    await expect(client.get(CustomResourceDefinitions, { name: 'widgets.example.com' })).rejects.toMatchObject({
      code: 404,
    });
    await expect(client.list(Widgets)).rejects.toMatchObject({ code: 404 });
  });
});

describe('a custom object', () => {
  test('is pruned, defaulted, given a generation, and keeps what its schema lets through', async () => {
    const { client } = await define();
    const created = await client.create(Widgets, widget({ size: 3, odd: 1, free: { any: [1] } }, { extra: true }));
    expect(created).toMatchObject({
      spec: { size: 3, colour: 'red', free: { any: [1] } },
      metadata: { generation: 1 },
    });
    expect(created).not.toHaveProperty('extra');
    expect(created.spec).not.toHaveProperty('odd');
  });

  test('that does not fit is refused with every cause and its path', async () => {
    const { client } = await define();
    const bad = widget({ size: 0, colour: 'green', port: true, tags: ['a', 'a'] });
    await expect(client.create(Widgets, bad)).rejects.toMatchObject({
      code: 422,
      message: expect.stringMatching(
        /^Widget.example.com "w" is invalid: \[spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1, spec.colour: Unsupported value: "green": supported values: "red", "blue", spec.port: Invalid value: true: spec.port in body must be of type integer,string: "boolean"/,
      ),
    });
    await expect(client.create(Widgets, widget({}))).rejects.toMatchObject({
      message: 'Widget.example.com "w" is invalid: spec.size: Required value',
    });
  });

  test('has a status of its own: neither side writes the other', async () => {
    const { client } = await define();
    const created = await client.create(Widgets, widget({ size: 1 }, { status: { seen: 9 } }));
    expect(created).not.toHaveProperty('status');
    const told = await client.update(
      Widgets,
      { ...created, spec: { size: 7 }, status: { seen: 1 } },
      { subresource: 'status' },
    );
    expect(told).toMatchObject({ spec: { size: 1 }, status: { seen: 1 }, metadata: { generation: 1 } });
    const changed = await client.update(Widgets, { ...told, spec: { size: 2 }, status: { seen: 5 } });
    expect(changed).toMatchObject({ spec: { size: 2 }, status: { seen: 1 }, metadata: { generation: 2 } });
  });
});

describe('values against schemas', () => {
  const texts = (props: JSONSchemaProps, value: unknown) => validateValue(props, value).map(({ message }) => message);

  test.each<[string, JSONSchemaProps, unknown, unknown]>([
    ['length', { type: 'string', minLength: 2, maxLength: 3 }, 'ab', 'a'],
    ['too long', { type: 'string', maxLength: 3 }, 'äöü', 'abcd'],
    ['pattern', { type: 'string', pattern: '^a+$' }, 'aa', 'ab'],
    ['format', { type: 'string', format: 'ipv4' }, '10.0.0.1', '10.0.0'],
    ['exclusive', { type: 'number', minimum: 1, exclusiveMinimum: true }, 1.1, 1],
    ['multiple', { type: 'integer', multipleOf: 3 }, 9, 10],
    ['items', { type: 'array', minItems: 1, maxItems: 2, items: { type: 'string' } }, ['a'], []],
    ['item type', { type: 'array', items: { type: 'string' } }, ['a'], [1]],
    [
      'map keys',
      { type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['k'] },
      [{ k: 1 }, { k: 2 }],
      [{ k: 1 }, { k: 1 }],
    ],
    ['map values', { type: 'object', additionalProperties: { type: 'integer' } }, { a: 1 }, { a: 'x' }],
    ['nullable', { type: 'string', nullable: true }, null, 1],
    ['not nullable', { type: 'string' }, 'a', null],
    ['oneOf', { type: 'object', oneOf: [{ required: ['a'] }, { required: ['b'] }] }, { a: 1 }, { a: 1, b: 1 }],
    ['anyOf', { type: 'object', anyOf: [{ required: ['a'] }, { required: ['b'] }] }, { a: 1, b: 1 }, {}],
    ['not', { type: 'integer', not: { enum: [5] } }, 4, 5],
  ])('%s', (_name, props, good, bad) => {
    expect(texts(props, good)).toEqual([]);
    expect(texts(props, bad)).not.toEqual([]);
  });

  test('a pattern that would blow up a backtracking engine does not', () => {
    expect(texts({ type: 'string', pattern: '^(a+)+$' }, `${'a'.repeat(50)}!`)).toHaveLength(1);
  });
});
