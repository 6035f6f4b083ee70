/**
 * What a request costs: latency, throughput and processor time per operation over HTTPS and HTTP/2, at 10,000 stored pods,
 * with and without a thousand watchers, JSON and protobuf.
 *
 *   node bench/api.mjs [--pods 10000] [--operations 2000] [--rate 500] [--seconds 8] [--watchers 1000] [--connections 10]
 *                      [--lists 1000] [--only create,get,…] [--profile DIR] [--json FILE]
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { decodeProtobuf, encodeProtobuf } from '@trimtab/machinery';
import { Child } from './lib/child.mjs';
import { cpu, used } from './lib/processes.mjs';
import { Report } from './lib/report.mjs';
import { onStage } from './lib/stage.mjs';
import { ask, atRate, connect, inParallel, JSON_TYPE, PROTOBUF } from './lib/wire.mjs';
import { wirePod } from './lib/wire-pods.mjs';

const { values: options } = parseArgs({
  options: {
    pods: { type: 'string', default: '10000' },
    operations: { type: 'string', default: '2000' },
    rate: { type: 'string', default: '500' },
    seconds: { type: 'string', default: '8' },
    watchers: { type: 'string', default: '1000' },
    connections: { type: 'string', default: '10' },
    lists: { type: 'string', default: '1000' },
    only: { type: 'string', default: '' },
    profile: { type: 'string' },
    json: { type: 'string' },
  },
});
const PODS = Number(options.pods);
const OPERATIONS = Number(options.operations);
const RATE = Number(options.rate);
const SECONDS = Number(options.seconds);
const WATCHERS = Number(options.watchers);
const CONNECTIONS = Number(options.connections);
const LISTS = Number(options.lists);
const WIDTH = 32;
const WARM = 2000;
const STEADY_WARM_S = 6;
/** All the lists together are tens of gigabytes: what they cost while they are under way is enough. */
const STORM_MS = 15_000;
const STORM_GZIP_MS = 60_000;

const only = new Set(options.only.split(',').filter(Boolean));
const wanted = (name) => only.size === 0 || only.has(name);
const report = new Report(
  'api',
  `The API server's wire: ${PODS} pods stored, HTTPS over HTTP/2, on disk, RBAC and admission on`,
);

const namespace = 'default';
const pods = `/api/v1/namespaces/${namespace}/pods`;
const at = (i) => `${pods}/${wirePod(i).metadata.name}`;
const now = () => String(process.hrtime.bigint());

/** Operations on one pod each, by name; `i` numbers them. */
const operations = {
  create: (i) => ({ method: 'POST', path: pods, body: JSON.stringify(wirePod(PODS + i)) }),
  'create, protobuf': (i) => ({
    method: 'POST',
    path: pods,
    type: PROTOBUF,
    accept: PROTOBUF,
    body: encodeProtobuf(wirePod(PODS + OPERATIONS + i)),
  }),
  get: (i) => ({ path: at(i % PODS) }),
  'get, protobuf': (i) => ({ path: at(i % PODS), accept: PROTOBUF }),
  'update status': (i, stored) => ({
    method: 'PUT',
    path: `${pods}/${stored[i % stored.length].metadata.name}/status`,
    body: JSON.stringify(withStatus(stored[i % stored.length], i)),
  }),
  'merge patch': (i) => ({
    method: 'PATCH',
    path: at(i % PODS),
    type: 'application/merge-patch+json',
    body: `{"metadata":{"annotations":{"touched":"${i}"}}}`,
  }),
  'status patch': (i) => ({
    method: 'PATCH',
    path: `${at(i % PODS)}/status`,
    type: 'application/strategic-merge-patch+json',
    body: `{"status":{"conditions":[{"type":"Ready","status":"True","lastTransitionTime":"2026-01-01T00:00:00Z","message":"m${i}"}]}}`,
  }),
  apply: (i) => ({
    method: 'PATCH',
    path: `${at(i % PODS)}?fieldManager=bench&force=true`,
    type: 'application/apply-patch+yaml',
    body: JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { labels: { applied: `v${i}` } } }),
  }),
  delete: (i) => ({ method: 'DELETE', path: `${pods}/${wirePod(PODS + i).metadata.name}?gracePeriodSeconds=0` }),
};

