import {
  ApiException,
  ApiextensionsV1Api,
  AppsV1Api,
  AuthenticationV1Api,
  AuthorizationV1Api,
  CoreV1Api,
  CustomObjectsApi,
  KubeConfig,
  KubernetesObjectApi,
  makeInformer,
  PatchStrategy,
  setHeaderOptions,
  type V1ConfigMap,
  VersionApi,
  Watch,
} from '@kubernetes/client-node';
import { type ApiCluster, apiCluster } from '../api-cluster.js';

/** The official JavaScript client, which shares no code with kubectl and none with ours. */

let api: ApiCluster;
let config: KubeConfig;
let core: CoreV1Api;
const namespace = 'javascript';

beforeAll(async () => {
  api = await apiCluster();
  config = new KubeConfig();
  config.loadFromFile(api.kubeconfig);
  core = config.makeApiClient(CoreV1Api);
  await core.createNamespace({ body: { metadata: { name: namespace } } });
});
afterAll(() => api?.close());

const map = (name: string, data: Record<string, string>, labels: Record<string, string> = {}): V1ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace, labels },
  data,
});
const refusal = async (promise: Promise<unknown>): Promise<{ code: number; reason: string; message: string }> => {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ApiException)) throw new Error(`not refused: ${error}`);
  return { code: error.code, ...(JSON.parse(error.body as string) as { reason: string; message: string }) };
};

test('creates, reads, lists with selectors, replaces and deletes; refusals are Status objects', async () => {
  const created = await core.createNamespacedConfigMap({ namespace, body: map('crud', { a: '1' }, { of: 'crud' }) });
  expect(created.metadata?.uid).toMatch(/^[0-9a-f-]{36}$/);
  expect(created.metadata?.creationTimestamp).toBeInstanceOf(Date);
  expect((await core.readNamespacedConfigMap({ namespace, name: 'crud' })).data).toEqual({ a: '1' });
  const listed = await core.listNamespacedConfigMap({ namespace, labelSelector: 'of in (crud),!other' });
  expect(listed.items.map((o) => o.metadata?.name)).toEqual(['crud']);
  const replaced = await core.replaceNamespacedConfigMap({
    namespace,
    name: 'crud',
    body: { ...created, data: { a: '2' } },
  });
  expect(replaced.data).toEqual({ a: '2' });
  const stale = core.replaceNamespacedConfigMap({ namespace, name: 'crud', body: { ...created, data: { a: '3' } } });
  expect(await refusal(stale)).toMatchObject({ code: 409, reason: 'Conflict' });
  expect(await core.deleteNamespacedConfigMap({ namespace, name: 'crud' })).toMatchObject({ status: 'Success' });
  expect(await refusal(core.readNamespacedConfigMap({ namespace, name: 'crud' }))).toMatchObject({
    code: 404,
    message: 'configmaps "crud" not found',
  });
  const wrong = core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'Not A Name' } } });
  expect(await refusal(wrong)).toMatchObject({ code: 422, reason: 'Invalid' });
});

test('pages through a list by its continue tokens', async () => {
  for (let i = 0; i < 7; i++)
    await core.createNamespacedConfigMap({ namespace, body: map(`page-${i}`, {}, { of: 'pages' }) });
  const names: string[] = [];
  let token: string | undefined;
  do {
    const page = await core.listNamespacedConfigMap({
      namespace,
      labelSelector: 'of=pages',
      limit: 3,
      ...(token ? { _continue: token } : {}),
    });
    names.push(...page.items.map((o) => o.metadata!.name!));
    token = page.metadata?._continue;
  } while (token);
  expect(names).toEqual([0, 1, 2, 3, 4, 5, 6].map((i) => `page-${i}`));
});

test('patches four ways', async () => {
  const apps = config.makeApiClient(AppsV1Api);
  const containers = [{ name: 'main', image: 'example.com/app:1' }];
  const template = { metadata: { labels: { app: 'patched' } }, spec: { containers } };
  const spec = { replicas: 1, selector: { matchLabels: { app: 'patched' } }, template };
  await apps.createNamespacedDeployment({ namespace, body: { metadata: { name: 'patched' }, spec } });
  const patch = (body: object, strategy: PatchStrategy, more: object = {}) =>
    apps.patchNamespacedDeployment(
      { namespace, name: 'patched', body, ...more },
      setHeaderOptions('Content-Type', strategy),
    );
  const image = { spec: { template: { spec: { containers: [{ name: 'main', tty: true }] } } } };
  expect((await patch(image, PatchStrategy.StrategicMergePatch)).spec?.template.spec?.containers).toEqual([
    expect.objectContaining({ name: 'main', image: 'example.com/app:1', tty: true }),
  ]);
  const merged = await patch({ metadata: { labels: { by: 'merge' } } }, PatchStrategy.MergePatch);
  expect(merged.metadata?.labels).toEqual({ by: 'merge' });
  const replicas = [
    { op: 'test', path: '/spec/replicas', value: 1 },
    { op: 'replace', path: '/spec/replicas', value: 4 },
  ];
  expect((await patch(replicas, PatchStrategy.JsonPatch)).spec?.replicas).toBe(4);
  const applied = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'patched' }, spec: { replicas: 5 } };
  const apply = (more: object) =>
    patch(applied, PatchStrategy.ServerSideApply, { fieldManager: 'javascript', ...more });
  expect(await refusal(apply({}))).toMatchObject({
    code: 409,
    message: expect.stringContaining('.spec.replicas'),
  });
  const forced = await apply({ force: true });
  expect(forced.spec?.replicas).toBe(5);
  expect(forced.metadata?.managedFields).toContainEqual(
    expect.objectContaining({ manager: 'javascript', operation: 'Apply' }),
  );
  const scale = await apps.readNamespacedDeploymentScale({ namespace, name: 'patched' });
  expect(scale).toMatchObject({ kind: 'Scale', spec: { replicas: 5 } });
});

