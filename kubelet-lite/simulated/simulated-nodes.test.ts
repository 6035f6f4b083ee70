import { Informers } from '@trimtab/client';
import { Nodes, PersistentVolumes, seededRandom, silentLogger, VirtualClock } from '@trimtab/machinery';
import { PODS } from '../pod/api.js';
import { MemoryClient } from '../testing/memory-client.js';
import { startSimulatedNodes } from './simulated-nodes.js';

test('many nodes in one process run the pods bound to them, over one watch of pods', async () => {
  const clock = new VirtualClock();
  const client = new MemoryClient(clock);
  const starting = startSimulatedNodes({ client, clock, random: seededRandom(1), logger: silentLogger, count: 20 });
  await clock.advance(1);
  const nodes = await starting;
  expect((await client.list(Nodes)).items).toHaveLength(20);
  for (let i = 0; i < 60; i++) {
    await client.create(PODS, {
      metadata: { namespace: 'default', name: `p${i}` },
      spec: { nodeName: nodes.names[i % 20]!, containers: [{ name: 'main', image: 'web:1' }] },
      status: { phase: 'Pending' },
    });
  }
  await clock.advance(50);
  const pods = (await client.list(PODS)).items;
  expect(pods.every((pod) => pod.status?.phase === 'Running')).toBe(true);
  expect(new Set(pods.map((pod) => pod.status?.podIP)).size).toBe(60);
  // Of pods, of volumes that are to go, and of nodes that are to fail.
  expect(client.watches).toBe(3);
  await client.delete(PODS, { namespace: 'default', name: 'p7' });
  await clock.advance(50);
  expect((await client.list(PODS)).items).toHaveLength(59);
  const streams = nodes.streams('simulated-0')!;
  await expect(
    streams.logs({ namespace: 'default', name: 'p0', uid: '' }, { container: 'main' }, new AbortController().signal),
  ).rejects.toThrow('node "simulated-0" is simulated');
  await nodes.stop();
});

test('nodes that are lent informers open no watches, and leave them running', async () => {
  const clock = new VirtualClock();
  const client = new MemoryClient(clock);
  const ambient = { client, clock, random: seededRandom(1), logger: silentLogger };
  const informers = new Informers(ambient);
  const pods = informers.get(PODS);
  informers.get(Nodes);
  informers.get(PersistentVolumes);
  informers.start();
  const starting = startSimulatedNodes({ ...ambient, count: 2, informers });
  await clock.advance(1);
  const nodes = await starting;
  const make = (name: string) =>
    client.create(PODS, {
      metadata: { namespace: 'default', name },
      spec: { nodeName: 'simulated-1', containers: [{ name: 'main', image: 'web:1' }] },
      status: { phase: 'Pending' },
    });
  await make('a');
  await clock.advance(50);
  expect((await client.get(PODS, { namespace: 'default', name: 'a' })).status?.phase).toBe('Running');
  expect(client.watches).toBe(3);
  await nodes.stop();
  await make('b');
  await clock.advance(50);
  expect(pods.get('default/b')?.status?.phase).toBe('Pending');
  informers.stop();
});

test('what is meant to end does: init containers at once, those of a Job after a while; sidecars and the rest run on', async () => {
  const clock = new VirtualClock();
  const client = new MemoryClient(clock);
  const starting = startSimulatedNodes({ client, clock, random: seededRandom(1), logger: silentLogger, count: 1 });
  await clock.advance(1);
  const nodes = await starting;
  const make = (name: string, spec: object, metadata: object = {}) =>
    client.create(PODS, {
      metadata: { namespace: 'default', name, ...metadata },
      spec: { nodeName: nodes.names[0]!, containers: [{ name: 'main', image: 'web:1' }], ...spec },
      status: { phase: 'Pending' },
    });
  const initContainers = [
    { name: 'sidecar', image: 'log:1', restartPolicy: 'Always' },
    { name: 'migrate', image: 'db:1' },
  ];
  await make('prepared', { initContainers });
  const ownerReferences = [{ apiVersion: 'batch/v1', kind: 'Job', name: 'once', uid: 'u', controller: true }];
  await make('once-x', { restartPolicy: 'Never' }, { ownerReferences });
  const phases = async () =>
    (await client.list(PODS)).items.map(({ metadata, status }) => [metadata.name, status?.phase]);
  await clock.advance(500);
  expect(await phases()).toEqual([
    ['prepared', 'Running'],
    ['once-x', 'Running'],
  ]);
  await clock.advance(5_000);
  expect(await phases()).toEqual([
    ['prepared', 'Running'],
    ['once-x', 'Succeeded'],
  ]);
  const { status } = await client.get(PODS, { namespace: 'default', name: 'prepared' });
  expect(status?.initContainerStatuses?.map(({ name, state }) => [name, Object.keys(state ?? {})])).toEqual([
    ['sidecar', ['running']],
    ['migrate', ['terminated']],
  ]);
  await nodes.stop();
});

test('simulated nodes keep volumes, and let those go that are deleted', async () => {
  const clock = new VirtualClock();
  const client = new MemoryClient(clock);
  const starting = startSimulatedNodes({ client, clock, random: seededRandom(1), logger: silentLogger, count: 2 });
  await clock.advance(1);
  const nodes = await starting;
  const [node] = (await client.list(Nodes)).items;
  expect(node?.metadata.annotations).toEqual({ 'trimtab.dev/local-volumes-dir': '/simulated/volumes' });
  const volume = (name: string, host: string) => ({
    metadata: { name, finalizers: ['trimtab.dev/local-volume'], deletionTimestamp: '2026-01-01T00:00:00Z' },
    spec: {
      persistentVolumeReclaimPolicy: 'Delete',
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [host] }] },
          ],
        },
      },
    },
  });
  await client.create(PersistentVolumes, volume('ours', 'simulated-1'));
  await client.create(PersistentVolumes, volume('other', 'real'));
  await clock.advance(50);
  const left = (await client.list(PersistentVolumes)).items.map(({ metadata }) => [metadata.name, metadata.finalizers]);
  expect(left).toEqual([
    ['ours', []],
    ['other', ['trimtab.dev/local-volume']],
  ]);
  await nodes.stop();
});
