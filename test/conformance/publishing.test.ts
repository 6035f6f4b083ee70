import type { KubeObject } from '@trimtab/machinery';
import { type ApiCluster, apiCluster } from '../api-cluster.js';
import { run } from '../e2e/cluster.js';
import { namespaceFor, typeOf, watching } from './lifecycle.js';

/** Conformance tests of what the server says of itself, custom kinds included, under their own names. */

let api: ApiCluster;
beforeAll(async () => {
  api = await apiCluster();
});
afterAll(() => api.close());

const definitions = () => typeOf(api, 'apiextensions.k8s.io', 'v1', 'customresourcedefinitions');
const schemaOf = {
  type: 'object',
  description: 'Foo CRD for Testing',
  properties: {
    spec: {
      type: 'object',
      description: 'Specification of Foo',
      properties: {
        bars: {
          type: 'array',
          description: 'List of Bars and their specs.',
          items: {
            type: 'object',
            required: ['name'],
            properties: {
              name: { type: 'string', description: 'Name of Bar.' },
              age: { type: 'string', description: 'Age of Bar.' },
            },
          },
        },
      },
    },
    status: { type: 'object', description: 'Status of Foo' },
  },
};
const open = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };

interface Version {
  readonly name: string;
  readonly schema?: object;
  readonly served?: boolean;
}

const capital = (text: string): string => text[0]!.toUpperCase() + text.slice(1);

function definition(group: string, kind: string, versions: readonly Version[]): KubeObject {
  const plural = `${kind}s`;
  const all = versions.map(({ name, schema = schemaOf, served = true }, i) => ({
    name,
    served,
    storage: i === 0,
    schema: { openAPIV3Schema: schema },
  }));
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    ...{ spec: { group, scope: 'Namespaced', names: { plural, kind: capital(kind) }, versions: all } },
  };
}

async function establish(given: KubeObject): Promise<void> {
  const watch = watching(api.client, definitions(), { fieldSelector: `metadata.name=${given.metadata.name}` });
  await api.client.create(definitions(), given);
  await watch.until((e) => JSON.stringify(e.object).includes('"type":"Established"'));
  watch.stop();
}