function withStatus(pod, i) {
  const { resourceVersion: _, ...metadata } = pod.metadata;
  return { ...pod, metadata, status: { ...pod.status, phase: 'Running', message: `turn ${i}` } };
}

/** The API server under test, and what its processor time was. */
class Server {
  static async start(directory) {
    const server = new Server();
    server.child = await Child.start('api-server.mjs', [directory], ['--expose-gc']);
    server.where = server.child.ready;
    server.session = connect(server.where);
    return server;
  }

  /** Runs something and gives what it gave, with the server's CPU milliseconds and the wall's. */
  async cost(name, run) {
    if (options.profile) await this.child.ask('profile');
    const before = cpu(this.child.pid);
    const began = performance.now();
    const value = await run();
    const wall = performance.now() - began;
    const threads = used(before, cpu(this.child.pid));
    if (options.profile)
      await this.child.ask('profiled', join(options.profile, `${name.replace(/\W+/g, '-')}.cpuprofile`));
    return { value, wall, cpu: Object.values(threads).reduce((sum, ms) => sum + ms, 0), threads };
  }
}

async function throughput(server, title, names) {
  const rows = [];
  for (const name of names) {
    if (!wanted(name)) continue;
    report.say(`${title}: ${name}`);
    const stored = name.startsWith('update') ? await someStored(server) : [];
    const make = (i) => ask(server.session, operations[name](i, stored));
    // What has not been compiled yet costs twice as much, and a server runs for longer than a benchmark.
    if (!/create|delete/.test(name)) await inParallel(WARM, WIDTH, make);
    const { value, wall, cpu: ms } = await server.cost(`${title} ${name}`, () => inParallel(OPERATIONS, WIDTH, make));
    rows.push({
      what: name,
      unit: 'ms',
      values: value.map((answer) => answer.ms),
      note: `${Math.round((1000 * OPERATIONS) / wall)}/s, ${Math.round((1000 * ms) / OPERATIONS)} µs CPU`,
    });
  }
  report.section(`${title}: ${WIDTH} in flight, latency, throughput, server CPU per operation`, rows);
}

async function someStored(server) {
  const { bytes } = await ask(server.session, { path: `${pods}?limit=500`, keep: true });
  return JSON.parse(bytes).items.map((pod) => ({ kind: 'Pod', apiVersion: 'v1', ...pod }));
}

/** 500 writes a second as a cluster makes them, and gets beside them. */
async function steady(server, title, delays) {
  if (!wanted('steady')) return;
  report.say(`${title}: ${RATE} writes a second for ${SECONDS} s`);
  const gets = [];
  const write = async (i) => {
    const target = at((i * 7919) % PODS);
    if (i % 5 === 0) gets.push(ask(server.session, { path: at((i * 31) % PODS) }));
    const { ms } = await ask(server.session, {
      method: 'PATCH',
      path: i % 2 ? `${target}/status` : target,
      type: 'application/merge-patch+json',
      body: `{"metadata":{"annotations":{"sent-at":"${now()}"}}${i % 2 ? `,"status":{"message":"m${i}"}` : ''}}`,
    });
    return ms;
  };
  // As above: compiled, and with objects that somebody has read before.
  await atRate(RATE, STEADY_WARM_S, write);
  gets.length = 0;
  await delays();
  const run = await server.cost(`${title} steady`, () => atRate(RATE, SECONDS, write));
  report.section(`${title}: ${RATE} patches/s and ${RATE / 5} gets/s for ${SECONDS} s`, [
    { what: 'write', unit: 'ms', values: run.value, target: { text: '<= 20', most: 20, at: 'p99' } },
    {
      what: 'get',
      unit: 'ms',
      values: (await Promise.all(gets)).map((answer) => answer.ms),
      target: { text: '<= 5', most: 5, at: 'p99' },
    },
    ...(await delays()),
    {
      what: 'server CPU, of one core',
      unit: '%',
      values: [(100 * run.cpu) / run.wall],
      note: Object.entries(run.threads)
        .map(([name, ms]) => `${name} ${Math.round((100 * ms) / run.wall)}`)
        .join(', '),
    },
  ]);
}

