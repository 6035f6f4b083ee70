import { type Running, runControllers } from '@trimtab/framework';
import {
  type EndpointSlice,
  EndpointSlices,
  EndpointsResource,
  Namespaces,
  Nodes,
  type Pod,
  Pods,
  type Service,
  Services,
  timestamp,
} from '@trimtab/machinery';
import { type World, world } from '@trimtab/testing';
import { endpointSliceController, endpointsController } from './index.js';

let w: World;
let running: Running;
const writes: string[] = [];

beforeEach(async () => {
  w = await world();
  writes.length = 0;
  const metrics = {
    wrote: (c: string, verb: string, resource: string) => void writes.push(`${c} ${verb} ${resource}`),
  };
  running = runControllers([endpointSliceController, endpointsController], { ...w, metrics });
  await w.create(Namespaces, { metadata: { name: 'ns' } });
  await w.create(Nodes, { metadata: { name: 'n1', labels: { 'topology.kubernetes.io/zone': 'z1' } } });
  await w.pass();
});
afterEach(async () => {
  const stopped = running.stop();
  await w.pass();
  await stopped;
  await w.close();
});

const service = (spec: Service['spec'] = {}): Service => ({
  metadata: { name: 'web', namespace: 'ns', labels: { team: 'blue' } },
  spec: {
    selector: { app: 'web' },
    ports: [
      { name: 'http', port: 80, targetPort: 'http' },
      { name: 'metrics', port: 9090 },
    ],
    ...spec,
  },
});
const pod = (name: string, ports = 8080, more: Partial<NonNullable<Pod['spec']>> = {}): Pod => ({
  metadata: { name, namespace: 'ns', labels: { app: 'web' } },
  spec: {
    nodeName: 'n1',
    containers: [{ name: 'c', image: 'i', ports: [{ name: 'http', containerPort: ports }] }],
    ...more,
  },
});
const setReady = (name: string, ip: string, ready = true) =>
  w.client.patch(
    Pods,
    { namespace: 'ns', name },
    {
      type: 'merge',
      body: {
        status: {
          phase: 'Running',
          podIP: ip,
          podIPs: [{ ip }],
          conditions: [
            { type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: timestamp(w.clock.now()) },
          ],
        },
      },
    },
    { subresource: 'status' },
  );
const slices = async (): Promise<readonly EndpointSlice[]> => w.list(EndpointSlices, 'ns');
const addresses = async () => (await slices()).flatMap((s) => (s.endpoints ?? []).flatMap((e) => e.addresses)).sort();
const endpoints = async () => (await w.find(EndpointsResource, { namespace: 'ns', name: 'web' }))?.subsets ?? [];

test('a Service without pods has one empty slice and empty Endpoints; with pods they appear on named ports', async () => {
  await w.create(Services, service());
  await w.pass();
  expect(await slices()).toMatchObject([
    {
      metadata: {
        generateName: 'web-',
        labels: {
          team: 'blue',
          'kubernetes.io/service-name': 'web',
          'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
        },
        ownerReferences: [{ kind: 'Service', name: 'web', controller: true, blockOwnerDeletion: true }],
      },
      addressType: 'IPv4',
    },
  ]);
  expect((await slices())[0]!.endpoints ?? []).toEqual([]);
  await w.create(Pods, pod('a'), pod('b'));
  await w.pass();
  expect(await addresses()).toEqual([]);
  await setReady('a', '10.0.0.1');
  await setReady('b', '10.0.0.2', false);
  await w.pass();
  const [slice, ...others] = await slices();
  expect(others).toEqual([]);
  expect(slice!.ports).toMatchObject([
    { name: 'http', port: 8080, protocol: 'TCP' },
    { name: 'metrics', port: 9090, protocol: 'TCP' },
  ]);
  expect(slice!.endpoints).toMatchObject([
    {
      addresses: ['10.0.0.1'],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: 'n1',
      zone: 'z1',
      targetRef: { kind: 'Pod', name: 'a', namespace: 'ns' },
    },
    { addresses: ['10.0.0.2'], conditions: { ready: false, serving: false, terminating: false } },
  ]);
  expect(await endpoints()).toMatchObject([
    {
      addresses: [{ ip: '10.0.0.1', nodeName: 'n1', targetRef: { name: 'a' } }],
      notReadyAddresses: [{ ip: '10.0.0.2' }],
      ports: [
        { name: 'http', port: 8080 },
        { name: 'metrics', port: 9090 },
      ],
    },
  ]);
  writes.length = 0;
  await w.pass(3_600_000);
  await w.client.patch(
    Pods,
    { namespace: 'ns', name: 'a' },
    { type: 'merge', body: { metadata: { annotations: { x: 'y' } } } },
  );
  await w.pass();
  expect(writes).toEqual([]);
});