/** Resolves once what is published is as it should be: it follows the definition within a second. */
async function until<T>(read: () => Promise<T>, good: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await read();
    if (good(value)) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

type Definitions = Readonly<Record<string, { readonly description?: string; readonly properties?: object }>>;
const published = async (): Promise<Definitions> =>
  (JSON.parse(await api.client.raw('/openapi/v2')) as { readonly definitions: Definitions }).definitions;
/** The name of a custom kind in the document: its group turned round. */
const named = (group: string, version: string, kind: string): string =>
  [...group.split('.').reverse(), version, capital(kind)].join('.');
const appears = (...names: readonly string[]) => until(published, (all) => names.every((name) => name in all));
const vanishes = (name: string) => until(published, (all) => !(name in all));

const aggregated = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
interface GroupDiscovery {
  readonly metadata: { readonly name?: string };
  readonly versions: readonly {
    readonly version: string;
    readonly resources: readonly { readonly resource: string; readonly verbs: readonly string[] }[];
  }[];
}
const discovered = async (path = '/apis'): Promise<readonly GroupDiscovery[]> =>
  (JSON.parse((await api.get(path, aggregated)).text) as { readonly items: readonly GroupDiscovery[] }).items;
const resourcesIn = (groups: readonly GroupDiscovery[], group: string, version: string): readonly string[] =>
  groups
    .find(({ metadata }) => (metadata.name ?? '') === group)
    ?.versions.find((v) => v.version === version)
    ?.resources.map(({ resource }) => resource) ?? [];

describe('[sig-api-machinery] AggregatedDiscovery', () => {
  const expected = {
    '': { v1: ['namespaces', 'nodes', 'pods', 'services', 'secrets', 'configmaps'] },
    'admissionregistration.k8s.io': { v1: ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations'] },
    'apiextensions.k8s.io': { v1: ['customresourcedefinitions'] },
    apps: { v1: ['deployments', 'replicasets', 'statefulsets', 'daemonsets', 'controllerrevisions'] },
    batch: { v1: ['jobs', 'cronjobs'] },
  } as const;
  const looksRight = async () => {
    const groups = [...(await discovered('/api')), ...(await discovered('/apis'))];
    for (const [group, versions] of Object.entries(expected))
      for (const [version, resources] of Object.entries(versions))
        expect(resourcesIn(groups, group, version)).toEqual(expect.arrayContaining([...resources]));
  };

  test('[sig-api-machinery] AggregatedDiscovery should support raw aggregated discovery endpoint Accept headers [Conformance]', async () => {
    for (const path of ['/api', '/apis']) {
      const answer = await api.get(path, aggregated);
      expect([answer.status, answer.contentType]).toEqual([200, aggregated]);
      const plain = await api.get(path, 'application/json');
      expect(plain.contentType).toBe('application/json');
      expect(JSON.parse(plain.text).kind).toMatch(/^API(Versions|GroupList)$/);
      const either = await api.get(path, `${aggregated},application/json`);
      expect(either.contentType).toBe(aggregated);
      expect((await api.get(path, aggregated.replace('v=v2', 'v=v9'))).status).toBe(406);
    }
  });
  test(
    '[sig-api-machinery] AggregatedDiscovery should support aggregated discovery interface [Conformance]',
    looksRight,
  );

  const custom = async (group: string): Promise<void> => {
    await establish(definition(group, 'widget', [{ name: 'v1' }]));
    await until(discovered, (groups) => resourcesIn(groups, group, 'v1').includes('widgets'));
    const found = (await discovered()).find(({ metadata }) => metadata.name === group)!;
    expect(found.versions[0]!.resources[0]!.verbs).toEqual(
      expect.arrayContaining(['create', 'delete', 'list', 'watch']),
    );
    await api.client.delete(definitions(), { name: `widgets.${group}` });
    await until(discovered, (groups) => !groups.some(({ metadata }) => metadata.name === group));
  };
  test('[sig-api-machinery] AggregatedDiscovery should support raw aggregated discovery request for CRDs [Conformance]', () =>
    custom('raw.example.com'));
  test('[sig-api-machinery] AggregatedDiscovery should support aggregated discovery interface for CRDs [Conformance]', () =>
    custom('client.example.com'));
});

test('[sig-api-machinery] Servers with support for Table transformation should return a 406 for a backend which does not implement metadata [Conformance]', async () => {
  const answer = await post('application/json;as=Table;v=v1;g=meta.k8s.io');
  expect([answer.status, JSON.parse(answer.text).reason]).toEqual([406, 'NotAcceptable']);

  async function post(accept: string) {
    const body = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { nonResourceAttributes: { path: '/', verb: 'get' } },
    };
    return api.post(
      '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
      'application/json',
      JSON.stringify(body),
      accept,
    );
  }
});

const publish = '[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin]';

describe(publish, () => {
  const kubectl = (namespace: string, input: string, ...args: readonly string[]) =>
    run('kubectl', ['-n', namespace, ...args], {
      input,
      env: { KUBECONFIG: api.kubeconfig, HOME: api.directory },
    });
  const manifest = (group: string, kind: string, fields: object): string =>
    JSON.stringify({ apiVersion: `${group}/v1`, kind: capital(kind), metadata: { name: 'test' }, ...fields });

  test(`${publish} works for CRD with validation schema [Conformance]`, async () => {
    const [group, kind] = ['schema.example.com', 'foo'];
    await establish(definition(group, kind, [{ name: 'v1' }]));
    const name = named(group, 'v1', kind);
    expect((await appears(name))[name]!.description).toBe('Foo CRD for Testing');
    const ns = await namespaceFor(api);
    const valid = manifest(group, kind, { spec: { bars: [{ name: 'test-bar' }] } });
    expect((await kubectl(ns, valid, 'apply', '--validate=true', '-f', '-')).code).toBe(0);
    const refused = async (fields: object, why: RegExp) => {
      const { code, stderr } = await kubectl(ns, manifest(group, kind, fields), 'create', '--validate=true', '-f', '-');
      expect([code, stderr]).toEqual([1, expect.stringMatching(why)]);
    };
    await refused(
      { spec: { bars: [{ name: 'test-bar', unknown: 'field' }] } },
      /unknown field "spec\.bars\[0\]\.unknown"/,
    );
    await refused({ spec: { bars: [{ age: '10' }] } }, /spec\.bars\[0\]\.name: Required value/);
    const explained = await kubectl(ns, '', 'explain', 'foos.spec.bars');
    expect(explained.stdout).toMatch(
      /List of Bars and their specs\.[\s\S]*age\s+<string>[\s\S]*name\s+<string> -required-/,
    );
  });

  const accepting = (what: string, group: string, schema: object | undefined, fields: object) =>
    test(`${publish} works for CRD ${what} [Conformance]`, async () => {
      await establish(definition(group, 'any', [{ name: 'v1', schema: schema ?? open }]));
      await appears(named(group, 'v1', 'any'));
      const ns = await namespaceFor(api);
      const { code, stderr } = await kubectl(ns, manifest(group, 'any', fields), 'apply', '--validate=true', '-f', '-');
      expect([code, stderr]).toEqual([0, '']);
      expect((await kubectl(ns, '', 'explain', 'anys')).stdout).toMatch(/^KIND:\s+Any$/m);
    });
  accepting('without validation schema', 'without.example.com', undefined, { a: { b: [{ c: 'd' }] } });
  accepting('preserving unknown fields at the schema root', 'root.example.com', open, { a: { b: [{ c: 'd' }] } });
  accepting(
    'preserving unknown fields in an embedded object',
    'embedded.example.com',
    { type: 'object', properties: { spec: { ...open, properties: { dummy: { type: 'string' } } } } },
    { spec: { a: null, b: [{ c: 'd' }] } },
  );

  const several = (
    what: string,
    all: readonly (readonly [group: string, kind: string, versions: readonly string[]])[],
  ) =>
    test(`${publish} works for multiple CRDs of ${what} [Conformance]`, async () => {
      for (const [group, kind, versions] of all)
        await establish(
          definition(
            group,
            kind,
            versions.map((name) => ({ name })),
          ),
        );
      await appears(
        ...all.flatMap(([group, kind, versions]) => versions.map((version) => named(group, version, kind))),
      );
      for (const [group, kind] of all) await api.client.delete(definitions(), { name: `${kind}s.${group}` });
      await vanishes(named(all[0]![0], all[0]![2][0]!, all[0]![1]));
    });
  several('different groups', [
    ['one.example.com', 'foo', ['v1']],
    ['two.example.com', 'foo', ['v1']],
  ]);
  several('same group but different versions', [['versions.example.com', 'foo', ['v2', 'v3']]]);
  several('same group and version but different kinds', [
    ['kinds.example.com', 'foo', ['v6']],
    ['kinds.example.com', 'bar', ['v6']],
  ]);

  const patch = (name: string, body: readonly object[]) =>
    api.client.patch(definitions(), { name }, { type: 'json', body });
  test(`${publish} updates the published spec when one version gets renamed [Conformance]`, async () => {
    const group = 'renamed.example.com';
    await establish(definition(group, 'foo', [{ name: 'v2' }, { name: 'v3' }]));
    await appears(named(group, 'v2', 'foo'), named(group, 'v3', 'foo'));
    await patch(`foos.${group}`, [{ op: 'replace', path: '/spec/versions/1/name', value: 'v4' }]);
    const all = await appears(named(group, 'v4', 'foo'));
    expect(Object.keys(all)).not.toContain(named(group, 'v3', 'foo'));
    expect(Object.keys(all)).toContain(named(group, 'v2', 'foo'));
  });
  test(`${publish} removes definition from spec when one version gets changed to not be served [Conformance]`, async () => {
    const group = 'unserved.example.com';
    await establish(definition(group, 'foo', [{ name: 'v5' }, { name: 'v6' }]));
    await appears(named(group, 'v5', 'foo'), named(group, 'v6', 'foo'));
    await patch(`foos.${group}`, [{ op: 'replace', path: '/spec/versions/1/served', value: false }]);
    await vanishes(named(group, 'v6', 'foo'));
    await appears(named(group, 'v5', 'foo'));
  });
});
