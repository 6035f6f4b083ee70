import { Cluster, eventually, Place, type Ran, run } from './cluster.js';

let place: Place;
let cluster: Cluster;
const args = ['--no-node', '--simulated-nodes', '3', '--history-commits', '2000'];

beforeAll(async () => {
  place = await new Place().make();
  cluster = await Cluster.start(place, ...args);
  await cluster.must('create', 'namespace', 'shop');
});
afterAll(async () => {
  await cluster?.terminate();
  await place?.remove();
});

const trimtab = (...words: readonly string[]): Promise<Ran> =>
  place.trimtabWith({ env: { KUBECONFIG: cluster.ready.kubeconfig } }, ...words);

async function must(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await trimtab(...words);
  if (code !== 0) throw new Error(`trimtab ${words.join(' ')} ended with ${code}: ${stderr}${stdout}`);
  return stdout;
}

const map = (name: string, data: Readonly<Record<string, string>>): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'shop' },
  data,
});

/** A moment of the server's that everything before is earlier than, and everything after later. */
async function moment(): Promise<string> {
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  const now = new Date(Math.floor(Date.now() / 1000) * 1000).toISOString();
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  return now;
}

const running = async (context?: string): Promise<number> =>
  (
    await cluster.must(
      ...(context ? ['--context', context] : []),
      ...['get', 'pods', '-n', 'shop', '--field-selector=status.phase=Running', '-o', 'name'],
    )
  )
    .split('\n')
    .filter(Boolean).length;
const value = (name: string, field = 'x'): Promise<string> =>
  cluster.must('get', 'configmap', name, '-n', 'shop', '-o', `jsonpath={.data.${field}}`);

test('what there was then, by time and revision, for trimtab and for kubectl', async () => {
  await cluster.must('create', 'deployment', 'web', '--image=web', '--replicas=2', '-n', 'shop');
  await eventually(running, (count) => count === 2);
  const then = await moment();
  const { metadata } = JSON.parse(await cluster.must('get', '--raw', '/api/v1/namespaces/shop/pods'));
  await cluster.must('scale', 'deployment', 'web', '--replicas=4', '-n', 'shop');
  await eventually(running, (count) => count === 4);

  const names = (text: string): number => text.split('\n').filter((line) => line.startsWith('web-')).length;
  expect(names(await must('get', 'pods', '-n', 'shop'))).toBe(4);
  expect(names(await must('get', 'pods', '-n', 'shop', '--at', then))).toBe(2);
  expect(names(await must('get', 'pods', '-n', 'shop', '--revision', metadata.resourceVersion))).toBe(2);
  const raw = JSON.parse(await cluster.must('get', '--raw', `/api/v1/namespaces/shop/pods?at=${then}`));
  expect(raw.items).toHaveLength(2);
  const events = await cluster.must(
    ...['get', '--raw'],
    `/api/v1/namespaces/shop/pods?watch=1&resourceVersion=${metadata.resourceVersion}&timeoutSeconds=5`,
  );
  expect(events.split('\n').filter((line) => line.includes('"type":"ADDED"'))).toHaveLength(2);
  const refused = await trimtab('get', 'pods', '-n', 'shop', '--at', '3h');
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('--history-age')]);

  const diff = await trimtab('diff', '--from', then, '-n', 'shop', 'deployment/web');
  expect([diff.code, diff.stdout]).toEqual([1, expect.stringMatching(/^-\s+replicas: 2\n\+\s+replicas: 4$/m)]);
  expect((await trimtab('diff', '--from', metadata.resourceVersion, '--to', metadata.resourceVersion)).code).toBe(0);
  const why = await must('why', 'deployment/web', '-n', 'shop');
  expect(why).toMatch(/kubectl-create created deployment.apps\/web/);
  expect(why).toMatch(/kubectl \(scale\) changed deployment.apps\/web: spec.replicas: 2 → 4/);

  // The past is on disk as the present is.
  await cluster.kill();
  cluster = await Cluster.start(place, ...args);
  expect(names(await must('get', 'pods', '-n', 'shop', '--at', then))).toBe(2);
});

