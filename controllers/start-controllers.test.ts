import {
  Deployments,
  EndpointSlices,
  EndpointsResource,
  Events,
  HorizontalPodAutoscalers,
  type Lease,
  Leases,
  type Node,
  Nodes,
  type Pod,
  Pods,
  Services,
} from '@trimtab/machinery';
import { type World, world } from '@trimtab/testing';
import { type ControllersOptions, startControllers } from './start-controllers.js';

/** That what is written is also started, with the options it is started with: one user-visible deed of each. */
const start = (options: Partial<ControllersOptions> = {}): Promise<World> =>
  world({
    trace: false,
    kubelet: { binds: false },
    parts: [
      {
        name: 'controllers',
        start: (parts) => void startControllers({ ...parts, caCertificate: 'PEM', ...options }),
      },
    ],
  });

const key = { namespace: 'ns', name: 'web' };
const labels = { app: 'web' };
const node: Node = {
  metadata: { name: 'node-1' },
  status: {
    allocatable: { cpu: '8', memory: '16Gi', pods: '110' },
    conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady' }],
  },
};
const heardOf: Lease = {
  metadata: { namespace: 'kube-node-lease', name: 'node-1' },
  spec: { holderIdentity: 'node-1', renewTime: '2036-01-01T00:00:00.000000Z' },
};
const containers = [{ name: 'c', image: 'i', resources: { requests: { cpu: '200m' } } }];

test('a Deployment gets placed pods, and more of them under load', async () => {
  let at: World | undefined;
  const w = await start({
    metricsReader: async () => {
      const pods = await at!.list(Pods, 'ns');
      const timestamp = new Date(at!.clock.now()).toISOString();
      const used = [{ name: 'c', usage: { cpu: '200m', memory: '1Mi' } }];
      return JSON.stringify({
        items: pods.map(({ metadata }) => ({
          metadata: { name: metadata.name },
          timestamp,
          window: '30s',
          containers: used,
        })),
      });
    },
  });
  at = w;
  await w.create(Nodes, node);
  await w.create(Leases, heardOf);
  await w.create(Deployments, {
    metadata: key,
    spec: { replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers } } },
  });
  await w.create(HorizontalPodAutoscalers, {
    metadata: key,
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
      maxReplicas: 3,
      metrics: [
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } },
      ],
    },
  });
  await w.pass('10s');
  expect((await w.list(Pods, 'ns')).map(({ spec }) => spec?.nodeName)).toEqual(['node-1']);
  await w.pass('20m');
  expect((await w.get(Deployments, key)).spec?.replicas).toBe(3);
  await w.close();
});

test('ended pods beyond the number, old events, and slices of Endpoints made by hand', async () => {
  const w = await start({ terminatedPodThreshold: 2, eventTtlMs: 600_000 });
  await w.create(Nodes, node);
  await w.create(Leases, heardOf);
  const ended = (n: number): Pod => ({
    metadata: { namespace: 'ns', name: `p${n}` },
    spec: { nodeName: 'node-1', restartPolicy: 'Never', containers },
  });
  for (let n = 0; n < 5; n++) {
    await w.create(Pods, ended(n));
    await w.patch(
      Pods,
      { namespace: 'ns', name: `p${n}` },
      { status: { phase: 'Succeeded' } },
      { subresource: 'status' },
    );
    await w.pass('1s');
  }
  await w.create(Events, {
    metadata: { namespace: 'ns', name: 'e' },
    involvedObject: { kind: 'Pod', namespace: 'ns', name: 'p0' },
    reason: 'Tested',
  });
  await w.create(Services, { metadata: key, spec: { ports: [{ port: 80 }] } });
  await w.create(EndpointsResource, {
    metadata: key,
    subsets: [{ addresses: [{ ip: '10.1.2.3' }], ports: [{ port: 80 }] }],
  });
  await w.pass('1m');
  expect((await w.list(Pods, 'ns')).map(({ metadata }) => metadata.name)).toEqual(['p3', 'p4']);
  const [slice] = await w.list(EndpointSlices, 'ns');
  expect(slice?.endpoints?.map(({ addresses }) => addresses)).toEqual([['10.1.2.3']]);
  await w.pass('12m');
  expect(await w.find(Events, { namespace: 'ns', name: 'e' })).toBeUndefined();
  await w.close();
});
