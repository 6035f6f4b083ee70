/**
 * The watch library: decoded watch throughput over a socket, the soak under seeded faults, memory of a cached object.
 *
 *     node bench/client.mjs [--soak 10000000] [--seed 1] [--objects 50000] [--json FILE]
 */
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

if (isMainThread) await main();
else serve(workerData);

async function main() {
  const { values } = parseArgs({
    options: {
      soak: { type: 'string', default: '1000000' },
      seed: { type: 'string', default: '1' },
      events: { type: 'string', default: '200000' },
      objects: { type: 'string', default: '50000' },
      json: { type: 'string' },
    },
  });
  const results = {
    'decoded events/s, 2.2 KB pods over HTTP, one core': await throughput(Number(values.events)),
    'bytes a cached pod': await memory(Number(values.objects), false),
    'bytes a pod of which only metadata is read': await memory(Number(values.objects), true),
    ...(await soaked(Number(values.soak), Number(values.seed))),
  };
  for (const [what, value] of Object.entries(results)) console.log(`${String(value).padStart(12)}  ${what}`);
  if (values.json) writeFileSync(values.json, JSON.stringify(results, undefined, 2));
}

async function parts() {
  const { HttpClient, Informers } = await import('../api/client/dist/index.js');
  const { Pods, silentLogger, systemClock, systemRandom } = await import('../api/machinery/dist/index.js');
  return { HttpClient, Informers, Pods, logger: silentLogger, clock: systemClock, random: systemRandom };
}

/** Events a second from the socket to a handler, in processor time of this thread. */
async function throughput(events) {
  const { HttpClient, Informers, Pods, ...around } = await parts();
  const samples = [];
  for (let round = 0; round < 3; round++) {
    const worker = new Worker(new URL(import.meta.url), { workerData: { events } });
    const port = await new Promise((resolve) => worker.once('message', resolve));
    const client = new HttpClient({ connection: { server: `http://127.0.0.1:${port}` } });
    const informers = new Informers({ client, ...around, watchList: false });
    let seen = 0;
    const done = new Promise((resolve) => {
      informers.get(Pods).addHandler(() => {
        if (++seen === 1) started = process.hrtime.bigint();
        if (seen === events) resolve();
      });
    });
    let started = 0n;
    informers.start();
    await done;
    samples.push(events / (Number(process.hrtime.bigint() - started) / 1e9));
    informers.stop();
    client.close();
    await worker.terminate();
  }
  return Math.round(samples.sort((a, b) => a - b)[1]);
}

/** Of one cached pod, whole or by its metadata. */
async function memory(objects, narrow) {
  const { HttpClient, Informers, Pods, ...around } = await parts();
  const worker = new Worker(new URL(import.meta.url), { workerData: { events: objects, distinct: true } });
  const port = await new Promise((resolve) => worker.once('message', resolve));
  const client = new HttpClient({ connection: { server: `http://127.0.0.1:${port}` } });
  const informers = new Informers({ client, ...around, watchList: false, metadataFirst: narrow });
  const pods = informers.get(Pods, { narrow });
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  let seen = 0;
  const done = new Promise((resolve) => pods.addHandler(() => ++seen === objects && resolve()));
  informers.start();
  await done;
  globalThis.gc?.();
  const bytes = Math.round((process.memoryUsage().heapUsed - before) / objects);
  informers.stop();
  client.close();
  await worker.terminate();
  return globalThis.gc ? bytes : `${bytes} (with garbage; node --expose-gc)`;
}

async function soaked(events, seed) {
  const { soak } = await import('../api/client/dist/testing/soak.js');
  const started = performance.now();
  const { violations, faults, delivered } = await soak({ seed, events });
  const seconds = (performance.now() - started) / 1000;
  for (const violation of violations) console.error(violation);
  if (violations.length > 0) process.exitCode = 1;
  return {
    'soak: changes': events,
    'soak: changes told': delivered,
    'soak: faults': Object.values(faults).reduce((a, b) => a + b, 0),
    'soak: lost, reordered or resurrected': violations.length,
    'soak: changes/s': Math.round(events / seconds),
  };
}

/** An API server of one collection that pours its events out. */
function serve({ events, distinct }) {
  const container = (name) => ({
    name,
    image: `registry.example/${name}:1.2.3`,
    env: Array.from({ length: 8 }, (_, i) => ({ name: `VARIABLE_${i}`, value: `value-${i}` })),
    resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { cpu: '1', memory: '256Mi' } },
    volumeMounts: [{ name: 'data', mountPath: '/data' }],
  });
  const line = (i) =>
    `${JSON.stringify({
      type: 'ADDED',
      object: {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          name: `web-${distinct ? i : i % 1000}`,
          namespace: 'default',
          uid: `0b5ee8f0-0000-4000-8000-${String(distinct ? i : i % 1000).padStart(12, '0')}`,
          resourceVersion: String(i + 10),
          labels: { app: 'web', 'pod-template-hash': '5d8f7c9b6d' },
          ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: 'x', controller: true }],
        },
        spec: { nodeName: `node-${i % 50}`, containers: [container('web'), container('sidecar')] },
        status: { phase: 'Running', podIP: '10.0.0.1', conditions: [{ type: 'Ready', status: 'True' }] },
      },
    })}\n`;
  const server = http.createServer((request, response) => {
    if (!request.url.includes('watch=true'))
      return response.end('{"kind":"PodList","metadata":{"resourceVersion":"5"},"items":[]}');
    let i = 0;
    const pour = () => {
      while (i < events) {
        let chunk = '';
        for (let n = 0; n < 64 && i < events; n++) chunk += line(i++);
        if (!response.write(chunk)) return response.once('drain', pour);
      }
    };
    pour();
  });
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
}