test('a pod being terminated stays, serving but not ready, until it is gone; readiness changes cost one write each', async () => {
  await w.create(Services, service());
  await w.create(Pods, pod('a'), pod('b'));
  await setReady('a', '10.0.0.1');
  await setReady('b', '10.0.0.2');
  await w.pass();
  writes.length = 0;
  await w.client.delete(Pods, { namespace: 'ns', name: 'a' });
  await w.pass();
  expect((await slices())[0]!.endpoints!.find((e) => e.addresses[0] === '10.0.0.1')?.conditions).toEqual({
    ready: false,
    serving: true,
    terminating: true,
  });
  expect((await endpoints())[0]?.addresses?.map((a) => a.ip)).toEqual(['10.0.0.2']);
  expect(writes.sort()).toEqual([
    'endpoint-controller patch endpoints',
    'endpointslice-controller patch endpointslices',
  ]);
  await w.client.delete(Pods, { namespace: 'ns', name: 'a' }, { gracePeriodSeconds: 0 });
  await w.pass();
  expect(await addresses()).toEqual(['10.0.0.2']);
});

test('publishNotReadyAddresses publishes the not ready as ready; headless Services need no ports', async () => {
  await w.create(Services, service({ clusterIP: 'None', ports: [], publishNotReadyAddresses: true }));
  await w.create(Pods, pod('a', 8080, { hostname: 'a', subdomain: 'web' }));
  await setReady('a', '10.0.0.1', false);
  await w.pass();
  expect((await slices())[0]).toMatchObject({
    metadata: { labels: { 'service.kubernetes.io/headless': '' } },
    endpoints: [{ addresses: ['10.0.0.1'], hostname: 'a', conditions: { ready: true, serving: false } }],
  });
  expect((await endpoints())[0]).toMatchObject({ addresses: [{ ip: '10.0.0.1', hostname: 'a' }] });
});

test('pods that name a port differently get slices of their own; selectors follow the pods’ labels', async () => {
  await w.create(Services, service());
  await w.create(Pods, pod('a'), pod('b', 9999));
  await setReady('a', '10.0.0.1');
  await setReady('b', '10.0.0.2');
  await w.pass();
  const ports = (await slices()).map((s) => [s.ports?.[0]?.port, s.endpoints?.length]).sort();
  expect(ports).toEqual([
    [8080, 1],
    [9999, 1],
  ]);
  expect(await endpoints()).toHaveLength(2);
  await w.client.patch(
    Pods,
    { namespace: 'ns', name: 'b' },
    { type: 'merge', body: { metadata: { labels: { app: 'other' } } } },
  );
  await w.pass();
  expect(await addresses()).toEqual(['10.0.0.1']);
  expect(await slices()).toHaveLength(1);
});

test('a hundred endpoints a slice; a change of one pod writes one slice', async () => {
  await w.create(Services, service());
  const names = Array.from({ length: 150 }, (_, i) => `p${String(i).padStart(3, '0')}`);
  for (const [i, name] of names.entries()) {
    await w.create(Pods, pod(name));
    await setReady(name, `10.0.1.${i}`);
  }
  await w.pass();
  expect(await addresses()).toHaveLength(150);
  expect((await slices()).every((s) => s.endpoints!.length <= 100)).toBe(true);
  const before = (await slices()).length;
  expect(before).toBeLessThanOrEqual(4);
  writes.length = 0;
  await setReady('p007', '10.0.1.7', false);
  await w.pass();
  expect(writes.filter((write) => write.includes('endpointslices'))).toHaveLength(1);
});

test('Services without a selector and of type ExternalName are left alone; what is edited by hand is put back', async () => {
  await w.create(Services, { metadata: { name: 'own', namespace: 'ns' }, spec: { ports: [{ port: 80 }] } });
  await w.create(Services, {
    metadata: { name: 'ext', namespace: 'ns' },
    spec: { type: 'ExternalName', externalName: 'x.org' },
  });
  await w.pass();
  expect(await slices()).toEqual([]);
  await w.create(Services, service());
  await w.create(Pods, pod('a'));
  await setReady('a', '10.0.0.1');
  await w.pass();
  const [slice] = await slices();
  await w.client.delete(EndpointSlices, { namespace: 'ns', name: slice!.metadata.name! });
  await w.client.delete(EndpointsResource, { namespace: 'ns', name: 'web' });
  await w.pass();
  expect(await addresses()).toEqual(['10.0.0.1']);
  expect(await endpoints()).toHaveLength(1);
  await w.client.delete(Services, { namespace: 'ns', name: 'web' });
  await w.pass();
  expect(await w.find(EndpointsResource, { namespace: 'ns', name: 'web' })).toBeUndefined();
});
