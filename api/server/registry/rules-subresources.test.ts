import {
  type Deployment,
  Deployments,
  type KubeObject,
  Namespaces,
  PersistentVolumeClaims,
  PodDisruptionBudgets,
  Pods,
  ReplicationControllers,
  type ResourceType,
} from '@trimtab/machinery';
import { deployment, failure, key, object, pod, type TestCluster, testCluster } from './testing.js';

/** The rules of subresources, of what may change and of defaults, by their numbers in README.md. */

let cluster: TestCluster;
beforeEach(async () => {
  cluster = await testCluster();
});
afterEach(() => cluster.store.close());

const merge = (body: object) => ({ type: 'merge', body }) as const;
const patch = <T extends KubeObject>(type: ResourceType<T>, name: string, body: object, subresource = '') =>
  cluster.client.patch(type, key(name), merge(body), { subresource });
const inDefault = (name: string) => ({ name, namespace: 'default' });

describe('rule 37: eviction', () => {
  const evict = (name: string, body: object = {}, options: object = {}) =>
    cluster.client.subresource(Pods, key(name), 'eviction', 'create', { metadata: inDefault(name), ...body }, options);
  const running = async (name: string, ready = true) => {
    await cluster.client.create(Pods, pod(name, { metadata: { labels: { app: 'x' } }, spec: { nodeName: 'n' } }));
    const conditions = [{ type: 'Ready', status: ready ? 'True' : 'False' }];
    await patch(Pods, name, { status: { phase: 'Running', conditions } }, 'status');
  };
  const budget = async (status: object, more: object = {}) => {
    const spec = { selector: { matchLabels: { app: 'x' } }, minAvailable: 1, ...more };
    await cluster.client.create(
      PodDisruptionBudgets,
      object('PodDisruptionBudget', inDefault('b'), { spec }, 'policy/v1'),
    );
    await patch(PodDisruptionBudgets, 'b', { status: { observedGeneration: 1, ...status } }, 'status');
  };

  test('rule 37: a pod without a budget goes, and says why', async () => {
    await running('p');
    await evict('p');
    const { status, metadata } = await cluster.client.get(Pods, key('p'));
    expect(metadata.deletionTimestamp).toBeDefined();
    expect(status?.conditions).toContainEqual(
      expect.objectContaining({ type: 'DisruptionTarget', status: 'True', reason: 'EvictionByEvictionAPI' }),
    );
  });

  test('rule 37: a spent budget is 429 with its cause; one that is behind says when to come back', async () => {
    await running('p');
    await budget({ disruptionsAllowed: 0, desiredHealthy: 1, currentHealthy: 1, expectedPods: 1 });
    const spent = await failure(evict('p'));
    expect(spent.status).toMatchObject({
      code: 429,
      reason: 'TooManyRequests',
      message: "Cannot evict pod as it would violate the pod's disruption budget.",
      details: {
        causes: [
          {
            reason: 'DisruptionBudget',
            message: 'The disruption budget b needs 1 healthy pods and has 1 currently',
          },
        ],
      },
    });
    await patch(PodDisruptionBudgets, 'b', { spec: { minAvailable: 2 } });
    const behind = await failure(evict('p'));
    expect(behind.status.details?.retryAfterSeconds).toBe(10);
    expect((await cluster.client.get(Pods, key('p'))).metadata.deletionTimestamp).toBeUndefined();
  });

  test('rule 37: an allowed disruption is used up, and not by a dry run', async () => {
    await running('p');
    await budget({ disruptionsAllowed: 1, desiredHealthy: 0, currentHealthy: 1, expectedPods: 1 });
    await evict('p', {}, { dryRun: true });
    expect((await cluster.client.get(PodDisruptionBudgets, key('b'))).status?.disruptionsAllowed).toBe(1);
    await evict('p');
    expect((await cluster.client.get(PodDisruptionBudgets, key('b'))).status).toMatchObject({
      disruptionsAllowed: 0,
      disruptedPods: { p: expect.any(String) },
    });
  });

  test('rule 37: what is not ready may go where the budget says so', async () => {
    await running('p', false);
    await budget({ disruptionsAllowed: 0, desiredHealthy: 2, currentHealthy: 1, expectedPods: 2 });
    expect((await failure(evict('p'))).code).toBe(429);
    await patch(PodDisruptionBudgets, 'b', { spec: { unhealthyPodEvictionPolicy: 'AlwaysAllow' } });
    await evict('p');
    expect((await cluster.client.get(Pods, key('p'))).metadata.deletionTimestamp).toBeDefined();
  });

  test('rule 37: preconditions, and the pod that is not there', async () => {
    await running('p');
    const other = { deleteOptions: { preconditions: { uid: 'other' } } };
    expect((await failure(evict('p', other))).reason).toBe('Conflict');
    expect((await failure(evict('none'))).reason).toBe('NotFound');
  });
});

