/**
 * The embedded store beside etcd on the same disk: durable writes of 3 KB objects by 1, 8, 64 and 512 writers, round and round with
 * etcd; then restart, memory and disk of the store with many objects, and what it costs while nobody asks anything.
 *
 *   node bench/store.mjs [--seconds 2] [--rounds 2] [--objects 100000] [--rate 500] [--steady 20] [--directory DIR] [--json FILE]
 *
 * `--steady` is for how many seconds --rate writes a second are made while the past is forgotten all along; --rounds 0 leaves the
 * comparison out, --objects 0 the restart. With `--directory /dev/shm` it all is in memory, which tells the disk's part from ours.
 *
 * etcd is asked through its gRPC gateway by kept-alive HTTP connections; JSON and HTTP are part of its figures as objects and
 * their JSON are part of ours.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { systemClock } from '@trimtab/machinery';
import { embeddedEngine, openStore } from '@trimtab/store';
import { Report } from './lib/report.mjs';
import { onStage } from './lib/stage.mjs';
import { quantile } from './lib/stats.mjs';
import { steady } from './lib/store-steady.mjs';

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '2' },
    objects: { type: 'string', default: '100000' },
    rate: { type: 'string', default: '500' },
    steady: { type: 'string', default: '20' },
    directory: { type: 'string' },
    json: { type: 'string' },
    reopen: { type: 'string' },
  },
});
const SECONDS = Number(options.seconds);
const ROUNDS = Number(options.rounds);
const OBJECTS = Number(options.objects);
const WRITERS = [1, 8, 64, 512];
const KEYS = 2000;

/** About 3 KB of JSON, as a pod is. */
const object = (n, round) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: `pod-${n}`, namespace: `ns-${n % 50}`, labels: { app: `app-${n % 20}`, round: String(round) } },
  spec: {
    containers: Array.from({ length: 3 }, (_, c) => ({
      name: `container-${c}`,
      image: `registry.example.com/team/image-${c}:v1.2.3`,
      env: Array.from({ length: 10 }, (_, e) => ({ name: `VARIABLE_${e}`, value: `value-${n}-${round}-${e}` })),
      resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { cpu: '500m', memory: '256Mi' } },
      args: Array.from({ length: 12 }, (_, a) => `--option-${a}=some-value-of-it-${a}`),
    })),
  },
});

/** Keeps `writers` writes under way for a while. */
async function load(writers, write) {
  const latencies = [];
  const start = performance.now();
  const end = start + SECONDS * 1000;
  let n = 0;
  await Promise.all(
    Array.from({ length: writers }, async () => {
      while (performance.now() < end) {
        const before = performance.now();
        await write(n++);
        latencies.push(performance.now() - before);
      }
    }),
  );
  return { rate: latencies.length / ((performance.now() - start) / 1000), latencies };
}

/** Also the store's own: objects, JSON, history, state. */
const embeddedWrite = (store) => (n) =>
  store.commit([
    {
      type: 'put',
      key: { resource: '/pods', namespace: `ns-${n % 50}`, name: `pod-${n % KEYS}` },
      object: object(n % KEYS, n),
    },
  ]);

class Etcd {
  #agent = new Agent({ keepAlive: true, maxSockets: 512 });

