import { type KubeObject, type Node, Nodes, type Pod, Pods, ServiceAccounts } from '@trimtab/machinery';
import { type TestCluster, testCluster } from './testing.js';
import { explainPod } from './why.js';
import { retryLines } from './why-retries.js';

let cluster: TestCluster;
let namespace: string;
beforeAll(async () => {
  cluster = await testCluster();
  await cluster.client.create(Nodes, node('small', '1'));
  // A new node is taken to be not ready until its kubelet says otherwise.
  await cluster.client.patch(Nodes, { name: 'small' }, { type: 'merge', body: { spec: { taints: null } } });
  await cluster.client.create(Nodes, node('silent', '1'));
  await cluster.client.create(Nodes, node('cordoned', '8'));
  const closed = { unschedulable: true, taints: [{ key: 'k', effect: 'NoSchedule' }] };
  await cluster.client.patch(Nodes, { name: 'cordoned' }, { type: 'merge', body: { spec: closed } });
});
beforeEach(async () => {
  namespace = await cluster.newNamespace();
});
afterAll(() => cluster.close());

const node = (name: string, cpu: string): Node => ({
  metadata: { name },
  status: { allocatable: { cpu, memory: '4Gi', pods: '10' }, capacity: { cpu, memory: '4Gi', pods: '10' } },
});
const create = (name: string, spec: Partial<NonNullable<Pod['spec']>>, cpu = '2') =>
  cluster.client.create(Pods, {
    metadata: { name, namespace },
    spec: { containers: [{ name: 'main', image: 'main:1', resources: { requests: { cpu } } }], ...spec },
  });
const why = (reference: string) => cluster.run((session) => explainPod(session, reference));

test('a pending pod: every node, and the smallest change that would place it', async () => {
  await create('web', {});
  const { out } = await why('pod/web');
  expect(out.slice(0, out.indexOf('How it came here'))).toBe(
    [
      'pod/web waits for a node.',
      '  small: Insufficient cpu',
      '  cordoned: node(s) were unschedulable; node(s) had untolerated taint {k: }',
      '  silent: node(s) had untolerated taint {node.kubernetes.io/not-ready: }; Insufficient cpu',
      'The smallest change that would place it (on node small):',
      "  lower the pod's cpu request by 1",
      '',
    ].join('\n'),
  );
  await create('tiny', {}, '1m');
  expect((await why('tiny')).out).toContain('Node small has room for it now');
  await create('gated', { schedulingGates: [{ name: 'acme.com/quota' }] });
  expect((await why('pod/gated')).out).toContain('scheduling gates are not lifted: acme.com/quota');
});

test('a pod with claims: what of them is missing', async () => {
  await create('db', { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }] }, '1m');
  expect((await why('pod/db')).out).toContain('small: persistentvolumeclaim "data" not found');
});

test('a pod that has a node: how its containers came to their state', async () => {
  const made = await create('broken', { nodeName: 'small' }, '1m');
  const terminated = { exitCode: 137, reason: 'OOMKilled', finishedAt: '2026-01-01T00:00:00Z' };
  const container = { name: 'main', ready: false, restartCount: 3, image: 'main:1', imageID: '' };
  const waiting = { reason: 'CrashLoopBackOff', message: 'back-off 10s' };
  const status = {
    phase: 'Running',
    containerStatuses: [{ ...container, state: { waiting }, lastState: { terminated } }],
  };
  await cluster.client.update(Pods, { ...made, status } as Pod, { subresource: 'status' });
  const { out } = await why('pod/broken');
  expect(out).toContain('pod/broken is Running on node small.');
  expect(out).toContain('container main: waits: CrashLoopBackOff (back-off 10s)');
  expect(out).toContain('restarted 3 times; before that it was killed because it used more memory than its limit');
});

test('row 9: an object at which a controller fails: how often, why, and when it is tried again', async () => {
  const made = await cluster.client.create(ServiceAccounts, { metadata: { name: 'stuck', namespace } });
  const condition = (until: string) => ({
    type: 'Retrying',
    status: 'True',
    reason: 'ReconciliationFailed',
    message: `site has failed 12 times and ${until}: dns: no answer`,
  });
  const lines = (until: string, now: string) =>
    retryLines('site/blog', { ...made, status: { conditions: [condition(until)] } } as KubeObject, Date.parse(now));
  const until = 'is tried again at 2026-01-01T00:10:00Z';
  const failed = '  It has failed 12 times in a row, the last time with: dns: no answer';
  expect(lines(until, '2026-01-01T00:05:00Z')).toEqual([
    'site/blog waits for site, which tries again in 5m, at 2026-01-01T00:10:00Z.',
    failed,
  ]);
  expect(lines(until, '2026-01-01T01:00:00Z')[0]).toContain('was to try again at 2026-01-01T00:10:00Z');
  expect(lines('rests until something changes', '2026-01-01T00:05:00Z')[0]).toBe(
    'site/blog waits for site, which does not try again until something changes.',
  );
  expect(retryLines('serviceaccount/stuck', made, 0)).toEqual([]);
  // As the command says it, of a kind whose status has conditions.
  await create('web', { nodeName: 'small' }, '1m');
  const body = { status: { conditions: [condition(until)] } };
  await cluster.client.patch(Pods, { namespace, name: 'web' }, { type: 'merge', body }, { subresource: 'status' });
  expect((await why('pod/web')).out).toContain(`pod/web waits for site, which was to try again`);
});

test('of everything: the writes that led there, also when it is gone; what never was is said', async () => {
  const { out } = await why('node/small');
  expect(out).toMatch(/How it came here .*\n {2}\S+Z {2}\d+ {2}created node\/small/);
  await create('brief', {}, '1m');
  await cluster.client.delete(Pods, { namespace, name: 'brief' }, { gracePeriodSeconds: 0 });
  expect((await why('pod/brief')).out).toMatch(/^pod\/brief is gone\.\nHow it came here/);
  expect(await why('pod/nobody')).toMatchObject({ code: 1, err: expect.stringContaining('"nobody" not found') });
});
