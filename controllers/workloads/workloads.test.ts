import { type Running, runControllers } from '@trimtab/framework';
import {
  type Deployment,
  Deployments,
  Events,
  isReason,
  Namespaces,
  Nodes,
  Pods,
  ReplicaSets,
  StatusError,
} from '@trimtab/machinery';
import { type World, world } from '@trimtab/testing';
import { deploymentController, replicaSetController } from './index.js';
import { simulatedNode } from './simulated-node.js';

/** Deployments and ReplicaSets on the server's own code: what its defaults, validation and conflicts make of them. */
let w: World;
let running: Running;
const failures: string[] = [];
const wrote: string[] = [];

beforeEach(async () => {
  w = await world();
  failures.length = 0;
  wrote.length = 0;
  const warn = (fields: object, message: string) => void failures.push(`${message} ${JSON.stringify(fields)}`);
  const logger = { ...w.logger, warn, error: warn, child: () => logger };
  running = runControllers([deploymentController, replicaSetController, simulatedNode({ readyAfterMs: 500 })], {
    ...w,
    logger,
    metrics: { wrote: (controller, verb, resource) => void wrote.push(`${controller} ${verb} ${resource}`) },
  });
  await w.create(Namespaces, { metadata: { name: 'ns' } });
  await w.create(Nodes, { metadata: { name: 'node-1' } });
  await w.pass();
});
afterEach(async () => {
  const stopped = running.stop();
  await w.pass();
  await stopped;
  await w.close();
});

const key = { namespace: 'ns', name: 'web' };
const deployment = (image: string): Deployment => ({
  metadata: { ...key, labels: { app: 'web' } },
  spec: {
    replicas: 3,
    selector: { matchLabels: { app: 'web' } },
    template: {
      metadata: { labels: { app: 'web' } },
      spec: { containers: [{ name: 'c', image, env: [{ name: 'A', value: '' }], ports: [{ containerPort: 80 }] }] },
    },
  },
});
const get = () => w.client.get(Deployments, key);
const sizes = async () =>
  Object.fromEntries(
    (await w.list(ReplicaSets, 'ns')).map((rs) => [rs.spec!.template!.spec!.containers[0]!.image, rs.spec!.replicas]),
  );

test('a Deployment rolls out, rolls on, rolls back and scales, with one ReplicaSet a template and no write at rest', async () => {
  await w.create(Deployments, deployment('v1'));
  await w.pass(5_000);
  expect((await get()).status).toMatchObject({ availableReplicas: 3, updatedReplicas: 3, observedGeneration: 1 });
  expect(await w.list(Pods, 'ns')).toHaveLength(3);
  await w.client.patch(Deployments, key, {
    type: 'strategic',
    body: { spec: { template: { spec: { containers: [{ name: 'c', image: 'v2' }] } } } },
  });
  await w.pass(20_000);
  expect(await sizes()).toEqual({ v1: 0, v2: 3 });
  expect((await get()).metadata.annotations).toEqual({ 'deployment.kubernetes.io/revision': '2' });
  // What `kubectl rollout undo` sends: the old template, without the hash.
  const old = (await w.list(ReplicaSets, 'ns')).find((rs) => rs.spec!.replicas === 0)!;
  const { 'pod-template-hash': _, ...labels } = old.spec!.template!.metadata!.labels!;
  const template = { ...old.spec!.template, metadata: { ...old.spec!.template!.metadata, labels } };
  await w.client.patch(Deployments, key, {
    type: 'json',
    body: [{ op: 'replace', path: '/spec/template', value: template }],
  });
  await w.pass(20_000);
  expect(await sizes()).toEqual({ v1: 3, v2: 0 });
  expect((await get()).metadata.annotations).toEqual({ 'deployment.kubernetes.io/revision': '3' });
  await w.client.subresource(Deployments, key, 'scale', 'update', { metadata: key, spec: { replicas: 5 } });
  await w.pass(5_000);
  expect(await sizes()).toEqual({ v1: 5, v2: 0 });
  expect((await get()).status?.conditions).toMatchObject(
    expect.arrayContaining([
      expect.objectContaining({ type: 'Progressing', status: 'True', reason: 'NewReplicaSetAvailable' }),
      expect.objectContaining({ type: 'Available', status: 'True' }),
    ]),
  );
  const events = (await w.list(Events, 'ns')).filter((e) => e.involvedObject.kind === 'Deployment');
  expect(events.map((e) => e.message)).toContain(`Scaled up replica set ${old.metadata.name} from 3 to 5`);
  wrote.length = 0;
  await w.pass(3_600_000);
  expect(wrote).toEqual([]);
  expect(failures).toEqual([]);
});

test('a guarded patch of a changed object is a conflict, as the runner expects of a server', async () => {
  const [made] = await w.create(Deployments, deployment('v1'));
  await w.pass(2_000);
  const error = await w.client
    .patch(Deployments, key, {
      type: 'json',
      body: [{ op: 'replace', path: '/metadata/resourceVersion', value: made!.metadata.resourceVersion }],
    })
    .catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(StatusError);
  expect(isReason(error, 'Conflict')).toBe(true);
});
