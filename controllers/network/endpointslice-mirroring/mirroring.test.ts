import { EndpointSlices, type Endpoints, EndpointsResource, type Service, Services } from '@trimtab/machinery';
import { expectStable, perturb, type World, world } from '@trimtab/testing';
import { GarbageCollector } from '../../cluster/garbage-collector/garbage-collector.js';
import { PLANS } from '../../test-plans.js';
import { endpointSliceMirroringController } from './controller.js';

const key = { namespace: 'ns', name: 'db' };
const service = (selector?: Record<string, string>): Service => ({
  metadata: key,
  spec: { clusterIP: 'None', ports: [{ port: 5432 }], ...(selector ? { selector } : {}) },
});
const endpoints = (ips: readonly string[], metadata: object = {}): Endpoints => ({
  metadata: { ...key, ...metadata },
  subsets: [{ addresses: ips.map((ip) => ({ ip })), ports: [{ name: 'pg', port: 5432, protocol: 'TCP' }] }],
});
const collector = { name: 'collector', start: (parts: World) => new GarbageCollector(parts).start() };
const slices = async (w: World) =>
  (await w.list(EndpointSlices, 'ns')).map(({ addressType, endpoints: content = [], ports }) => [
    addressType,
    content.map((e) => `${e.addresses[0]} ${e.conditions?.ready}`),
    ports?.map(({ port }) => port),
  ]);
const start = () => world({ controllers: [endpointSliceMirroringController], parts: [collector as never] });

test('Endpoints written by hand for a Service without a selector are mirrored, changed and taken away', async () => {
  const w = await start();
  await w.create(Services, service());
  await w.create(
    EndpointsResource,
    endpoints(['10.9.9.1'], {
      labels: { team: 'a' },
      annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}', x: 'y' },
    }),
  );
  await w.settle();
  expect(await slices(w)).toEqual([['IPv4', ['10.9.9.1 true'], [5432]]]);
  const { metadata } = (await w.list(EndpointSlices, 'ns'))[0]!;
  expect(metadata.labels).toEqual({
    team: 'a',
    'kubernetes.io/service-name': 'db',
    'endpointslice.kubernetes.io/managed-by': 'endpointslicemirroring-controller.k8s.io',
  });
  expect(metadata.annotations).toEqual({ x: 'y' });
  await w.patch(EndpointsResource, key, {
    subsets: [
      {
        addresses: [{ ip: '10.9.9.2' }],
        notReadyAddresses: [{ ip: '10.9.9.1' }],
        ports: [{ name: 'pg', port: 5432, protocol: 'TCP' }],
      },
      { addresses: [{ ip: 'fd00::1' }], ports: [{ name: 'pg', port: 5433, protocol: 'TCP' }] },
    ],
  });
  await expectStable(w);
  expect((await slices(w)).sort()).toEqual([
    ['IPv4', ['10.9.9.1 false', '10.9.9.2 true'], [5432]],
    ['IPv6', ['fd00::1 true'], [5433]],
  ]);
  await w.remove(EndpointsResource, key);
  await w.settle();
  expect(await slices(w)).toEqual([]);
  await w.close();
});

test('not those of Services that select pods, nor those that say so; a selector that goes or comes changes it', async () => {
  const w = await start();
  await w.create(
    EndpointsResource,
    endpoints(['10.9.9.1'], { labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } }),
  );
  await w.create(Services, service({ app: 'db' }));
  await w.settle();
  expect(await slices(w)).toEqual([]);
  await w.patch(Services, key, { spec: { selector: null } });
  await w.settle();
  expect(await slices(w)).toEqual([]);
  await w.patch(EndpointsResource, key, { metadata: { labels: null } });
  await w.settle();
  expect(await slices(w)).toHaveLength(1);
  await w.patch(Services, key, { spec: { selector: { app: 'db' } } });
  await w.settle();
  expect(await slices(w)).toEqual([]);
  await w.close();
});

test('survives every single fault', async () => {
  const report = await perturb(
    {
      world: { controllers: [endpointSliceMirroringController] },
      async workload(w) {
        await w.create(Services, service());
        await w.create(EndpointsResource, endpoints(['10.9.9.1']));
        await w.settle();
        await w.patch(EndpointsResource, key, { subsets: endpoints(['10.9.9.2', '10.9.9.3']).subsets });
        await w.settle();
        await w.patch(Services, key, { spec: { selector: { a: 'b' } } });
        await w.settle();
      },
    },
    PLANS,
  );
  report.expectNoDivergence();
});