async function lists(server) {
  if (!wanted('lists')) return;
  const forms = {
    JSON: { accept: JSON_TYPE, target: { text: '<= 400', most: 400 } },
    protobuf: { accept: PROTOBUF, target: { text: '<= 200', most: 200 } },
    Table: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
    PartialObjectMetadata: { accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io' },
  };
  const rows = [];
  for (const [what, { accept, target }] of Object.entries(forms)) {
    report.say(`list as ${what}`);
    const answers = [];
    const run = await server.cost(`list ${what}`, async () => {
      for (let i = 0; i < 5; i++) answers.push(await ask(server.session, { path: '/api/v1/pods', accept }));
    });
    const size = `${(answers[0].size / 1e6).toFixed(1)} MB, ${(run.cpu / 5).toFixed(0)} ms CPU`;
    rows.push({ what, unit: 'ms', values: answers.map((a) => a.ms), target, note: size });
  }
  report.section(`List of all ${PODS} pods in one answer`, rows);
}

async function watched(server) {
  if (!wanted('watch')) return;
  const kinds = {
    'all want each event': '',
    'each wants its own node’s pods': `&fieldSelector=spec.nodeName%3Dnode-`,
  };
  for (const [kind, selector] of Object.entries(kinds)) {
    const { bytes } = await ask(server.session, { path: `${pods}?limit=1`, keep: true });
    const revision = JSON.parse(bytes).metadata.resourceVersion;
    const path = `/api/v1/pods?watch=true&resourceVersion=${revision}${selector}`;
    const title = `${WATCHERS} watchers on ${CONNECTIONS} connections, ${kind}`;
    report.say(title);
    const watch = { where: server.where, watchers: WATCHERS, connections: CONNECTIONS, path, each: selector !== '' };
    const child = await Child.start('api-watchers.mjs', [JSON.stringify(watch)]);
    const write = async (i) => {
      const body = `{"metadata":{"annotations":{"sent-at":"${now()}"}}}`;
      const request = { method: 'PATCH', path: at(i), type: 'application/merge-patch+json', body };
      const { ms } = await ask(server.session, request);
      await new Promise((resolve) => setTimeout(resolve, 60));
      return ms;
    };
    const run = await server.cost(title, () => inParallel(40, 1, write));
    const { delays, events } = await child.ask('take');
    report.section(`${title}; 40 writes one after another`, [
      { what: 'write answered', unit: 'ms', values: run.value },
      {
        what: 'write sent to event received',
        unit: 'ms',
        values: delays,
        target: { text: '<= 5', most: 5, at: 'p99' },
        note: `${events} deliveries, ${((1000 * run.cpu) / events).toFixed(1)} µs CPU each`,
      },
    ]);
    if (selector !== '') {
      const seen = async () => [
        { what: 'write seen by a watcher', unit: 'ms', values: (await child.ask('take')).delays },
      ];
      await steady(server, title, seen);
      await throughput(server, title, ['get', 'merge patch']);
    }
    await child.stop();
  }
}

/** As Go's clients ask, who take gzip, and as those who do not. */
const stormForms = { 'with gzip': { encoding: 'gzip', most: STORM_GZIP_MS }, plain: { most: STORM_MS } };

async function storm(server, form) {
  const { encoding, most: patience } = stormForms[form];
  if (!wanted('storm') || LISTS === 0) return;
  report.say(`${LISTS} lists at once, ${form}`);
  await server.child.ask('collect');
  const before = await server.child.ask('rss');
  let most = before;
  let done = false;
  const sessions = Array.from({ length: 10 }, () => connect(server.where));
  const watch = (async () => {
    while (!done) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      most = Math.max(most, await server.child.ask('rss'));
    }
  })();
  const gets = [];
  const beside = setInterval(() => gets.push(ask(server.session, { path: at(gets.length) })), 100);
  let answered = 0;
  let bytes = 0;
  let refused = 0;
  const run = await server.cost('storm', () =>
    Promise.race([
      inParallel(LISTS, LISTS, (i) =>
        ask(sessions[i % sessions.length], { path: '/api/v1/pods', encoding }).then(
          ({ size }) => {
            answered++;
            bytes += size;
          },
          () => refused++,
        ),
      ),
      new Promise((resolve) => setTimeout(resolve, patience)),
    ]),
  );
  clearInterval(beside);
  done = true;
  await watch;
  for (const session of sessions) session.destroy();
  const of = `${answered} answered, ${refused} refused, ${(bytes / 1e9).toFixed(1)} GB in ${(run.wall / 1000).toFixed(0)} s, ${(run.cpu / 1000).toFixed(1)} s CPU`;
  report.section(`${LISTS} lists of all ${PODS} pods at once, ${form}`, [
    {
      what: 'memory added (RSS)',
      unit: 'MB',
      values: [most - before],
      target: { text: '<= 200', most: 200 },
      note: of,
    },
    { what: 'gets beside them', unit: 'ms', values: (await Promise.all(gets)).map((answer) => answer.ms) },
  ]);
}

