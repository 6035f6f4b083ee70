import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jest } from '@jest/globals';
import { ConfigMaps, Deployments, Namespaces, type Pod, Pods } from '@trimtab/machinery';
import { type ApplyOptions, applyFiles } from './apply.js';
import { deleteObjects } from './delete.js';
import { describeObjects } from './describe.js';
import { type GetOptions, getObjects } from './get.js';
import { type Asked, type TestCluster, testCluster } from './testing.js';
import { boat, configMap, definition, deployment } from './testing-manifests.js';
import { waitForObjects } from './wait.js';

let cluster: TestCluster;
let namespace: string;
beforeAll(async () => {
  cluster = await testCluster();
});
/** Ends what would go on for ever, also when a test fails. */
let end: AbortController;
beforeEach(async () => {
  end = new AbortController();
  namespace = await cluster.newNamespace();
});
afterEach(() => end.abort());
afterAll(() => cluster.close());

const apply = (text: string, options: Partial<ApplyOptions> = {}, asked: Asked = {}) =>
  cluster.run((session) => applyFiles(session, { filename: ['-'], ...options }), { input: text, ...asked });
const get = (words: string, options: GetOptions = {}, asked: Asked = {}) => {
  const [word = '', ...names] = words.split(' ');
  return cluster.run((session) => getObjects(session, word, names, options), asked);
};

const pod = (name: string, status?: Pod['status']): Pod => ({
  metadata: { name, namespace, labels: { app: name } },
  spec: { containers: [{ name: 'main', image: 'main:1' }], nodeName: 'one' },
  ...(status ? { status } : {}),
});

async function running(name: string): Promise<Pod> {
  const made = await cluster.client.create(Pods, pod(name));
  const conditions = [{ type: 'Ready', status: 'True' }];
  const containerStatuses = [
    {
      name: 'main',
      ready: true,
      restartCount: 2,
      image: 'main:1',
      imageID: 'sha256:1',
      state: { running: { startedAt: '2026-01-01T00:00:00Z' } },
    },
  ];
  const status = { phase: 'Running', podIP: '10.0.0.9', conditions, containerStatuses };
  return cluster.client.update(Pods, { ...made, status } as Pod, { subresource: 'status' });
}