test('an apply is taken back as one change, and the taking back too; kubectl applies as if neither had been', async () => {
  const list = (items: readonly object[]) => JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  await cluster.apply(list([map('a', { x: '1', y: '1' }), map('b', { x: '1' })]));
  await moment();
  await cluster.apply(list([map('a', { x: '2' }), map('b', { x: '2' }), map('c', { x: '2' })]));
  expect((await trimtab('undo', '--dry-run')).stdout).toContain('3 objects would change');
  expect(await value('a')).toBe('2');
  await must('undo');
  expect([await value('a'), await value('a', 'y'), await value('b')]).toEqual(['1', '1', '1']);
  expect((await cluster.kubectl('get', 'configmap', 'c', '-n', 'shop')).stderr).toContain('NotFound');
  await must('undo');
  expect([await value('a'), await value('a', 'y'), await value('c')]).toEqual(['2', '', '2']);
  await moment();
  await cluster.must('delete', 'configmap', 'b', 'c', '-n', 'shop');
  await must('undo');
  expect([await value('b'), await value('c')]).toEqual(['2', '2']);
  // Ownership is what it was: what leaves the manifest leaves the object.
  await cluster.apply(list([map('a', { z: '1' })]));
  expect([await value('a'), await value('a', 'z')]).toEqual(['', '1']);

  await cluster.must('patch', 'configmap', 'b', '-n', 'shop', '--field-manager=somebody', '-p', '{"data":{"x":"9"}}');
  const refused = await trimtab('undo', '--manager', 'kubectl-client-side-apply', 'configmap/b', '-n', 'shop');
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('conflict: configmap/b in shop')]);
  expect(await value('b')).toBe('9');
});

test('a branch is a cluster to try things on, whose outcome comes home as one change or not at all', async () => {
  await cluster.apply(map('d', { x: '1' }));
  await eventually(running, (count) => count === 4);
  await must('branch', 'create', 'try');
  const there = ['--context', 'branch-try', '-n', 'shop'];
  await eventually(
    () => running('branch-try'),
    (count) => count === 4,
  );
  await cluster.must(...there, 'set', 'image', 'deployment/web', 'web=web:2');
  await cluster.must(...there, 'scale', 'deployment', 'web', '--replicas=6');
  await cluster.must(...there, 'rollout', 'status', 'deployment/web', '--timeout=120s');
  await cluster.must(...there, 'delete', 'configmap', 'd');
  // Those that are replaced run until they have ended.
  await eventually(
    () => running('branch-try'),
    (count) => count === 6,
  );
  expect([await running(), await value('d')]).toEqual([4, '1']);
  const images = await must('get', 'pods', '-n', 'shop', '--context', 'branch-try', '-o', 'json');
  expect(images).toContain('web:2');

  const diff = await must('branch', 'diff', 'try');
  expect(diff).toContain('.spec.replicas');
  expect(diff).toContain('configmap/d in shop is deleted');
  expect(await trimtab('branch', 'diff', 'try', '--all', 'pods', '-n', 'shop')).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/^pod\/web-\S+ in shop created/m),
  });
  await must('branch', 'merge', 'try');
  await cluster.must('rollout', 'status', 'deployment/web', '-n', 'shop', '--timeout=120s');
  await eventually(running, (count) => count === 6);
  expect((await cluster.kubectl('get', 'configmap', 'd', '-n', 'shop')).code).toBe(1);

  await must('branch', 'reset', 'try');
  await cluster.must(...there, 'scale', 'deployment', 'web', '--replicas=1');
  await cluster.must('scale', 'deployment', 'web', '-n', 'shop', '--replicas=3');
  const refused = await trimtab('branch', 'merge', 'try');
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('.spec.replicas')]);
  await must('branch', 'delete', 'try');
  expect((await cluster.kubectl(...there, 'get', 'pods')).code).toBe(1);
  expect((await run('grep', ['-c', 'branch-try', cluster.ready.kubeconfig])).stdout.trim()).toBe('0');
});