describe('rule 38: the main door and the status door', () => {
  test('rule 38: each keeps to its own, and metadata goes through both', async () => {
    await cluster.client.create(Deployments, deployment('web'));
    const main = await patch(Deployments, 'web', { status: { replicas: 5 }, spec: { replicas: 3 } });
    expect([main.status?.replicas, main.spec?.replicas]).toEqual([undefined, 3]);
    const body = {
      metadata: { labels: { a: 'b' }, annotations: { c: 'd' } },
      status: { replicas: 5 },
      spec: { replicas: 9 },
    };
    const status = await patch(Deployments, 'web', body, 'status');
    expect([status.status?.replicas, status.spec?.replicas]).toEqual([5, 3]);
    expect(status.metadata).toMatchObject({ labels: { a: 'b' }, annotations: { c: 'd' }, generation: 2 });
  });

  test('rule 38: get, update, patch and apply reach status', async () => {
    await cluster.client.create(Namespaces, object('Namespace', { name: 'team' }));
    const body = { metadata: { annotations: { x: 'y' } }, status: { conditions: [{ type: 'A', status: 'True' }] } };
    const place = { name: 'team' };
    const patched = await cluster.client.patch(Namespaces, place, merge(body), { subresource: 'status' });
    expect(patched).toMatchObject({ metadata: { annotations: { x: 'y' } }, status: { phase: 'Active' } });
    const updated = await cluster.client.update(
      Namespaces,
      { ...patched, status: { phase: 'Active' } },
      { subresource: 'status' },
    );
    expect(updated.status).toEqual({ phase: 'Active' });
    expect(await cluster.client.get(Namespaces, place, { subresource: 'status' })).toEqual(updated);
    const config = {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'team' },
      status: { conditions: [{ type: 'B', status: 'False' }] },
    };
    const applied = await cluster.client.patch(
      Namespaces,
      place,
      { type: 'apply', body: config },
      { subresource: 'status', fieldManager: 'm' },
    );
    expect(applied.status?.conditions).toMatchObject([{ type: 'B' }]);
    expect(applied.metadata.managedFields?.find((f) => f.manager === 'm')).toMatchObject({ subresource: 'status' });
  });
});

describe('rule 39: scale', () => {
  type Scale = KubeObject & {
    readonly spec: { readonly replicas?: number };
    readonly status: { readonly selector?: string };
  };
  const scales = ReplicationControllers as ResourceType as ResourceType<Scale>;

  test('rule 39: get, update and patch; stale and negative ones are refused', async () => {
    const { spec } = deployment('rc');
    const rc = { replicas: 1, selector: { app: 'rc' }, template: spec!.template };
    await cluster.client.create(ReplicationControllers, object('ReplicationController', inDefault('rc'), { spec: rc }));
    const scale = await cluster.client.subresource<never, Scale>(scales, key('rc'), 'scale', 'get');
    expect(scale).toMatchObject({
      apiVersion: 'autoscaling/v1',
      kind: 'Scale',
      spec: { replicas: 1 },
      status: { selector: 'app=rc' },
    });
    const set = (replicas: number, metadata = scale.metadata) =>
      cluster.client.subresource<Scale, Scale>(scales, key('rc'), 'scale', 'update', {
        ...scale,
        metadata,
        spec: { replicas },
      });
    expect((await set(3)).spec.replicas).toBe(3);
    expect((await failure(set(4))).reason).toBe('Conflict');
    expect((await failure(set(-1, inDefault('rc')))).status).toMatchObject({
      code: 422,
      message:
        'Scale.autoscaling "rc" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0',
    });
    const zero = await cluster.client.patch(scales, key('rc'), merge({ spec: { replicas: 0 } }), {
      subresource: 'scale',
    });
    expect(zero.spec.replicas ?? 0).toBe(0);
    expect((await cluster.client.get(ReplicationControllers, key('rc'))).spec?.replicas).toBe(0);
  });
});

