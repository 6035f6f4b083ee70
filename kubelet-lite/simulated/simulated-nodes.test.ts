import { Nodes, seededRandom, silentLogger, VirtualClock } from '@trimtab/machinery';
import { PODS } from '../pod/api.js';
import { MemoryClient } from '../testing/memory-client.js';
import { startSimulatedNodes } from './simulated-nodes.js';

test('many nodes in one process run the pods bound to them, over one watch', async () => {
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
  expect(client.watches).toBe(1);
  await client.delete(PODS, { namespace: 'default', name: 'p7' });
  await clock.advance(50);
  expect((await client.list(PODS)).items).toHaveLength(59);
  const streams = nodes.streams('simulated-0')!;
  await expect(
    streams.logs({ namespace: 'default', name: 'p0', uid: '' }, { container: 'main' }, new AbortController().signal),
  ).rejects.toThrow('node "simulated-0" is simulated');
  await nodes.stop();
});
