/** One life of a store on etcd: as `test/store/worker.mjs`, among others that do the same. */
import { systemClock, systemRandom } from '@trimtab/machinery';
import { etcdEngine, openStore } from '@trimtab/store';
import { chance, clientsOf, now, say } from '../store/clients.mjs';

const { endpoints, since, seed, millis, name, tell } = JSON.parse(process.argv[2]);
const random = chance(seed);
const at = Math.floor(random() * endpoints.length);
const engine = await etcdEngine({
  endpoints: [...endpoints.slice(at), ...endpoints.slice(0, at)],
  clock: systemClock,
  random: systemRandom,
  ...(tell && { history: 1e9 }),
});
const start = now();
const store = await openStore({ engine, clock: systemClock, retention: { commits: 1e6, bytes: 1e9, ageMs: 1e9 } });
const clients = clientsOf(store, { name, random, pace: 5 });
say({ t: 'read', id: `${name}.opened`, start, end: now(), revision: store.revision, entries: clients.everything() });
if (tell) {
  await store.latest();
  clients.tellPersisted(since);
} else {
  say({ t: 'ready' });
  clients.runFor(millis);
  await Promise.all([
    ...[1, 2, 3, 4].map(clients.writer),
    ...[1, 2].map(clients.reader),
    ...[1, 2, 3].map(clients.watcher),
  ]);
}
await store.close();
say({ t: 'closed' });