describe('apply', () => {
  test('creates, then leaves alone, then changes', async () => {
    const text = `${configMap('a')}---\n${deployment(2)}`;
    expect(await apply(text)).toEqual({
      code: 0,
      out: 'configmap/a created\ndeployment.apps/web created\n',
      err: '',
    });
    expect((await apply(text)).out).toBe('configmap/a unchanged\ndeployment.apps/web unchanged\n');
    const changed = await apply(`${configMap('a')}---\n${deployment(3)}`);
    expect(changed.out).toBe('configmap/a unchanged\ndeployment.apps/web configured\n');
    const stored = await cluster.client.get(Deployments, { namespace, name: 'web' });
    expect(stored.spec?.replicas).toBe(3);
    expect(stored.metadata.managedFields?.map(({ manager, operation }) => [manager, operation])).toEqual([
      ['trimtab', 'Apply'],
    ]);
  });

  test('a dry run tells what would happen and stores nothing', async () => {
    await apply(configMap('a'));
    const tried = await apply(`${configMap('a', 'w')}---\n${configMap('b')}`, { dryRun: true });
    expect(tried.out).toBe('configmap/a configured (server dry run)\nconfigmap/b created (server dry run)\n');
    expect((await apply(configMap('a'), { dryRun: true })).out).toBe('configmap/a unchanged (server dry run)\n');
    const { items } = await cluster.client.list(ConfigMaps, { namespace });
    expect(items.map(({ metadata, data }) => [metadata.name, data?.k])).toEqual([['a', 'v']]);
  });

  test('others’ fields are taken only by force', async () => {
    const key = { namespace, name: 'a' };
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: key, data: { k: 'theirs' } };
    await cluster.client.patch(ConfigMaps, key, { type: 'apply', body }, { fieldManager: 'someone' });
    const refused = await apply(configMap('a'));
    expect(refused.code).toBe(1);
    expect(refused.err).toBe(
      'error: Apply failed with 1 conflict: conflict with "someone": .data.k\n' +
        'Leave these fields out, or take them over with --force-conflicts.\n',
    );
    expect((await apply(configMap('a'), { forceConflicts: true })).out).toBe('configmap/a configured\n');
  });

  test('files and directories, in order, with namespaces first', async () => {
    const directory = join(cluster.directory, 'app');
    await mkdir(join(directory, 'deeper'), { recursive: true });
    await writeFile(join(directory, '1.yaml'), configMap('a', 'v', '\n  namespace: own'));
    await writeFile(join(directory, '2.json'), '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"own"}}');
    await writeFile(join(directory, 'notes.txt'), 'not: [yaml');
    await writeFile(join(directory, 'deeper', '3.yaml'), configMap('c'));
    const done = await apply('', { filename: [directory] });
    expect(done).toEqual({ code: 0, out: 'namespace/own created\nconfigmap/a created\n', err: '' });
    const list = `apiVersion: v1\nkind: List\nitems:\n- ${configMap('x').replaceAll('\n', '\n  ').trimEnd()}\n`;
    expect((await apply(list, {}, { namespace: 'own' })).out).toBe('configmap/x created\n');
    await cluster.client.get(ConfigMaps, { namespace: 'own', name: 'x' });
  });

  test('a directory with a Chart.yaml is a chart: rendered for the namespace, applied, and deleted again', async () => {
    const chart = join(cluster.directory, 'chart');
    await mkdir(join(chart, 'templates'), { recursive: true });
    await writeFile(join(chart, 'Chart.yaml'), 'apiVersion: v2\nname: site\nversion: 0.1.0\n');
    await writeFile(join(chart, 'values.yaml'), 'colour: red\n');
    await writeFile(
      join(chart, 'templates', 'map.yaml'),
      'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: {{ .Release.Name }}, namespace: {{ .Release.Namespace }} }\ndata: { colour: {{ .Values.colour }} }\n',
    );
    const done = await apply('', { filename: [chart] });
    expect(done).toEqual({ code: 0, out: 'configmap/site created\n', err: '' });
    expect((await cluster.client.get(ConfigMaps, { namespace, name: 'site' })).data).toEqual({ colour: 'red' });
    const gone = await cluster.run((session) => deleteObjects(session, undefined, [], { filename: [chart] }));
    expect(gone.code).toBe(0);
  });

  test('a custom kind can be applied together with its definition, and its schema counts', async () => {
    const both = await apply(`${boat(2)}---\n${definition}`);
    expect(both.out).toBe(
      'customresourcedefinition.apiextensions.k8s.io/boats.sea.example created\nboat.sea.example/ketch created\n',
    );
    for (const word of ['boats', 'Boat', 'bt', 'boats.sea.example', 'boats.v1.sea.example'])
      expect((await get(word)).out).toBe('NAME    SAILS\nketch   2\n');
    const bad = await apply(boat(0));
    expect(bad.err).toMatch(/^The Boat\.sea\.example "ketch" is invalid: spec\.sails: .*\(standard input:6\)\n$/);
  });

  test('what is wrong with a file is said with its line, before anything is sent', async () => {
    const wrong = async (text: string): Promise<string> => {
      const { code, err, out } = await apply(`${configMap('first')}---\n${text}`);
      expect([code, out]).toEqual([1, '']);
      return err;
    };
    expect(await wrong('kind: [\n')).toMatch(/^error: error parsing standard input: yaml: line \d+: /);
    expect(await wrong('kind: Pod\nmetadata: {name: x}\n')).toBe('error: standard input:9: apiVersion is not set\n');
    expect(await wrong('apiVersion: v1\nkind: Pod\nmetadata:\n  name: 7\n')).toBe(
      'error: standard input:12: metadata.name must be a text; put it in quotes\n',
    );
    expect(await wrong('apiVersion: v1\nkind: Pod\nmetadata: {}\n')).toBe(
      'error: standard input:11: Pod has no metadata.name\n',
    );
    expect(await wrong(`${configMap('x')}  k: again\n`)).toBe('error: standard input:16: duplicate field "data.k"\n');
    expect(await wrong('apiVersion: v9\nkind: Yacht\nmetadata: {name: x}\n')).toBe(
      'error: standard input:9: no matches for kind "Yacht" in version "v9"; is its definition installed?\n',
    );
    expect((await apply('# nothing\n')).err).toBe('error: no objects in -\n');
    expect((await apply('', { filename: ['/nowhere.yaml'] })).err).toBe(
      'error: the path "/nowhere.yaml" does not exist\n',
    );
    expect((await get('configmaps -')).code).toBe(1);
  });

  test('what the server refuses is said with the field’s line; the rest is applied', async () => {
    const text = `${deployment(-1)}---\n${configMap('b')}`;
    const { code, out, err } = await apply(text);
    expect([code, out]).toEqual([1, 'configmap/b created\n']);
    expect(err).toBe(
      'The Deployment.apps "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0 (standard input:6)\n',
    );
    const unknown = await apply(deployment(1, '\n        imagePolicy: x'));
    expect(unknown.err).toMatch(
      /^Error from server \(BadRequest\): .*imagePolicy: field not declared in schema.* \(standard input:16\)\n$/,
    );
    const other = await apply(configMap('c', 'v', '\n  namespace: there'), {}, { namespace: 'here' });
    expect(other.err).toBe(
      'error: standard input:6: the namespace "there" does not match the namespace "here" of the command line\n',
    );
    expect((await apply(configMap('c'), {}, { namespace: 'here' })).err).toBe(
      'Error from server (NotFound): namespaces "here" not found (standard input:1)\n',
    );
  });
});

