/**
 * The operator framework: queue operations, event to reconcile at 10,000 objects, and reconciling 50,000 ReplicaSet-like
 * objects, against the framework's client in memory, in real time.
 *
 *     node --expose-gc bench/controller.mjs [--objects 10000] [--sets 50000] [--json FILE]
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    objects: { type: 'string', default: '10000' },
    sets: { type: 'string', default: '50000' },
    json: { type: 'string' },
  },
});
const { Informers } = await import('../api/client/dist/index.js');
const { ConfigMaps, ReplicaSets, silentLogger, systemClock, systemRandom } = await import(
  '../api/machinery/dist/index.js'
);
const { changeStatus, controller, MemoryClient, runControllers, WorkQueue } = await import(
  '../controllers/framework/dist/index.js'
);
const around = { clock: systemClock, random: systemRandom, logger: silentLogger };
const turn = () => new Promise((resolve) => setImmediate(resolve));

function queue() {
  const keys = Array.from({ length: 100_000 }, (_, i) => `ns/object-${i}`);
  const samples = [];
  for (let round = 0; round < 7; round++) {
    const work = new WorkQueue(systemClock, () => {});
    const started = process.hrtime.bigint();
    for (const key of keys) work.add(key);
    for (let i = 0; i < keys.length; i++) work.done(work.take());
    samples.push((3 * keys.length) / (Number(process.hrtime.bigint() - started) / 1e9));
  }
  return Math.round(samples.sort((a, b) => a - b)[3]);
}

async function latency(objects) {
  const client = new MemoryClient(systemClock);
  const key = (i) => ({ namespace: 'ns', name: `map-${i}` });
  for (let i = 0; i < objects; i++) await client.create(ConfigMaps, { metadata: key(i), data: { n: '0' } });
  const informers = new Informers({ client, ...around });
  const sent = new Map();
  const samples = [];
  const definition = controller({
    name: 'latency',
    for: ConfigMaps,
    reconcile(view) {
      const at = sent.get(view.key.name);
      if (at !== undefined) {
        samples.push(performance.now() - at);
        sent.delete(view.key.name);
      }
      return [];
    },
  });
  const running = runControllers([definition], { client, informers, ...around });
  informers.start();
  await informers.whenSynced();
  while (!running.runners[0].idle) await turn();
  for (let i = 0; i < 3_000; i++) {
    const name = `map-${(i * 37) % objects}`;
    sent.set(name, performance.now());
    await client.patch(ConfigMaps, { namespace: 'ns', name }, { type: 'merge', body: { data: { n: String(i + 1) } } });
    if (i % 10 === 0) await turn();
  }
  while (sent.size > 0) await turn();
  await running.stop();
  informers.stop();
  samples.sort((a, b) => a - b);
  return { p50: samples[samples.length >> 1], p99: samples[Math.floor(samples.length * 0.99)] };
}

async function throughput(sets) {
  const client = new MemoryClient(systemClock);
  for (let i = 0; i < sets; i++)
    await client.create(ReplicaSets, {
      metadata: { namespace: `ns-${i % 50}`, name: `set-${i}`, labels: { app: `app-${i % 500}` } },
      spec: { replicas: 3, selector: { matchLabels: { app: `app-${i % 500}` } } },
    });
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  const informers = new Informers({ client, ...around });
  let reconciled = 0;
  const definition = controller({
    name: 'replicaset-like',
    for: ReplicaSets,
    concurrency: 32,
    reconcile(view) {
      reconciled++;
      const { object } = view;
      if (!object) return [];
      return changeStatus(ReplicaSets, object, (draft) => {
        draft.status = { replicas: draft.spec.replicas, observedGeneration: draft.metadata.generation };
      });
    },
  });
  const running = runControllers([definition], { client, informers, ...around });
  const started = performance.now();
  informers.start();
  await informers.whenSynced();
  while (reconciled < sets || !running.runners[0].idle) await turn();
  const seconds = (performance.now() - started) / 1000;
  globalThis.gc?.();
  const bytes = (process.memoryUsage().heapUsed - before) / sets;
  await running.stop();
  informers.stop();
  return { perSecond: Math.round(reconciled / seconds), seconds, bytes: Math.round(bytes) };
}

const lag = await latency(Number(values.objects));
const sets = await throughput(Number(values.sets));
const results = {
  'queue operations/s (add, take, done)': queue(),
  [`event to reconcile, ms p50, ${values.objects} objects`]: Number(lag.p50.toFixed(2)),
  [`event to reconcile, ms p99, ${values.objects} objects`]: Number(lag.p99.toFixed(2)),
  [`reconciles/s with a status write each, ${values.sets} sets`]: sets.perSecond,
  [`seconds to bring ${values.sets} sets to rest`]: Number(sets.seconds.toFixed(1)),
  'bytes an object, cache, queue, history of the test client': sets.bytes,
};
for (const [what, value] of Object.entries(results)) console.log(`${String(value).padStart(12)}  ${what}`);
if (values.json) writeFileSync(values.json, JSON.stringify(results, undefined, 2));
process.exit(0);
