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
import { perturb, type Scenario, succeed, type World } from '@trimtab/testing';
import { PLANS } from '../test-plans.js';
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

const survives =
  (controllers: readonly ControllerDefinition[], workload: (w: World) => Promise<void>, more: Partial<Scenario> = {}) =>
  async () => {
    const scenario: Scenario = { world: { controllers, kubelet: true }, workload, ...more };
    const report = await perturb(scenario, PLANS);
    report.expectNoDivergence();
  };

async function killOne(w: World): Promise<void> {
  const [pod] = await w.list(Pods, 'ns');
  await w.remove(Pods, { namespace: 'ns', name: pod!.metadata.name! });
  await w.settle();
}

test(
  'ReplicaSet',
  survives([replicaSetController], async (w) => {
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
  survives([replicationController], async (w) => {
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
  survives([replicaSetController, disruptionController], async (w) => {
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
  survives([deploymentController, replicaSetController], async (w) => {
    const deployment: Deployment = { metadata: key, spec: { replicas: 2, selector, template: template() } };
    await w.create(Deployments, deployment);
    await w.settle();
    await w.patch(Deployments, key, newImage);
    await w.settle();
  }),
);

test(
  'StatefulSet',
  survives([statefulSetController], async (w) => {
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
  survives([daemonSetController], async (w) => {
    const set: DaemonSet = { metadata: key, spec: { selector, template: template() } };
    await w.create(Nodes, { metadata: { name: 'node-1' } }, { metadata: { name: 'node-2' } });
    await w.create(DaemonSets, set);
    await w.settle();
    await killOne(w);
    await w.patch(DaemonSets, key, newImage);
    await w.settle();
  }),
);

const pods = { pods: succeed('20s') };

test(
  'Job',
  survives(
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
  'CronJob',
  survives(
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
