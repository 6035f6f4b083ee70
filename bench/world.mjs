/**
 * The test kit's world: how soon it is ready, what a day in it costs, and whether a day can be had again.
 *
 *     node bench/world.mjs [--objects 99] [--repeats 20] [--json FILE]
 *
 * The day: so many objects at rest, a third of them Deployments, with their sets and pods, of the real controllers and the
 * scripted kubelet, housekeeping around them (garbage collector, namespaces); every hour one is rolled and a pod deleted. Times are of the
 * processor, not of the wall. Ends with 1 when two traces of a seed differ.
 */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Deployments, Pods } from '../api/machinery/dist/index.js';
import { housekeeping } from '../controllers/dist/index.js';
import { deploymentController, replicaSetController } from '../controllers/dist/workloads/index.js';
import { world } from '../controllers/testing/dist/index.js';
import { median } from './lib/stats.mjs';

const { values } = parseArgs({
  options: {
    objects: { type: 'string', default: '99' },
    repeats: { type: 'string', default: '20' },
    json: { type: 'string' },
  },
});
const DEPLOYMENTS = Math.ceil(Number(values.objects) / 3);
const controllers = [deploymentController, replicaSetController];
const cpu = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
const name = (i) => `web-${String(i).padStart(3, '0')}`;
const key = (i) => ({ namespace: 'ns', name: name(i) });
const deployment = (i) => ({
  metadata: key(i),
  spec: {
    replicas: 1,
    selector: { matchLabels: { app: name(i) } },
    template: { metadata: { labels: { app: name(i) } }, spec: { containers: [{ name: 'c', image: 'v0' }] } },
  },
});

async function ready(options) {
  const times = [];
  for (let i = 0; i < 100; i++) {
    const before = cpu();
    const w = await world(options);
    times.push(cpu() - before);
    await w.close();
  }
  return { first: times[0], median: median(times) };
}

/** What a day of so many Deployments takes once they are there, and how it went. */
async function day(count, seed, trace = true) {
  const w = await world({ controllers, kubelet: true, parts: housekeeping(), seed, trace });
  for (let i = 0; i < count; i++) await w.create(Deployments, deployment(i));
  await w.settle();
  const before = cpu();
  for (let hour = 1; hour <= 24; hour++) {
    const image = { spec: { template: { spec: { containers: [{ name: 'c', image: `v${hour}` }] } } } };
    await w.patch(Deployments, key(hour % count), image);
    await w.pass('30m');
    const [pod] = await w.list(Pods, 'ns');
    await w.remove(Pods, { namespace: 'ns', name: pod.metadata.name });
    await w.pass('30m');
  }
  const ms = cpu() - before;
  const text = w.trace.text();
  await w.close();
  return { ms, entries: text.split('\n').length, hash: createHash('sha256').update(text).digest('hex') };
}

const bare = await ready({});
const full = await ready({ controllers, kubelet: true, parts: housekeeping() });
// What has not been compiled yet is no cost of a day.
for (let i = 0; i < 2; i++) await day(DEPLOYMENTS, 7);
const days = [];
for (let i = 0; i < 5; i++) days.push(await day(DEPLOYMENTS, 7));
const quiet = [];
for (let i = 0; i < 5; i++) quiet.push(await day(DEPLOYMENTS, 7, false));
const again = new Set(days.map(({ hash }) => hash));
for (let i = 0; i < Number(values.repeats); i++) {
  const [a, b] = [await day(5, 100 + i), await day(5, 100 + i)];
  if (a.hash !== b.hash) again.add(b.hash);
}
const results = {
  'ms, the first world of a process': Number(bare.first.toFixed(1)),
  'ms, a world': Number(bare.median.toFixed(2)),
  'ms, a world with kubelet, garbage collector, namespaces, Deployments': Number(full.median.toFixed(2)),
  [`ms, 24 virtual hours of ${values.objects} objects`]: Math.round(median(days.map(({ ms }) => ms))),
  'ms, the same with writes alone in the trace (trace: false)': Math.round(median(quiet.map(({ ms }) => ms))),
  'entries in the trace of that day': days[0].entries,
  [`different traces of one seed, 5 days and ${values.repeats} pairs`]: again.size - 1,
};
for (const [what, value] of Object.entries(results)) console.log(`${String(value).padStart(12)}  ${what}`);
if (values.json) writeFileSync(values.json, JSON.stringify(results, undefined, 2));
process.exitCode = again.size > 1 ? 1 : 0;