  static async start(directory) {
    const url = 'http://127.0.0.1:23790';
    const child = spawn(
      'etcd',
      [
        '--data-dir',
        directory,
        '--listen-client-urls',
        url,
        '--advertise-client-urls',
        url,
        '--listen-peer-urls',
        'http://127.0.0.1:23800',
        '--initial-advertise-peer-urls',
        'http://127.0.0.1:23800',
        '--initial-cluster',
        'default=http://127.0.0.1:23800',
        '--logger',
        'zap',
        '--log-level',
        'error',
      ],
      { stdio: 'ignore' },
    );
    const etcd = new Etcd();
    etcd.child = child;
    for (let i = 0; ; i++) {
      try {
        await etcd.put('ready', '{}');
        return etcd;
      } catch (error) {
        if (i === 200) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  put(key, text) {
    const body = JSON.stringify({
      key: Buffer.from(key).toString('base64'),
      value: Buffer.from(text).toString('base64'),
    });
    return new Promise((resolve, reject) => {
      const call = request(
        { host: '127.0.0.1', port: 23790, path: '/v3/kv/put', method: 'POST', agent: this.#agent },
        (answer) => {
          answer.resume();
          answer.on('end', () =>
            answer.statusCode === 200 ? resolve() : reject(new Error(`etcd: ${answer.statusCode}`)),
          );
        },
      );
      call.on('error', reject);
      call.end(body);
    });
  }

  write = (n) => this.put(`/registry/pods/ns-${n % 50}/pod-${n % KEYS}`, JSON.stringify(object(n % KEYS, n)));

  async stop() {
    this.#agent.destroy();
    const ended = new Promise((resolve) => this.child.on('close', resolve));
    this.child.kill('SIGTERM');
    await ended;
  }
}

const diskBytes = (directory) =>
  readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);

/** In a process of its own: opens what is there and says what that took. */
async function reopen(directory) {
  const before = process.memoryUsage();
  const start = performance.now();
  const used = process.cpuUsage();
  const store = await openStore({ engine: await embeddedEngine(directory), clock: systemClock });
  const count = store.snapshot().count({ resource: '/pods' });
  const opened = performance.now() - start;
  const { user, system } = process.cpuUsage(used);
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const after = process.memoryUsage();
  const bytes = (after.heapUsed + after.external - before.heapUsed - before.external) / count;
  const cpu = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const idle = process.cpuUsage(cpu);
  console.log(
    JSON.stringify({
      opened,
      processor: (user + system) / 1000,
      count,
      bytes,
      idle: (idle.user + idle.system) / 20_000,
    }),
  );
  await store.close();
}

const SLOW_MS = 20;

/** A steady rate, with what slow writes waited for longest. */
async function atSteadyRate(report, directory) {
  const [seconds, rate] = [Number(options.steady), Number(options.rate)];
  if (seconds === 0) return;
  report.say(`${rate} writes a second for ${seconds} s`);
  const run = await steady(join(directory, 'steady'), { object, objects: 20_000, rate, seconds, commits: 4000 });
  const slow = run.writes.filter(({ ms }) => ms > SLOW_MS);
  const causes = new Map();
  for (const {
    causes: [first],
  } of slow) {
    const what = first?.what ?? 'the ones before it';
    causes.set(what, (causes.get(what) ?? 0) + 1);
  }
  const lasting = (what) => run.spans.filter((span) => span.what === what).map(({ start, end }) => end - start);
  report.section(
    `${rate} writes/s for ${seconds} s at 20,000 objects, 4,000 commits of history kept: ${run.compactions} compactions`,
    [
      {
        what: 'write',
        unit: 'ms',
        values: run.writes.map(({ ms }) => ms),
        target: { text: '<= 20', most: 20, at: 'p99' },
      },
      { what: 'sync of the log', unit: 'ms', values: lasting('sync') },
      { what: 'the disk alone: a probe’s 4 KB written and synced', unit: 'ms', values: run.disk },
      { what: 'minor collections', unit: 'ms', values: lasting('minor collection') },
      { what: 'major collections', unit: 'ms', values: lasting('major collection') },
      {
        what: 'turns of the event loop above 12 ms',
        unit: 'ms',
        values: lasting('event loop'),
        target: { text: '<= 50', most: 50, at: 'max' },
      },
    ],
  );
  const reasons = [...causes].sort(([, a], [, b]) => b - a).map(([what, count]) => `${what} ${count}`);
  if (slow.length > 0)
    report.note(
      `${slow.length} of ${run.writes.length} writes took more than ${SLOW_MS} ms; what each waited for longest: ${reasons.join(', ')}.`,
    );
  const bySecond = Array.from({ length: seconds }, (_, second) =>
    run.writes.filter(({ at }) => Math.floor(at / 1000) === second).map(({ ms }) => ms),
  );
  report.note(`p99 of each second, ms: ${bySecond.map((values) => quantile(values, 0.99).toFixed(0)).join(' ')}`);
}

if (options.reopen !== undefined) await reopen(options.reopen);
else
  await onStage(fileURLToPath(import.meta.url), 300, async (room) => {
    const directory = options.directory ? mkdtempSync(join(options.directory, 'trimtab-store-')) : room.directory;
    if (options.directory) process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
    spawnSync('ip', ['link', 'set', 'lo', 'up']);
    const report = new Report('store', 'The embedded store, and etcd on the same disk in the same run');
    const etcdThere = spawnSync('etcd', ['--version']).status === 0;
    if (!etcdThere) report.note('etcd is not installed: apt-get install etcd-server');
    const peers = etcdThere ? ['embedded', 'etcd'] : ['embedded'];
    const results = new Map();
    for (let round = 0; round < ROUNDS; round++)
      for (const peer of peers) {
        const place = join(directory, `${peer}-${round}`);
        mkdirSync(place);
        const store =
          peer === 'embedded'
            ? await openStore({ engine: await embeddedEngine(place), clock: systemClock })
            : undefined;
        const etcd = store === undefined ? await Etcd.start(place) : undefined;
        for (const writers of WRITERS) {
          report.say(`round ${round + 1}: ${peer}, ${writers} writers`);
          const result = await load(writers, store ? embeddedWrite(store) : etcd.write);
          const name = `${peer} ${writers}`;
          results.set(name, [...(results.get(name) ?? []), result]);
        }
        await store?.close();
        await etcd?.stop();
        rmSync(place, { recursive: true, force: true });
      }
    for (const writers of ROUNDS > 0 ? WRITERS : []) {
      const rows = peers.flatMap((peer) => {
        const runs = results.get(`${peer} ${writers}`);
        return [
          { what: `${peer}: throughput`, unit: 'writes/s', values: runs.map(({ rate }) => rate) },
          { what: `${peer}: latency`, unit: 'ms', values: runs.flatMap(({ latencies }) => latencies) },
        ];
      });
      if (etcdThere) {
        const ratio = results
          .get(`embedded ${writers}`)
          .map(({ rate }, i) => rate / results.get(`etcd ${writers}`)[i].rate);
        rows.push({ what: 'embedded to etcd: throughput', unit: 'x', values: ratio });
      }
      report.section(`${writers} writers, 3 KB objects, acknowledged on disk`, rows);
    }

    await atSteadyRate(report, directory);
    if (OBJECTS === 0) return report.finish(options.json);
    report.say(`${OBJECTS} objects`);
    const place = join(directory, 'many');
    const store = await openStore({ engine: await embeddedEngine(place), clock: systemClock });
    let text = 0;
    for (let n = 0; n < OBJECTS; n += 250)
      await Promise.all(
        Array.from({ length: Math.min(250, OBJECTS - n) }, (_, i) => {
          const pod = object(n + i, 0);
          text += n === 0 ? JSON.stringify(pod).length : 0;
          return store.commit([
            {
              type: 'put',
              key: { resource: '/pods', namespace: pod.metadata.namespace, name: pod.metadata.name },
              object: pod,
            },
          ]);
        }),
      );
    await store.close();
    const runs = [];
    for (let i = 0; i < 3; i++) {
      report.say(`restart ${i + 1}`);
      const args = ['--expose-gc', fileURLToPath(import.meta.url), '--reopen', place];
      const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 1 << 20 });
      if (stdout === '') throw new Error(stderr);
      runs.push(JSON.parse(stdout));
    }
    report.section(`${OBJECTS} objects of ${(text / Math.min(250, OBJECTS) / 1000).toFixed(1)} KB`, [
      {
        what: 'restart to consistent reads',
        unit: 'ms',
        values: runs.map((r) => r.opened),
        target: { text: '<= 2000', most: 2000 },
      },
      { what: 'processor time of it, all threads', unit: 'ms', values: runs.map((r) => r.processor) },
      { what: 'memory of one, unread, its share of history included', unit: 'bytes', values: runs.map((r) => r.bytes) },
      {
        what: 'disk to live data',
        unit: 'x',
        values: [diskBytes(place) / ((text / 250) * OBJECTS)],
        target: { text: '<= 3', most: 3 },
      },
      { what: 'processor at rest', unit: '% of a core', values: runs.map((r) => r.idle) },
    ]);
    report.finish(options.json);
  });
