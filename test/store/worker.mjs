/**
 * One life of a store: opens it, tells what it holds, and lets clients write, read and watch until it is killed or its time is up.
 * Everything it does and sees goes to standard output, a JSON value a line, written before and after each call.
 */
import { directoryDisk } from '../../api/store/dist/engine/embedded/disk.js';
import { engineOn } from '../../api/store/dist/engine/embedded/embedded.js';
import { openStore } from '../../api/store/dist/index.js';
import { chance, clientsOf, now, say } from './clients.mjs';
import { withFailpoints } from './failpoints.mjs';

const { directory, since, seed, plan, millis, cycle } = JSON.parse(process.argv[2]);
const random = chance(seed);

const clock = {
  now: () => Date.now(),
  after: (ms, fn) => {
    const timer = setTimeout(fn, ms);
    return () => clearTimeout(timer);
  },
};
const disk = withFailpoints(await directoryDisk(directory), directory, plan);
const engine = engineOn(disk, { segmentBytes: { least: 16_384, most: 65_536 } });
const store = await openStore({ engine, clock, retention: { commits: 1e6, bytes: 1e9, ageMs: 1e9 } }).catch((error) => {
  if (plan?.how !== 'full' || error.cause?.code !== 'ENOSPC') throw error;
  // What is there cannot be synced: that is no store to begin with.
  process.exit(0);
});
const opened = store.revision;

const clients = clientsOf(store, { name: cycle, random });
const { writer, reader, watcher } = clients;

say({ t: 'opened', revision: opened, compacted: store.compacted, entries: clients.everything() });
clients.tellPersisted(since);
say({ t: 'ready' });

const end = now() + millis;
clients.runFor(millis);
await Promise.all([...[1, 2, 3, 4, 5, 6].map(writer), ...[1, 2].map(reader), ...[1, 2, 3].map(watcher), compactor()]);
await store.close();
say({ t: 'closed' });

/** Only what has been told above may be forgotten. */
async function compactor() {
  while (now() < end) {
    await new Promise((resolve) => setTimeout(resolve, random() * 20));
    await store.compact(Math.min(opened, store.revision - 50));
  }
}
