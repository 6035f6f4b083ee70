import { conditionOf } from '@trimtab/framework';
import {
  ConfigMaps,
  type Deployment,
  Deployments,
  Events,
  type HorizontalPodAutoscaler,
  HorizontalPodAutoscalers,
  HorizontalPodAutoscalersV1,
  Pods,
  ReplicaSets,
} from '@trimtab/machinery';
import { expectStable, perturb, type Scenario, type World, world } from '@trimtab/testing';
import { PLANS } from '../../test-plans.js';
import { deploymentController } from '../deployment/controller.js';
import { replicaSetController } from '../replicaset/controller.js';
import { horizontalPodAutoscalerController } from './controller.js';
import { HISTORY } from './history.js';

const key = { namespace: 'default', name: 'web' };
const labels = { app: 'web' };

/** What the metrics APIs answer; each pod uses `cpu` thousandths of a core unless a name says otherwise. */
interface Load {
  cpu: number;
  of?: (pod: string) => number | undefined;
  answers: Record<string, object>;
  paths: string[];
}

let w: World;
let load: Load;
afterEach(() => w?.close());

const metricsOf = (at: () => World, told: Load) => async (path: string) => {
  told.paths.push(path);
  const found = Object.entries(told.answers).find(([start]) => path.startsWith(start));
  if (found) return JSON.stringify(found[1]);
  if (!path.startsWith('/apis/metrics.k8s.io/')) throw new Error('the server could not find the requested resource');
  const { clock, informers } = at();
  const timestamp = new Date(clock.now()).toISOString();
  const items = informers
    .get(Pods)
    .list()
    .filter(({ status }) => status?.phase === 'Running')
    .flatMap(({ metadata }) => {
      const used = told.of ? told.of(metadata.name!) : told.cpu;
      if (used === undefined) return [];
      const containers = [{ name: 'c', usage: { cpu: `${used}m`, memory: '64Mi' } }];
      return [{ metadata: { name: metadata.name }, timestamp, window: '30s', containers }];
    });
  return JSON.stringify({ items });
};

async function start(
  spec: Partial<HorizontalPodAutoscaler['spec']> = {},
  deployment: Partial<Deployment['spec']> & { readonly replicas?: number } = {},
): Promise<void> {
  load = { cpu: 100, answers: {}, paths: [] };
  w = await world({
    controllers: [
      deploymentController,
      replicaSetController,
      horizontalPodAutoscalerController(metricsOf(() => w, load)),
    ],
    kubelet: true,
  });
  w.informers.get(Pods);
  await w.create(Deployments, {
    metadata: key,
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '200m', memory: '64Mi' } } }] },
      },
      ...deployment,
    },
  } as Deployment);
  await w.pass('10m');
  await w.create(HorizontalPodAutoscalers, {
    metadata: key,
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
      minReplicas: 1,
      maxReplicas: 10,
      metrics: [
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } },
      ],
      ...spec,
    },
  });
}

const hpa = () => w.get(HorizontalPodAutoscalers, key);
const replicas = async () => (await w.get(Deployments, key)).spec?.replicas;
const condition = async (type: string) => {
  const { status, reason, message } = conditionOf((await hpa()).status?.conditions, type)!;
  return { status, reason, message };
};

test('use above the target adds replicas, at most doubling; use below takes them away five minutes later', async () => {
  await start();
  await w.pass('1m');
  expect(await replicas()).toBe(2);
  expect((await hpa()).status).toMatchObject({
    currentReplicas: 2,
    desiredReplicas: 2,
    currentMetrics: [{ resource: { name: 'cpu', current: { averageUtilization: 50, averageValue: '100m' } } }],
  });
  load.cpu = 600; // 300 % of the request, six times the target
  await w.pass('15s');
  expect(await replicas()).toBe(4);
  expect(await condition('ScalingLimited')).toMatchObject({ status: 'True', reason: 'ScaleUpLimit' });
  expect((await w.list(Events)).map(({ message }) => message)).toContain(
    'New size: 4; reason: cpu resource utilization (percentage of request) above target',
  );
  load.cpu = 100;
  await w.pass('4m');
  expect(await replicas()).toBeGreaterThanOrEqual(4);
  load.cpu = 20;
  await w.pass('3m');
  expect(await replicas()).toBeGreaterThanOrEqual(4);
  expect(await condition('AbleToScale')).toMatchObject({ status: 'True', reason: 'ScaleDownStabilized' });
  await w.pass('8m');
  expect(await replicas()).toBe(1);
});

test('a little above or below is left alone, unless the tolerance says otherwise', async () => {
  await start();
  load.cpu = 109;
  await w.pass('2m');
  expect(await replicas()).toBe(2);
  await w.patch(HorizontalPodAutoscalers, key, { spec: { behavior: { scaleUp: { tolerance: '0' } } } });
  await w.pass('1s');
  expect(await replicas()).toBe(3);
});