test('watches, and an informer keeps up through a watch that breaks', async () => {
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const labelSelector = 'of=watch';
  const heard: string[] = [];
  const told = new EventTarget();
  const until = async (good: () => boolean): Promise<void> => {
    while (!good()) await new Promise((resolve) => told.addEventListener('told', resolve, { once: true }));
  };
  const say = (what: string) => {
    heard.push(what);
    told.dispatchEvent(new Event('told'));
  };
  const informer = makeInformer<V1ConfigMap>(
    config,
    path,
    () => core.listNamespacedConfigMap({ namespace, labelSelector }),
    labelSelector,
  );
  for (const verb of ['add', 'update', 'delete'] as const)
    informer.on(verb, (o) => say(`${verb} ${o.metadata?.name} ${o.data?.a}`));
  let over = false;
  // Stopping it is an error to it as well: started again it would go on for ever.
  informer.on('error', () => void (over || informer.start()));
  await core.createNamespacedConfigMap({ namespace, body: map('before', { a: '1' }, { of: 'watch' }) });
  await informer.start();
  await until(() => heard.includes('add before 1'));

  const seen: string[] = [];
  const watch = (timeoutSeconds: number, event: (what: string) => void, end: () => void) =>
    new Watch(config).watch(
      path,
      { labelSelector, timeoutSeconds, allowWatchBookmarks: true },
      (phase: string, o: V1ConfigMap) => event(`${phase} ${o.metadata?.name ?? ''}`),
      end,
    );
  // One that lasts for what is to be seen, however long that takes; another one for its end.
  const lasting = await watch(
    600,
    (event) => {
      seen.push(event);
      say(`seen ${event}`);
    },
    () => {},
  );
  const short = await watch(
    1,
    () => {},
    () => say('the watch ended'),
  );
  await core.createNamespacedConfigMap({ namespace, body: map('after', { a: '1' }, { of: 'watch' }) });
  await core.patchNamespacedConfigMap(
    { namespace, name: 'after', body: { data: { a: '2' } } },
    setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
  );
  await until(() => heard.includes('update after 2'));
  await core.deleteNamespacedConfigMap({ namespace, name: 'before' });
  await until(() => heard.includes('delete before 1'));
  await until(() => heard.includes('seen DELETED before'));
  lasting.abort();
  await until(() => heard.includes('the watch ended'));
  short.abort();
  expect(seen.filter((event) => !event.startsWith('BOOKMARK'))).toEqual([
    'ADDED before',
    'ADDED after',
    'MODIFIED after',
    'DELETED before',
  ]);
  expect(informer.get('after', namespace)?.data).toEqual({ a: '2' });
  over = true;
  await informer.stop();
});

test('custom kinds, by the custom-objects API and by objects that say what they are', async () => {
  const group = 'javascript.example.com';
  const schema = {
    type: 'object',
    properties: { spec: { type: 'object', properties: { size: { type: 'integer' } } } },
  };
  await config.makeApiClient(ApiextensionsV1Api).createCustomResourceDefinition({
    body: {
      metadata: { name: `gears.${group}` },
      spec: {
        group,
        scope: 'Namespaced',
        names: { plural: 'gears', kind: 'Gear' },
        versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema } }],
      },
    },
  });
  const custom = config.makeApiClient(CustomObjectsApi);
  const at = { group, version: 'v1', namespace, plural: 'gears' };
  const body = { apiVersion: `${group}/v1`, kind: 'Gear', metadata: { name: 'first' }, spec: { size: 3, unknown: 1 } };
  let gear: unknown;
  while (!gear) gear = await custom.createNamespacedCustomObject({ ...at, body }).catch(() => undefined);
  expect(gear).toMatchObject({ spec: { size: 3 } });
  expect(gear).not.toHaveProperty('spec.unknown');
  const objects = KubernetesObjectApi.makeApiClient(config);
  const second = { ...body, metadata: { name: 'second', namespace } };
  expect(await objects.create(second)).toMatchObject({ metadata: { name: 'second', generation: 1 } });
  expect((await objects.list(`${group}/v1`, 'Gear', namespace)).items).toHaveLength(2);
  expect(await objects.delete(second)).toMatchObject({ status: 'Success' });
});

test('who am I, what may I, what is this server', async () => {
  const self = await config.makeApiClient(AuthenticationV1Api).createSelfSubjectReview({ body: {} });
  expect(self.status?.userInfo?.username).toBe('admin');
  const resourceAttributes = { verb: 'delete', resource: 'nodes' };
  const review = await config
    .makeApiClient(AuthorizationV1Api)
    .createSubjectAccessReview({ body: { spec: { user: 'jane', resourceAttributes } } });
  expect(review.status?.allowed).toBe(false);
  expect((await config.makeApiClient(VersionApi).getCode()).minor).toBe('33');
  const token = await core
    .createNamespacedServiceAccount({ namespace, body: { metadata: { name: 'robot' } } })
    .then(() =>
      core.createNamespacedServiceAccountToken({ namespace, name: 'robot', body: { spec: { audiences: [] } } }),
    );
  const reviewed = await config
    .makeApiClient(AuthenticationV1Api)
    .createTokenReview({ body: { spec: { token: token.status!.token } } });
  expect(reviewed.status?.user?.username).toBe(`system:serviceaccount:${namespace}:robot`);
});
