import type { ControllerDefinition } from '@trimtab/framework';
import {
  CronJobs,
  type DaemonSet,
  DaemonSets,
  type Deployment,
  Deployments,
  type Job,
  Jobs,
  Nodes,
  type Pod,
  PodDisruptionBudgets,
  Pods,
  type PodTemplateSpec,
  type ReplicaSet,
  ReplicaSets,
  type ReplicationController,
  ReplicationControllers,
  type StatefulSet,
  StatefulSets,
} from '@trimtab/machinery';
import { crash, type Scenario, succeed, type World, type WorldPart } from '@trimtab/testing';
import { GarbageCollector } from '../cluster/garbage-collector/garbage-collector.js';
import { survives } from '../test-plans.js';
import {
  cronJobController,
  daemonSetController,
  deploymentController,
  disruptionController,
  jobController,
  replicaSetController,
  replicationController,
  statefulSetController,
} from './index.js';

/** Every workload controller under every single fault, and some pairs. */
const key = { namespace: 'ns', name: 'web' };
const selector = { matchLabels: { app: 'web' } };
const template = (image = 'v1', restartPolicy?: string): PodTemplateSpec => ({
  metadata: { labels: { app: 'web' } },
  spec: { ...(restartPolicy ? { restartPolicy } : {}), containers: [{ name: 'c', image }] },
});
const newImage = { spec: { template: { spec: { containers: [{ name: 'c', image: 'v2' }] } } } };

const story =
  (controllers: readonly ControllerDefinition[], workload: (w: World) => Promise<void>, more: Partial<Scenario> = {}) =>
  () =>
    survives({ world: { controllers, kubelet: true }, workload, ...more });

async function killOne(w: World): Promise<void> {
  const [pod] = await w.list(Pods, 'ns');
  await w.remove(Pods, { namespace: 'ns', name: pod!.metadata.name! });
  await w.settle();
}

test(
  'ReplicaSet',
  story([replicaSetController], async (w) => {
    const set: ReplicaSet = { metadata: key, spec: { replicas: 2, selector, template: template() } };
    await w.create(ReplicaSets, set);
    await w.settle();
    await killOne(w);
    await w.patch(ReplicaSets, key, { spec: { replicas: 3 } });
    await w.settle();
    await w.patch(ReplicaSets, key, { spec: { replicas: 1 } });
    await w.settle();
  }),
);

test(
  'ReplicationController',
  story([replicationController], async (w) => {
    const { labels } = template().metadata!;
    const set: ReplicationController = { metadata: key, spec: { replicas: 2, selector: labels, template: template() } };
    await w.create(ReplicationControllers, set);
    await w.settle();
    const [pod] = await w.list(Pods, 'ns');
    await w.patch(Pods, { namespace: 'ns', name: pod!.metadata.name! }, { metadata: { labels: { app: 'other' } } });
    await w.settle();
    await w.patch(ReplicationControllers, key, { spec: { replicas: 0 } });
    await w.settle();
  }),
);

test(
  'PodDisruptionBudget',
  story([replicaSetController, disruptionController], async (w) => {
    await w.create(PodDisruptionBudgets, { metadata: key, spec: { selector, maxUnavailable: 1 } });
    await w.create(ReplicaSets, { metadata: key, spec: { replicas: 2, selector, template: template() } });
    await w.settle();
    const [pod] = await w.list(Pods, 'ns');
    const name = pod!.metadata.name!;
    await w.client.subresource(Pods, { namespace: 'ns', name }, 'eviction', 'create', {
      metadata: { name, namespace: 'ns' },
    });
    await w.settle();
    await w.patch(ReplicaSets, key, { spec: { replicas: 3 } });
    await w.settle();
  }),
);

test(
  'Deployment',
  story([deploymentController, replicaSetController], async (w) => {
    const deployment: Deployment = { metadata: key, spec: { replicas: 2, selector, template: template() } };
    await w.create(Deployments, deployment);
    await w.settle();
    await w.patch(Deployments, key, newImage);
    await w.settle();
  }),
);

test(
  'StatefulSet',
  story([statefulSetController], async (w) => {
    const set: StatefulSet = {
      metadata: key,
      spec: { replicas: 2, serviceName: 'web', selector, template: template() },
    };
    await w.create(StatefulSets, set);
    await w.settle();
    await w.patch(StatefulSets, key, newImage);
    await w.settle();
    await w.patch(StatefulSets, key, { spec: { replicas: 1 } });
    await w.settle();
  }),
);

test(
  'DaemonSet',
  story([daemonSetController], async (w) => {
    const set: DaemonSet = { metadata: key, spec: { selector, template: template() } };
    await w.create(Nodes, { metadata: { name: 'node-1' } }, { metadata: { name: 'node-2' } });
    await w.create(DaemonSets, set);
    await w.settle();
    await killOne(w);
    await w.patch(DaemonSets, key, newImage);
    await w.settle();
  }),
);

const collector: WorldPart = { name: 'garbage-collector', start: (parts) => new GarbageCollector(parts).start() };
const pods = { pods: succeed('20s') };
/** Those of index 1 never succeed. */
const failing = ({ metadata }: Pod) =>
  metadata.annotations?.['batch.kubernetes.io/job-completion-index'] === '1' ? crash('1m') : succeed('1m');

test(
  'Job',
  story(
    [jobController],
    async (w) => {
      const job: Job = { metadata: key, spec: { completions: 3, parallelism: 2, template: template('v1', 'Never') } };
      await w.create(Jobs, job);
      await w.settle();
    },
    { world: { controllers: [jobController], kubelet: pods } },
  ),
);

test(
  'Job: indexes of their own, that fail and begin again; a pause; gone in time',
  story(
    [jobController],
    async (w) => {
      const job: Job = {
        metadata: key,
        spec: {
          completionMode: 'Indexed',
          completions: 3,
          parallelism: 2,
          backoffLimitPerIndex: 1,
          ttlSecondsAfterFinished: 600,
          template: template('v1', 'Never'),
        },
      };
      await w.create(Jobs, job);
      await w.pass('5s');
      await w.patch(Jobs, key, { spec: { suspend: true } });
      await w.settle();
      await w.patch(Jobs, key, { spec: { suspend: false } });
      await w.settle({ quiet: '5m' });
      await w.pass('11m');
    },
    {
      world: { controllers: [jobController], parts: [collector], kubelet: { pods: failing } },
      // Time the controller did not see pass ends a Job sooner.
      without: ['jump'],
    },
  ),
);

test(
  'CronJob',
  story(
    [cronJobController],
    async (w) => {
      const jobTemplate = { spec: { template: template('v1', 'Never') } };
      await w.create(CronJobs, { metadata: key, spec: { schedule: '*/10 * * * *', jobTemplate } });
      await w.pass('25m');
      await w.patch(CronJobs, key, { spec: { suspend: true } });
      await w.settle();
    },
    { world: { controllers: [cronJobController, jobController], kubelet: pods }, without: ['jump'] },
  ),
);