test('pods without a reading speak against a change, and those that have just started count for nothing', async () => {
  await start({}, { replicas: 4 });
  const silent = (await w.list(Pods, 'default'))[0]!.metadata.name;
  load.of = (pod) => (pod === silent ? undefined : 80);
  await w.pass('20m');
  // 40 % is below 50 %: three pods would do, but the fourth is taken to use all it asks for.
  expect(await replicas()).toBe(4);
  load.of = (pod) => (pod === silent ? undefined : 200);
  await w.pass('15s');
  // Three at 100 %, one at none: 75 % of four, to be 50 %.
  expect(await replicas()).toBe(6);
});

test('a restart forgets no recommendation: what was high within the window holds', async () => {
  await start();
  load.cpu = 400;
  await w.pass('1m');
  const high = await replicas();
  load.cpu = 10;
  await w.pass('1m');
  w.process.crash();
  await w.pass('1m');
  w.process.start();
  await w.pass('1m');
  expect(await replicas()).toBe(high);
  expect((await hpa()).metadata.annotations?.[HISTORY]).toBeDefined();
  await w.pass('6m');
  expect(await replicas()).toBe(1);
});

test('policies bound how fast it goes, also across a restart', async () => {
  await start({
    behavior: {
      scaleUp: { policies: [{ type: 'Pods', value: 1, periodSeconds: 60 }] },
      scaleDown: { stabilizationWindowSeconds: 0, policies: [{ type: 'Percent', value: 50, periodSeconds: 60 }] },
    },
  });
  load.cpu = 1000;
  await w.pass('16s');
  expect(await replicas()).toBe(3);
  w.process.crash();
  w.process.start();
  await w.pass('30s');
  expect(await replicas()).toBe(3);
  await w.pass('45s');
  expect(await replicas()).toBe(4);
  expect(await condition('ScalingLimited')).toMatchObject({ reason: 'ScaleUpLimit' });
  await w.patch(HorizontalPodAutoscalers, key, { spec: { behavior: { scaleUp: { selectPolicy: 'Disabled' } } } });
  await w.pass('5m');
  expect(await replicas()).toBe(4);
  load.cpu = 1;
  await w.pass('16s');
  expect(await replicas()).toBe(2);
  await w.pass('2m');
  expect(await replicas()).toBe(1);
});

test('pods, object and external metrics; the one that asks for most wins', async () => {
  const pods = (value: string) => ({ type: 'AverageValue', averageValue: value });
  await start({
    metrics: [
      { type: 'Pods', pods: { metric: { name: 'rps' }, target: pods('10') } },
      {
        type: 'Object',
        object: {
          describedObject: { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', name: 'front' },
          metric: { name: 'hits' },
          target: { type: 'Value', value: '100' },
        },
      },
      {
        type: 'External',
        external: { metric: { name: 'queue', selector: { matchLabels: { q: 'a' } } }, target: pods('30') },
      },
    ],
  });
  const names = (await w.list(Pods, 'default')).map(({ metadata }) => metadata.name);
  const custom = '/apis/custom.metrics.k8s.io/v1beta2/namespaces/default';
  Object.assign(load.answers, {
    [`${custom}/pods/*/rps`]: { items: names.map((name) => ({ describedObject: { name }, value: '9500m' })) },
    [`${custom}/ingresses.networking.k8s.io/front/hits`]: { items: [{ value: '150' }] },
    '/apis/external.metrics.k8s.io/v1beta1/namespaces/default/queue': { items: [{ value: '50' }, { value: '70' }] },
  });
  await w.pass('16s');
  expect(await replicas()).toBe(4);
  load.answers[`${custom}/ingresses.networking.k8s.io/front/hits`] = { items: [{ value: '101' }] };
  await w.pass('31s');
  expect(await replicas()).toBe(4);
  expect(load.paths).toContain('/apis/external.metrics.k8s.io/v1beta1/namespaces/default/queue?labelSelector=q%3Da');
  expect((await hpa()).status?.currentMetrics).toMatchObject([
    { pods: { metric: { name: 'rps' }, current: { averageValue: '9500m' } } },
    { object: { current: { value: '101' } } },
    { external: { current: { averageValue: '30' } } },
  ]);
  expect((await condition('ScalingActive')).message).toContain('pods metric rps');
});

test('a container resource counts that container alone; without requests it says so', async () => {
  const target = { type: 'Utilization', averageUtilization: 20 };
  await start({ metrics: [{ type: 'ContainerResource', containerResource: { name: 'cpu', container: 'c', target } }] });
  await w.pass('1s');
  expect(await replicas()).toBe(4);
  await w.patch(HorizontalPodAutoscalers, key, {
    spec: {
      metrics: [
        {
          type: 'Resource',
          resource: { name: 'example.com/gpu', target: { type: 'Utilization', averageUtilization: 20 } },
        },
      ],
    },
  });
  await w.pass('1s');
  expect(await condition('ScalingActive')).toMatchObject({ status: 'False', reason: 'FailedGetResourceMetric' });
  expect((await w.list(Events)).map(({ reason }) => reason)).toContain('FailedComputeMetricsReplicas');
  expect(await replicas()).toBe(4);
});

test('metrics that do not answer stop nothing but scaling down', async () => {
  const cpu = { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } };
  const gone = { type: 'External', external: { metric: { name: 'no' }, target: { type: 'Value', value: '1' } } };
  await start({ metrics: [gone, cpu] });
  load.cpu = 10;
  await w.pass('10m');
  expect(await replicas()).toBe(2);
  expect(await condition('ScalingActive')).toMatchObject({ status: 'False', reason: 'FailedGetExternalMetric' });
  load.cpu = 200;
  await w.pass('15s');
  expect(await replicas()).toBe(4);
});

