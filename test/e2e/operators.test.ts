import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { HttpClient, loadKubeconfig } from '@trimtab/client';
import { backup, catset, website } from '@trimtab/examples';
import {
  controller,
  type OperatorDefinition,
  operator,
  permissionRecorder,
  permissionsOf,
  type RunningOperator,
  refusedBy,
  runOperator,
  watch,
} from '@trimtab/framework';
import {
  ConfigMaps,
  Deployments,
  type KubeObject,
  PersistentVolumeClaims,
  type Pod,
  Pods,
  type ResourceType,
  Services,
  silentLogger,
  systemClock,
  systemRandom,
} from '@trimtab/machinery';
import { filter, firstValueFrom, map, ReplaySubject } from 'rxjs';
import { parse, parseAllDocuments } from 'yaml';
import { type ApiCluster, apiCluster } from '../api-cluster.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The built command loads operators from their source, which are in no bundle. */
test('trimtab manifests prints what an example operator needs of a cluster', async () => {
  const words = ['cli/bin/trimtab.mjs', 'manifests', 'examples/website/website.ts'];
  const { stdout } = await promisify(execFile)(process.execPath, words, {
    cwd: root,
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const objects = parseAllDocuments(stdout).map((document) => document.toJSON() as { kind: string; metadata: object });
  expect(objects.map(({ kind }) => kind)).toEqual(['CustomResourceDefinition', 'ClusterRole']);
  expect(objects[0]!.metadata).toMatchObject({ name: 'websites.example.com' });
});

/** Unchanged, as they run in worlds and under `trimtab dev`: over HTTPS, from a kubeconfig, with their own samples. */
describe('the examples against a kubeconfig', () => {
  let cluster: ApiCluster;
  let client: HttpClient;
  let running: RunningOperator | undefined;
  let beyondRole: () => readonly string[] = () => [];
  beforeAll(async () => {
    cluster = await apiCluster();
    client = new HttpClient({ connection: await loadKubeconfig([cluster.kubeconfig], { environment: {} }) });
  });
  afterEach(async () => {
    expect(await running?.stop()).toEqual([]);
    running = undefined;
    expect(beyondRole()).toEqual([]);
  });
  afterAll(async () => {
    client?.close();
    await cluster?.close();
  });

  const begin = async (app: OperatorDefinition) => {
    const recorder = permissionRecorder(client);
    const around = { clock: systemClock, random: systemRandom, logger: silentLogger };
    running = await runOperator(app, { client: recorder.client, ...around });
    beyondRole = () =>
      refusedBy(permissionsOf(app.controllers), recorder.used).filter((each) => !each.includes('definitions'));
  };
  /** What is there, then every change; waits for changes, not for time. */
  const follow = <T extends KubeObject>(type: ResourceType<T>, name: string) =>
    client.watch(type, {
      namespace: 'default',
      fieldSelector: `metadata.name=${name}`,
      sendInitialEvents: true,
      resourceVersionMatch: 'NotOlderThan',
      allowWatchBookmarks: true,
    });
  const until = <T extends KubeObject>(type: ResourceType<T>, name: string, holds: (object: T) => unknown) =>
    firstValueFrom(
      follow(type, name).pipe(
        filter(({ type: what, object }) => what !== 'BOOKMARK' && what !== 'DELETED' && Boolean(holds(object as T))),
        map(({ object }) => object as T),
      ),
    );
  const gone = (type: ResourceType, name: string) => {
    let there = false;
    return firstValueFrom(
      follow(type, name).pipe(
        filter(({ type: what }) => {
          there ||= what === 'ADDED';
          return what === 'DELETED' || (what === 'BOOKMARK' && !there);
        }),
      ),
    );
  };
  const sample = async (of: string): Promise<KubeObject> =>
    parse(await readFile(`${root}/examples/${of}/sample.yaml`, 'utf8'));
  /** What a kubelet or a controller of the cluster would say. */
  const say = (type: ResourceType, name: string, status: object) =>
    client.patch(type, { namespace: 'default', name }, { type: 'merge', body: { status } }, { subresource: 'status' });
  const condition = (object: KubeObject, type: string) =>
    (
      object as { status?: { conditions?: { type: string; status: string; reason?: string }[] } }
    ).status?.conditions?.find((each) => each.type === type);
  const isReady = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
  const served = async (type: ResourceType) => {
    // A definition is served once the server has seen it.
    for (;;)
      try {
        return void (await client.list(type, { limit: 1 }));
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
  };

  test('Website', async () => {
    const { Websites, app } = website;
    await begin(app);
    await served(Websites);
    await client.create(Websites, (await sample('website')) as website.Website);
    const deployment = await until(Deployments, 'blog', ({ spec }) => spec?.replicas === 2);
    expect(deployment.metadata.ownerReferences).toMatchObject([{ kind: 'Website', name: 'blog', controller: true }]);
    await until(Websites, 'blog', (object) => condition(object, 'Ready')?.status === 'False');
    await say(Deployments, 'blog', { replicas: 2, readyReplicas: 2, availableReplicas: 2 });
    await until(Websites, 'blog', (object) => condition(object, 'Ready')?.status === 'True');
    const { metadata } = await until(Services, 'blog', () => true);
    await client.delete(Services, { namespace: 'default', name: 'blog' });
    await until(Services, 'blog', ({ metadata: { uid } }) => uid !== metadata.uid);
    // Watched by their metadata were only those of which nothing else is read.
    expect(running!.informers.all().filter(({ isNarrow }) => isNarrow)).toEqual([]);
    // An operator that starts anew finds everything as it is, and writes nothing.
    await running!.stop();
    await begin(app);
    await running!.informers.whenSynced();
    await client.create(ConfigMaps, { metadata: { namespace: 'default', name: 'later' } });
    expect(running!.metrics.text()).not.toContain('trimtab_writes_total');
  });

  test('row 4: over the wire too, kinds are asked for by their metadata until more is read of them', async () => {
    const { Websites } = website;
    const key = { namespace: 'default', name: 'big' };
    const looks = new ReplaySubject<unknown>();
    let reads: 'labels' | 'data' = 'labels';
    const naming = controller<website.Website>({
      name: 'naming',
      for: Websites,
      watches: [watch(ConfigMaps, ({ metadata }) => (metadata.name === key.name ? [key] : []))],
      reconcile: (view) => {
        const map = view.get(ConfigMaps, key);
        looks.next(reads === 'labels' ? map?.metadata.labels?.step : map?.data?.text);
        return [];
      },
    });
    const seen = (what: unknown) => firstValueFrom(looks.pipe(filter((each) => each === what)));
    const step = (to: string) =>
      client.patch(ConfigMaps, key, { type: 'merge', body: { metadata: { labels: { step: to } } } });
    await begin(operator({ name: 'naming', controllers: [naming], definitions: [Websites.definition] }));
    await client.create(ConfigMaps, { metadata: { ...key, labels: { step: '1' } }, data: { text: 'long' } });
    await seen('1');
    const cache = running!.informers.all().find(({ type }) => type.resource === 'configmaps')!;
    expect([cache.isNarrow, Object.keys(cache.get(key)!).sort()]).toEqual([true, ['apiVersion', 'kind', 'metadata']]);
    await step('2');
    await seen('2');
    expect(cache.isNarrow).toBe(true);
    reads = 'data';
    await step('3');
    await seen('long');
    expect([cache.isNarrow, cache.get(key)]).toEqual([false, expect.objectContaining({ data: { text: 'long' } })]);
  });

  test('Backup', async () => {
    const { Backups, app } = backup;
    await begin(app);
    await served(Backups);
    await client.create(Backups, (await sample('backup')) as backup.Backup);
    const inState = (state: string) =>
      until(Backups, 'nightly', (object) => condition(object, 'Progressing')?.reason === state);
    const first = await until(Pods, 'nightly', () => true);
    await say(Pods, 'nightly', { phase: 'Running' });
    await inState('Running');
    // Its state is on the object: another process goes on from there.
    await running!.stop();
    await say(Pods, 'nightly', { phase: 'Failed' });
    await begin(app);
    const second = await until(Pods, 'nightly', ({ metadata: { uid } }) => uid !== first.metadata.uid);
    expect(second.metadata.uid).not.toBe(first.metadata.uid);
    await say(Pods, 'nightly', { phase: 'Succeeded' });
    const done = await until(Backups, 'nightly', (object) => condition(object, 'Ready')?.status === 'True');
    expect(condition(done, 'Ready')).toMatchObject({ reason: 'Succeeded' });
  });

  test('CatSet', async () => {
    const { CatSets, app } = catset;
    await begin(app);
    await served(CatSets);
    await client.create(CatSets, (await sample('catset')) as catset.CatSet);
    await until(Pods, 'cats-0', () => true);
    await expect(client.get(Pods, { namespace: 'default', name: 'cats-1' })).rejects.toThrow('not found');
    await say(Pods, 'cats-0', isReady);
    const pod = await until<Pod>(Pods, 'cats-1', () => true);
    expect(pod.spec?.volumes?.[0]?.persistentVolumeClaim?.claimName).toBe('data-cats-1');
    expect((await client.list(PersistentVolumeClaims, { namespace: 'default' })).items).toHaveLength(2);
    await say(Pods, 'cats-1', isReady);
    await until<catset.CatSet>(CatSets, 'cats', ({ status }) => status?.readyReplicas === 2);
    // In reverse, and the set stays until its last pod has gone.
    const ends = [gone(Pods, 'cats-1'), gone(Pods, 'cats-0'), gone(CatSets, 'cats')];
    await client.delete(CatSets, { namespace: 'default', name: 'cats' });
    await Promise.all(ends);
  });
});