function codec() {
  if (!wanted('codec')) return;
  const pod = wirePod(1);
  const bytes = Buffer.from(encodeProtobuf(pod));
  const text = JSON.stringify(pod);
  const time = (what, run) => {
    for (let i = 0; i < 500; i++) run();
    const values = Array.from({ length: 40 }, () => {
      const began = performance.now();
      for (let i = 0; i < 50; i++) run();
      return ((performance.now() - began) * 1000) / 50;
    });
    return { what, unit: 'µs', values };
  };
  report.section(`Codecs: a pod of ${text.length} bytes JSON, ${bytes.length} bytes protobuf`, [
    time('JSON.parse', () => JSON.parse(text)),
    time('protobuf decode', () => decodeProtobuf(bytes)),
    time('JSON.stringify', () => JSON.stringify(pod)),
    time('protobuf encode', () => encodeProtobuf(pod)),
  ]);
}

async function main(room) {
  const server = await Server.start(join(room.directory, 'api'));
  await ask(server.session, {
    method: 'POST',
    path: `/api/v1/namespaces/${namespace}/serviceaccounts`,
    body: JSON.stringify({ metadata: { name: 'default' } }),
  }).catch(() => {});
  report.say(`storing ${PODS} pods`);
  const filled = await server.cost('fill', () =>
    inParallel(PODS, WIDTH, (i) =>
      ask(server.session, { method: 'POST', path: pods, body: JSON.stringify(wirePod(i)) }),
    ),
  );
  report.note(
    `${PODS} pods were stored at ${Math.round((1000 * PODS) / filled.wall)}/s, ${Math.round((1000 * filled.cpu) / PODS)} µs CPU each (${Object.entries(
      filled.threads,
    )
      .sort(([, a], [, b]) => b - a)
      .slice(0, 4)
      .map(([thread, ms]) => `${thread} ${Math.round((1000 * ms) / PODS)}`)
      .join(', ')}); server at ${Math.round(await server.child.ask('rss'))} MB.`,
  );
  report.note('Clients and server share the cores of this machine: latencies hold both, CPU figures the server alone.');
  codec();
  await throughput(server, 'No watchers', Object.keys(operations));
  await steady(server, 'No watchers', async () => []);
  await lists(server);
  await watched(server);
  for (const form of Object.keys(stormForms)) await storm(server, form);
  server.session.close();
  await server.child.stop();
  report.finish(options.json);
}

await onStage(fileURLToPath(import.meta.url), 600, main);