describe('get', () => {
  test('tables as the server prints them: one kind, several, all namespaces, wide', async () => {
    await running('p');
    await apply(configMap('a'));
    expect((await get('pods')).out).toMatch(
      /^NAME {3}READY {3}STATUS {4}RESTARTS {3}AGE\np {6}1\/1 {5}Running {3}2 {10}\d+s\n$/,
    );
    expect((await get('po', { output: 'wide' })).out).toMatch(/AGE {3}IP {9}.*NODE .*\np .* 10\.0\.0\.9 .*one/);
    const both = await get('cm,pods', { selector: 'app in (a,p)' });
    expect(both.out).toMatch(/^NAME {10}DATA .*\nconfigmap\/a .*\n\nNAME {4}READY .*\npod\/p /);
    const everywhere = await get('pods', { allNamespaces: true });
    expect(everywhere.out).toMatch(/^NAMESPACE {3}NAME .*\ntest-\d+ +p /);
    const slashes = await get('pod/p cm/a', { output: 'name' });
    expect(slashes.out).toBe('pod/p\nconfigmap/a\n');
    expect((await get('all')).out).toMatch(
      /^NAME {4}READY .*\npod\/p [\s\S]*\n\nNAME .*\nservice\/kubernetes|^NAME {4}READY/,
    );
  });

  test('json and yaml: one object as it is, several as a list; never managed fields', async () => {
    await apply(`${configMap('a')}---\n${configMap('b')}`);
    const one = await get('cm a', { output: 'yaml' });
    expect(one.out).toMatch(/^apiVersion: v1\ndata:\n {2}k: v\nkind: ConfigMap\nmetadata:\n {2}creationTimestamp: /);
    expect(one.out).not.toContain('managedFields');
    const several = JSON.parse((await get('cm a b', { output: 'json' })).out);
    expect(several).toMatchObject({
      kind: 'List',
      items: [{ kind: 'ConfigMap', metadata: { name: 'a' } }, { data: { k: 'v' } }],
    });
    expect((await get('cm a', { output: 'json' })).out).toMatch(/^\{\n {4}"apiVersion": "v1",\n {4}"data": /);
  });

  test('what is not there is said in the server’s words, beside what is', async () => {
    await apply(configMap('a'));
    const { code, out, err } = await get('cm nope a', { output: 'name' });
    expect([code, out, err]).toEqual([
      1,
      'configmap/a\n',
      'Error from server (NotFound): configmaps "nope" not found\n',
    ]);
    expect(await get('pods')).toEqual({ code: 0, out: '', err: `No resources found in ${namespace} namespace.\n` });
    expect((await get('jobs', { allNamespaces: true })).err).toBe('No resources found\n');
    expect((await get('ships')).err).toBe('error: the server doesn\'t have a resource type "ships"\n');
    expect((await get('pods', { output: 'xml' })).err).toContain('unable to match a printer to "xml"');
    expect((await get('cm/a b')).err).toContain('"b" is not kind/name');
    expect((await get('pods', { selector: 'a in' })).code).toBe(1);
  });

  test('watching shows what is there and what changes', async () => {
    await apply(configMap('a'));
    let step = 0;
    const seen = await cluster.run(
      (session) => getObjects(session, 'cm', [], { watch: true, selector: 'app' }, end.signal),
      {
        output: (text) => {
          const lines = text.trimEnd().split('\n').length;
          if (lines === 2 && step === 0) {
            step = 1;
            void apply(configMap('a-longer-name'));
          } else if (lines === 3 && step === 1) {
            step = 2;
            void cluster.client.delete(ConfigMaps, { namespace, name: 'a' });
          } else if (lines === 4) end.abort();
        },
      },
    );
    expect(seen.out).toMatch(/^NAME {3}DATA {3}AGE\na {6}1 {6}\d+s\na-longer-name {3}1 {6}\d+s\na {15}1 {6}\d+s\n$/);
    const none = await cluster.run((session) => getObjects(session, 'cm', ['nope'], { watch: true }));
    expect(none.err).toBe('Error from server (NotFound): configmaps "nope" not found\n');
  });
});

describe('delete and wait', () => {
  const remove = (words: string, options: Parameters<typeof deleteObjects>[3] = {}, input = '') => {
    const [word, ...names] = words.split(' ');
    return cluster.run((session) => deleteObjects(session, word || undefined, names, options), { input });
  };
  const wait = (words: string, condition: string, timeout = 5) => {
    const [word = '', ...names] = words.split(' ');
    return cluster.run((session) => waitForObjects(session, word, names, { for: condition, timeout }));
  };

  test('by name, by selector, by file; what is not there fails', async () => {
    await apply([configMap('a'), configMap('b'), configMap('c'), deployment(1)].join('---\n'));
    expect(await remove('cm a nope')).toEqual({
      code: 1,
      out: 'configmap "a" deleted\n',
      err: 'Error from server (NotFound): configmaps "nope" not found\n',
    });
    expect((await remove('cm', { selector: 'app=b' })).out).toBe('configmap "b" deleted\n');
    expect((await remove('', { filename: ['-'] }, `${configMap('c')}---\n${deployment(1)}`)).out).toBe(
      'configmap "c" deleted\ndeployment.apps "web" deleted\n',
    );
    expect((await remove('cm')).err).toBe('error: resource(s) were provided, but no name was specified\n');
    const { items } = await cluster.client.list(ConfigMaps, { namespace, labelSelector: 'app' });
    expect(items).toEqual([]);
  });

  test('waits for what stays behind, or not', async () => {
    const held = { name: 'held', namespace, finalizers: ['test.example/hold'] };
    await cluster.client.create(ConfigMaps, { metadata: held });
    expect((await remove('cm held', { wait: false })).code).toBe(0);
    let done = false;
    const waiting = remove('cm held').finally(() => {
      done = true;
    });
    expect((await wait('cm/held', 'delete', 0)).err).toBe(
      'error: timed out waiting for the condition on configmaps/held\n',
    );
    expect(done).toBe(false);
    const body = { metadata: { finalizers: null } };
    await cluster.client.patch(ConfigMaps, { namespace, name: 'held' }, { type: 'merge', body });
    expect((await waiting).out).toBe('configmap "held" deleted\n');
    expect((await wait('cm/held', 'delete')).out).toBe('configmap/held condition met\n');
  });

  test('conditions, paths and creation are waited for', async () => {
    expect((await wait('pod/p', 'condition=Ready')).err).toBe('Error from server (NotFound): pods "p" not found\n');
    const created = wait('pod p', 'create');
    await cluster.client.create(Pods, pod('p'));
    expect((await created).out).toBe('pod/p condition met\n');
    const vanished = await cluster.run((session) => {
      const read = session.client.get.bind(session.client);
      jest.spyOn(session.client, 'get').mockImplementationOnce(async (type, key) => {
        const object = await read(type, key);
        await cluster.client.delete(Pods, { namespace, name: 'p' }, { gracePeriodSeconds: 0 });
        return object as never;
      });
      return waitForObjects(session, 'pod/p', [], { for: 'condition=Ready', timeout: 5 });
    });
    expect(vanished).toMatchObject({ code: 1, err: 'error: pods "p" was deleted while it was waited for\n' });
    await running('p');
    expect((await wait('pods p', 'condition=Ready')).out).toBe('pod/p condition met\n');
    expect((await wait('pods p', 'jsonpath={.status.podIP}=10.0.0.9')).code).toBe(0);
    expect((await wait('pods p', 'condition=Ready=False', 0)).code).toBe(1);
    expect((await wait('pods p', 'luck')).err).toContain('cannot wait for "luck"');
  });
});

describe('describe', () => {
  const show = (words: string) => {
    const [word = '', ...names] = words.split(' ');
    return cluster.run((session) => describeObjects(session, word, names));
  };

  test('objects with their surroundings and events; secrets keep their values', async () => {
    const { metadata } = await running('p');
    await apply(`apiVersion: v1
kind: Event
metadata: {name: p.1}
type: Warning
reason: BackOff
message: Back-off restarting failed container
count: 3
source: {component: kubelet}
involvedObject: {kind: Pod, name: p, namespace: ${namespace}, uid: ${metadata.uid}}
---
apiVersion: v1
kind: Event
metadata: {name: p.0}
reason: Old
involvedObject: {kind: Pod, name: p, namespace: ${namespace}, uid: another}
---
apiVersion: v1
kind: Secret
metadata: {name: s}
stringData: {password: hunter2}
`);
    const described = await show('pod p');
    expect(described.err).toBe('');
    expect(described.out).toMatch(/^Name: +p\nNamespace: +test-\d+\n/);
    expect(described.out).toMatch(
      /\n {2}main:\n[\s\S]*Image: +main:1\n[\s\S]*State: +Running\n[\s\S]*Restart Count: +2\n/,
    );
    expect(described.out).toMatch(/Events:\n {2}Type .*\n {2}---- .*\n {2}Warning {3}BackOff .*kubelet +Back-off/);
    expect(described.out).not.toContain('Old');
    const secret = (await show('secret s')).out;
    expect(secret).toContain('password:  7 bytes');
    expect(secret).not.toContain(Buffer.from('hunter2').toString('base64'));
    expect((await show('pods/nope')).err).toBe('Error from server (NotFound): pods "nope" not found\n');
  });

  test('every kind can be described', async () => {
    await apply(`${deployment(2)}---\n${definition}---\n${boat(3)}---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Node
metadata: {name: one}
`);
    await cluster.client.create(Namespaces, { metadata: { name: 'other' } });
    const all = await Promise.all(['deploy web', 'svc web', 'node one', 'boat ketch', 'ns other', 'crd'].map(show));
    expect(all.map(({ code, err }) => [code, err])).toEqual(all.map(() => [0, '']));
    const [web, service, node, ketch] = all.map(({ out }) => out);
    expect(web).toMatch(/Replicas: +2 desired \| 0 updated/);
    expect(web).toMatch(/Pod Template:\n {2}Labels: +app=web\n/);
    expect(service).toMatch(/Port: +<unset> {2}80\/TCP\nTargetPort: +8080\/TCP\nEndpoints: +<none>\n/);
    expect(node).toContain('Non-terminated Pods (');
    expect(ketch).toMatch(
      /API Version: +sea\.example\/v1\nKind: +Boat\n[\s\S]*Spec:\n {2}Sails: {2}3\nEvents: +<none>\n$/,
    );
  });
});
