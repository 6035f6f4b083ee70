import {
  Deployments,
  Jobs,
  type KubeObject,
  type Node,
  Nodes,
  PersistentVolumeClaims,
  type Pod,
  Pods,
  ServiceAccounts,
  Services,
} from '@trimtab/machinery';
import { type TestCluster, testCluster } from './testing.js';
import { explainObject } from './why.js';
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
const why = (reference: string) => cluster.run((session) => explainObject(session, reference));

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

describe('what stands for pods', () => {
  const template = (labels: Record<string, string>) => ({
    metadata: { labels },
    spec: { containers: [{ name: 'main', image: 'main:1', ports: [{ name: 'web', containerPort: 80 }] }] },
  });
  const labels = { app: 'shop', tier: 'front' };
  const madePod = async (name: string, status: object) => {
    const made = await cluster.client.create(Pods, {
      metadata: { name, namespace, labels },
      spec: { ...template(labels).spec, nodeName: 'small' },
    });
    await cluster.client.update(Pods, { ...made, status } as Pod, { subresource: 'status' });
  };
  const main = { name: 'main', ready: false, restartCount: 0, image: 'main:1', imageID: '' };
  const ready = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
  const crashing = (seconds: number) => ({
    phase: 'Running',
    containerStatuses: [
      {
        ...main,
        restartCount: 2,
        state: { waiting: { reason: 'CrashLoopBackOff', message: `back-off ${seconds}s restarting` } },
        lastState: { terminated: { exitCode: 127, reason: 'Error', finishedAt: `2026-01-01T00:00:0${seconds}Z` } },
      },
    ],
  });
  const pulling = { reason: 'ImagePullBackOff', message: 'Back-off pulling image "main:1"' };
  const beginning = (out: string) => out.slice(0, out.indexOf('How it came here')).split('\n');

  test('a deployment: how far it is, which pods keep it and why, and the first of them in full', async () => {
    await cluster.client.create(Deployments, {
      metadata: { name: 'shop', namespace },
      spec: { replicas: 4, paused: true, selector: { matchLabels: labels }, template: template(labels) },
    });
    expect(beginning((await why('deploy/shop')).out)[0]).toBe(
      'deployment.apps/shop wants 4 pods: 0 of them are ready.',
    );
    await madePod('a', ready);
    await madePod('b', crashing(1));
    await madePod('c', crashing(2));
    await madePod('d', { phase: 'Pending', containerStatuses: [{ ...main, state: { waiting: pulling } }] });
    const lines = beginning((await why('deploy/shop')).out);
    expect(lines.slice(0, 6)).toEqual([
      'deployment.apps/shop wants 4 pods: 1 of them is ready.',
      '  0 of them are of its newest template.',
      '  It is paused: its template is not rolled out until kubectl rollout resume deployment.apps/shop.',
      '  b, c: container main keeps ending: it exited with code 127 (the command was not found)',
      '  d: container main waits: ImagePullBackOff (Back-off pulling image "main:1")',
      'pod/b is Running on node small.',
    ]);
  });

  test('a job: what is done, what has failed; nothing is told of pods that have succeeded', async () => {
    const job = await cluster.client.create(Jobs, {
      metadata: { name: 'sum', namespace },
      spec: { completions: 3, template: { spec: { ...template({}).spec, restartPolicy: 'Never' } } },
    });
    const { labels: own } = (job as { spec: { template: { metadata: { labels: Record<string, string> } } } }).spec
      .template.metadata;
    const status = { startTime: '2026-01-01T00:00:00Z', succeeded: 1, failed: 1, active: 1 };
    await cluster.client.update(Jobs, { ...job, status }, { subresource: 'status' });
    for (const [name, phase, exitCode] of [
      ['done', 'Succeeded', 0],
      ['lost', 'Failed', 3],
    ] as const) {
      const made = await cluster.client.create(Pods, {
        metadata: { name, namespace, labels: own },
        spec: { ...template({}).spec, nodeName: 'small' },
      });
      const state = { terminated: { exitCode, reason: 'Error', finishedAt: '2026-01-01T00:00:00Z' } };
      const end = { ...made, status: { phase, containerStatuses: [{ ...main, state }] } } as Pod;
      await cluster.client.update(Pods, end, { subresource: 'status' });
    }
    expect(beginning((await why('job/sum')).out).slice(0, 3)).toEqual([
      'job.batch/sum is not done: 1 of 3 succeeded, 1 failed (backoffLimit 6), 1 pod under way.',
      '  lost: container main exited with code 3',
      'pod/lost is Failed on node small.',
    ]);
  });

  test('a service: who stands behind it, the label that keeps pods away, the port nobody has', async () => {
    await madePod('a', ready);
    const service = (name: string, selector: Record<string, string>, targetPort: string | number) =>
      cluster.client.create(Services, {
        metadata: { name, namespace },
        spec: { selector, ports: [{ name: 'http', port: 80, targetPort }] },
      });
    await service('right', labels, 'web');
    await service('wrong', { app: 'shop', tier: 'back' }, 80);
    await service('portless', labels, 'metrics');
    await service('free', {}, 80);
    const of = async (name: string) => beginning((await why(`svc/${name}`)).out).slice(0, -1);
    expect(await of('right')).toEqual(['service/right sends to 1 pod: 1 pod with app=shop,tier=front, 1 ready.']);
    expect(await of('wrong')).toEqual([
      'service/wrong sends to nobody: no pod here carries app=shop,tier=back.',
      '  1 pod would be: they carry tier=front instead of tier=back.',
    ]);
    expect((await of('portless'))[1]).toBe(
      '  Port http leads to the port named metrics, and no container has a port of that name.',
    );
    expect(await of('free')).toEqual(['service/free selects no pods: its endpoints are written by whoever made it.']);
  });

  test('a claim: what it waits for, and who uses it', async () => {
    await cluster.client.create(PersistentVolumeClaims, {
      metadata: { name: 'data', namespace },
      spec: {
        accessModes: ['ReadWriteOnce'],
        storageClassName: 'slow',
        resources: { requests: { storage: '1Gi' } },
      },
    });
    const lines = async () => beginning((await why('pvc/data')).out);
    expect((await lines())[0]).toBe(
      'persistentvolumeclaim/data is Pending: it waits for a volume from storage class slow. No pod uses it.',
    );
    await create('db', { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }] }, '1m');
    expect((await lines()).slice(0, 3)).toEqual([
      'persistentvolumeclaim/data is Pending: it waits for a volume from storage class slow. Used by pod/db.',
      '  db: waits for a node',
      'pod/db waits for a node.',
    ]);
  });
});
