import {
  Events,
  forbidden,
  type Logger,
  Pods,
  StatusError,
  seededRandom,
  silentLogger,
  VirtualClock,
} from '@trimtab/machinery';
import { MemoryClient } from '../testing/memory-client.js';
import { ApiEventRecorder } from './event-recorder.js';

const pod = { apiVersion: 'v1', kind: 'Pod', namespace: 'ns', name: 'web', uid: 'u' };

/** A recorder whose server refuses to create anything while `refusal` is set. */
function recorder() {
  const clock = new VirtualClock();
  const client = new MemoryClient(clock);
  const warned: unknown[] = [];
  const logger: Logger = { ...silentLogger, warn: (fields) => void warned.push(fields) };
  const state: { refusal?: Error } = {};
  const create: typeof client.create = client.create.bind(client);
  client.create = (type, object) => (state.refusal ? Promise.reject(state.refusal) : create(type, object));
  const made = new ApiEventRecorder({ client, clock, random: seededRandom(1), logger, nodeName: 'node' });
  const tell = async (message: string) => {
    made.event(pod, 'Normal', 'Killing', message);
    await clock.advance(1000);
  };
  return { state, warned, tell, events: async () => (await client.list(Events)).items };
}

test('the same again raises the count of the first', async () => {
  const { tell, events } = recorder();
  await tell('Stopping');
  await tell('Stopping');
  await tell('Gone');
  expect((await events()).map(({ message, count }) => [message, count])).toEqual([
    ['Stopping', 2],
    ['Gone', 1],
  ]);
});

test('one that cannot be written is warned of, but not that its namespace is going', async () => {
  const { state, warned, tell, events } = recorder();
  const refusal = forbidden(Pods, 'web', 'because it is being terminated');
  const causes = [{ reason: 'NamespaceTerminating', field: 'metadata.namespace' }];
  state.refusal = new StatusError({ ...refusal.status, details: { ...refusal.status.details, causes } });
  await tell('Stopping');
  expect(warned).toEqual([]);
  state.refusal = refusal;
  await tell('Gone');
  expect(warned).toHaveLength(1);
  expect(await events()).toEqual([]);
});