test('bounds hold without metrics, zero switches off, a target that is not there is told of', async () => {
  await start({
    minReplicas: 3,
    metrics: [{ type: 'External', external: { metric: { name: 'no' }, target: { type: 'Value', value: '1' } } }],
  });
  await w.pass('1s');
  expect(await replicas()).toBe(3);
  await w.patch(Deployments, key, { spec: { replicas: 12 } });
  await w.pass('16s');
  expect(await replicas()).toBe(10);
  await w.patch(Deployments, key, { spec: { replicas: 0 } });
  await w.pass('1m');
  expect(await replicas()).toBe(0);
  expect(await condition('ScalingActive')).toMatchObject({ status: 'False', reason: 'ScalingDisabled' });
  await w.remove(Deployments, key);
  await w.pass('16s');
  expect(await condition('AbleToScale')).toMatchObject({ status: 'False', reason: 'FailedGetScale' });
});

test('two of one target do nothing but say so; kinds that cannot be scaled are named', async () => {
  await start();
  const other = { ...(await hpa()).spec, minReplicas: 5 };
  await w.create(HorizontalPodAutoscalers, { metadata: { ...key, name: 'other' }, spec: other });
  load.cpu = 1000;
  await w.pass('1m');
  expect(await condition('ScalingActive')).toMatchObject({ status: 'False', reason: 'AmbiguousSelector' });
  await w.remove(HorizontalPodAutoscalers, { ...key, name: 'other' });
  await w.create(ConfigMaps, { metadata: key });
  await w.patch(HorizontalPodAutoscalers, key, {
    spec: { scaleTargetRef: { apiVersion: 'v1', kind: 'ConfigMap', name: 'web' } },
  });
  await w.pass('1s');
  expect(await condition('AbleToScale')).toMatchObject({ status: 'False', reason: 'FailedGetScale' });
});

test('version 1 is the same autoscaler', async () => {
  await start();
  await w.remove(HorizontalPodAutoscalers, key);
  await w.create(HorizontalPodAutoscalersV1, {
    metadata: { ...key, name: 'v1' },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
      maxReplicas: 5,
      targetCPUUtilizationPercentage: 25,
    },
  });
  await w.pass('16s');
  expect(await replicas()).toBe(4);
  const { status } = await w.get(HorizontalPodAutoscalersV1, { ...key, name: 'v1' });
  expect(status).toMatchObject({ desiredReplicas: 4, currentCPUUtilizationPercentage: 50 });
});

test('at rest it writes nothing', async () => {
  await start();
  await expectStable(w, { within: '1h', rest: '2h', matches: async () => (await replicas()) === 2 });
}, 30_000);

test('survives every single fault', async () => {
  const scenario: Scenario = {
    world: () => {
      let now: World | undefined;
      const at: Load = { cpu: 300, answers: {}, paths: [] };
      const read = async (path: string) => {
        if (now) at.cpu = (now.clock.now() - Date.UTC(2026, 0, 1)) / 60_000 < 2 ? 300 : 20;
        return metricsOf(() => now!, at)(path);
      };
      return {
        controllers: [horizontalPodAutoscalerController(read)],
        parts: [
          {
            name: 'metrics',
            start(parts) {
              now = parts as unknown as World;
              now.informers.get(Pods);
            },
          },
        ],
      };
    },
    rest: '3m',
    async workload(each) {
      const template = {
        metadata: { labels },
        spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '200m' } } }] },
      };
      await each.create(ReplicaSets, {
        metadata: key,
        spec: { replicas: 1, selector: { matchLabels: labels }, template },
      });
      await each.patch(ReplicaSets, key, { status: { replicas: 1 } }, { subresource: 'status' });
      await each.create(Pods, {
        metadata: { ...key, labels },
        spec: { nodeName: 'n', containers: template.spec.containers },
      });
      const since = '2025-12-01T00:00:00Z';
      const ready = { type: 'Ready', status: 'True', lastTransitionTime: since };
      const status = { phase: 'Running', startTime: since, conditions: [ready] };
      await each.patch(Pods, key, { status }, { subresource: 'status' });
      await each.create(HorizontalPodAutoscalers, {
        metadata: key,
        spec: {
          scaleTargetRef: { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web' },
          maxReplicas: 4,
          behavior: { scaleDown: { stabilizationWindowSeconds: 60 } },
          metrics: [
            { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } },
          ],
        },
      });
      await each.pass('5m');
    },
  };
  (await perturb(scenario, PLANS)).expectNoDivergence();
}, 60_000);