describe('rule 40: what may not change', () => {
  const refused = async (act: Promise<unknown>) =>
    (await failure(act)).status.details?.causes?.map((c) => `${c.field}: ${c.message}`);

  test('rule 40: a pod', async () => {
    await cluster.client.create(Pods, pod('p'));
    await patch(Pods, 'p', { spec: { containers: [{ name: 'main', image: 'app:2' }] } });
    expect(await refused(patch(Pods, 'p', { spec: { hostname: 'x' } }))).toEqual([
      expect.stringMatching(/^spec: Forbidden: pod updates may not change fields other than/),
    ]);
    expect(
      await refused(
        patch(Pods, 'p', {
          spec: {
            containers: [
              { name: 'a', image: 'a' },
              { name: 'b', image: 'b' },
            ],
          },
        }),
      ),
    ).toEqual(['spec.containers: Forbidden: pod updates may not add or remove containers']);
  });

  test('rule 40: a workload’s selector, a claim', async () => {
    await cluster.client.create(Deployments, deployment('web'));
    const selector = { matchLabels: { app: 'other' } };
    const template = { metadata: { labels: { app: 'other' } } };
    expect(await refused(patch(Deployments, 'web', { spec: { selector, template } }))).toEqual([
      'spec.selector: Invalid value: {"matchLabels":{"app":"other"}}: field is immutable',
    ]);
    const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };
    await cluster.client.create(PersistentVolumeClaims, object('PersistentVolumeClaim', inDefault('c'), { spec }));
    expect(await refused(patch(PersistentVolumeClaims, 'c', { spec: { accessModes: ['ReadOnlyMany'] } }))).toEqual([
      expect.stringMatching(/^spec: Forbidden: spec is immutable after creation/),
    ]);
  });
});

describe('a pod’s own subresources', () => {
  test('binding puts it on a node, once', async () => {
    await cluster.client.create(Pods, pod('p'));
    const bind = (name: string) =>
      cluster.client.subresource(
        Pods,
        key('p'),
        'binding',
        'create',
        object('Binding', inDefault('p'), { target: { kind: 'Node', name } }),
      );
    await bind('n1');
    const bound = await cluster.client.get(Pods, key('p'));
    expect(bound.spec?.nodeName).toBe('n1');
    expect(bound.status?.conditions).toContainEqual(expect.objectContaining({ type: 'PodScheduled', status: 'True' }));
    expect((await failure(bind('n2'))).message).toContain('pod p is already assigned to node "n1"');
  });

  test('ephemeralcontainers adds and never takes away; the main door knows nothing of them', async () => {
    await cluster.client.create(Pods, pod('p'));
    const add = (list: readonly object[], subresource = 'ephemeralcontainers') =>
      patch(Pods, 'p', { spec: { ephemeralContainers: list } }, subresource);
    const one = { name: 'debug', image: 'busybox' };
    expect((await add([one])).spec?.ephemeralContainers).toMatchObject([one]);
    expect((await failure(add([]))).message).toContain('may not be removed');
    expect((await failure(add([{ ...one, image: 'other' }]))).message).toContain('may not be changed');
    expect((await failure(add([one, { name: 'x', image: 'x' }], ''))).code).toBe(422);
    expect((await cluster.client.get(Pods, key('p'), { subresource: 'ephemeralcontainers' })).kind).toBe('Pod');
  });

  test('resize changes resources, within the pod’s quality of service', async () => {
    const resources = { requests: { cpu: '100m' } };
    await cluster.client.create(Pods, pod('p', { spec: { containers: [{ name: 'main', image: 'a', resources }] } }));
    const resize = (more: object, subresource = 'resize') =>
      patch(Pods, 'p', { spec: { containers: [{ name: 'main', image: 'a', resources: more }] } }, subresource);
    const bigger = await resize({ requests: { cpu: '200m' } });
    expect(bigger.spec?.containers[0]?.resources?.requests).toEqual({ cpu: '200m' });
    expect(bigger.metadata.generation).toBe(2);
    const full = { cpu: '1', memory: '1Gi' };
    expect((await failure(resize({ requests: full, limits: full }))).message).toContain('Pod QOS Class may not change');
    expect((await failure(resize({ requests: { cpu: '300m' } }, ''))).code).toBe(422);
  });
});

test('rule 41: what kubectl diff shows of defaults', async () => {
  const { status: _, ...web } = (await cluster.client.create(Deployments, {
    ...deployment('web'),
    spec: { ...deployment('web').spec, replicas: undefined },
  } as Deployment)) as Deployment;
  expect(web.spec).toMatchObject({
    replicas: 1,
    revisionHistoryLimit: 10,
    progressDeadlineSeconds: 600,
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
    template: {
      spec: {
        restartPolicy: 'Always',
        dnsPolicy: 'ClusterFirst',
        terminationGracePeriodSeconds: 30,
        schedulerName: 'default-scheduler',
        securityContext: {},
      },
    },
  });
  expect(web.spec?.template.spec?.containers[0]).toEqual({
    name: 'main',
    image: 'app:1',
    imagePullPolicy: 'IfNotPresent',
    resources: {},
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
  });
});
