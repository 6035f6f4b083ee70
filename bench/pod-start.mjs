/**
 * How long a pod takes from being created to Running as a watch sees it, one after another and many at once, beside
 * `podman kube play` of the same kind of pod; how long a crashed container takes to run again, and a deleted pod to be gone.
 *
 *   node bench/pod-start.mjs [--pods 50] [--at-once 30] [--peers 10] [--profile DIR] [--node-arg FLAG]… [--json FILE]
 */
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Pods } from '@trimtab/machinery';
import { assembleRedis, Cluster, sleep } from './lib/cluster.mjs';
import { Podman } from './lib/podman.mjs';
import { plainPod } from './lib/pods.mjs';
import { cpu, used } from './lib/processes.mjs';
import { Report } from './lib/report.mjs';
import { onStage } from './lib/stage.mjs';
import { median } from './lib/stats.mjs';
import { Watched } from './lib/watches.mjs';

const { values: options } = parseArgs({
  options: {
    pods: { type: 'string', default: '50' },
    'at-once': { type: 'string', default: '30' },
    peers: { type: 'string', default: '10' },
    profile: { type: 'string' },
    'node-arg': { type: 'string', multiple: true, default: [] },
    json: { type: 'string' },
  },
});
const PODS = Number(options.pods);
const AT_ONCE = Number(options['at-once']);
const PEERS = Number(options.peers);
/** Between two measurements, so that one does not pay for the tail of the other. */
const PAUSE_MS = 50;

const report = new Report(
  'pod-start',
  'A pod from created to Running as a watch sees it, crash to restarted, delete to gone',
);

const epoch = (at) => performance.timeOrigin + at;
const isRunning = ({ status }) => status?.phase === 'Running';
const containerOf = ({ status }) => status?.containerStatuses?.[0];

class Bench {
  constructor(cluster, client, podman) {
    Object.assign(this, { cluster, client, podman });
    this.watched = new Watched(client, Pods, { namespace: 'default' });
  }

  /** Creates one pod and waits until it is seen Running. */
  async create(name) {
    const asked = performance.now();
    const answered = this.client.create(Pods, plainPod(name)).then(() => performance.now());
    const running = await this.watched.first(({ object }) => object.metadata.name === name && isRunning(object));
    return { name, asked, answered: await answered, running: running.at };
  }

  /** Deletes one pod as kubectl would and waits until it is seen gone. */
  async delete(name) {
    const asked = performance.now();
    const answered = this.client.delete(Pods, { namespace: 'default', name });
    const gone = await this.watched.first(({ type, object }) => type === 'DELETED' && object.metadata.name === name);
    await answered;
    return gone.at - asked;
  }

  /** Kills the container's first process and waits until the watch shows it restarted and running. */
  async crash(name, pid) {
    const asked = performance.now();
    process.kill(pid, 'SIGKILL');
    const restarted = ({ restartCount, state } = {}) => restartCount === 1 && state?.running !== undefined;
    const seen = await this.watched.first(
      ({ object }) => object.metadata.name === name && restarted(containerOf(object)),
    );
    const first = this.watched.of(name).find(({ at }) => at > asked);
    return { name, asked, noticed: first.at, running: seen.at, ip: seen.object.status.podIP };
  }

  /** What the native core knows of every pod, by pod name. */
  async native() {
    const runtime = await this.cluster.runtime();
    const sandboxes = await runtime.list();
    runtime.close();
    const uids = new Map(this.watched.events.map(({ object }) => [object.metadata.uid, object.metadata.name]));
    return new Map(sandboxes.map((sandbox) => [uids.get(sandbox.id), sandbox]));
  }

  async version() {
    return Number((await this.client.list(Pods, { namespace: 'default', limit: 1 })).metadata.resourceVersion);
  }
}

const numbered = (prefix, count) => Array.from({ length: count }, (_, i) => `${prefix}-${i}`);

/** From the request to each thing that can be seen of a pod's start, in milliseconds. */
function timeline({ name, asked, answered, running }, bench, native) {
  const seen = bench.watched.of(name);
  const at = (good) => seen.find(({ object }) => good(object))?.at - asked;
  const sandbox = native.get(name);
  return {
    added: seen[0].at - asked,
    answered: answered - asked,
    scheduled: at(({ spec }) => spec.nodeName),
    sandbox: sandbox.createdAt - epoch(asked),
    started: sandbox.containers[0].startedAt - epoch(asked),
    statuses: seen.filter(({ at: when }) => when <= running).length,
    running: running - asked,
  };
}

async function oneAfterAnother(bench) {
  const starts = [];
  const peers = [];
  const before = { version: await bench.version(), cpu: cpu(bench.cluster.pid) };
  for (const [i, name] of numbered('one', PODS).entries()) {
    starts.push(await bench.create(name));
    await sleep(PAUSE_MS);
    if (bench.podman && peers.length < PEERS && i % Math.ceil(PODS / PEERS) === 0) {
      report.say(`pod ${i + 1} of ${PODS}`);
      peers.push((await bench.podman.play(`one-${i}`)).ms);
      await sleep(PAUSE_MS);
    }
  }
  const spent = used(before.cpu, cpu(bench.cluster.pid));
  const writes = ((await bench.version()) - before.version) / PODS;
  const native = await bench.native();
  const lines = starts.map((start) => timeline(start, bench, native));
  const pick = (name) => lines.map((line) => line[name]);
  const rows = [
    {
      what: 'created to Running seen',
      values: pick('running'),
      target: { text: 'p50 <= 50', most: 50 },
    },
    { what: '  the same, p99', values: pick('running'), target: { text: 'p99 <= 150', most: 150, at: 'p99' } },
    { what: 'podman kube play, one pod', values: peers },
    ...(peers.length > 0
      ? [{ what: 'podman / trimtab', unit: 'x', values: [median(peers) / median(pick('running'))] }]
      : []),
  ];
  report.section(
    `${PODS} pods one after another, all left running`,
    rows.map((row) => ({ unit: 'ms', ...row })),
  );
  const steps = [
    { what: 'create answered', values: pick('answered') },
    { what: 'ADDED seen', values: pick('added') },
    { what: 'node name seen (scheduled)', values: pick('scheduled') },
    { what: 'pod process made (native core)', values: pick('sandbox') },
    { what: 'container executed (native core)', values: pick('started') },
    { what: 'Running seen', values: pick('running') },
    {
      what: 'processor of trimtab, each pod',
      values: [Object.values(spent).reduce((a, b) => a + b, 0) / PODS],
      note: threads(spent, PODS),
    },
    { what: 'writes to the store, each pod', unit: '', values: [writes] },
    { what: 'versions seen up to Running', unit: '', values: pick('statuses') },
  ];
  report.section(
    'Where the time goes, since the request',
    steps.map((row) => ({ unit: 'ms', ...row })),
  );
  report.extra('oneAfterAnother', { lines, peers, spent });
}

const threads = (spent, count) =>
  Object.entries(spent)
    .sort(([, a], [, b]) => b - a)
    .slice(0, 3)
    .map(([name, ms]) => `${name} ${(ms / count).toFixed(1)}`)
    .join(', ');

async function goneOneByOne(bench) {
  report.say('deleting one by one');
  const gone = [];
  const peers = [];
  for (const [i, name] of numbered('one', PODS).entries()) {
    gone.push(await bench.delete(name));
    await sleep(PAUSE_MS);
    if (bench.podman && peers.length < PEERS && i % Math.ceil(PODS / PEERS) === 0)
      peers.push((await bench.podman.down(`one-${i}`)).ms);
  }
  report.section('Deleted to gone, the program ending at SIGTERM', [
    { what: 'pod deleted to gone from the watch', unit: 'ms', values: gone },
    { what: 'podman kube down, one pod', unit: 'ms', values: peers },
  ]);
  report.extra('gone', { gone, peers });
}

async function atOnce(bench) {
  report.say(`${AT_ONCE} at once`);
  const before = cpu(bench.cluster.pid);
  const began = performance.now();
  const starts = await Promise.all(numbered('many', AT_ONCE).map((name) => bench.create(name)));
  const elapsed = Math.max(...starts.map(({ running }) => running)) - began;
  const spent = used(before, cpu(bench.cluster.pid));
  const native = await bench.native();
  const lines = starts.map((start) => timeline(start, bench, native));
  const rows = [
    { what: 'created to Running seen', unit: 'ms', values: lines.map(({ running }) => running) },
    { what: '  scheduled', unit: 'ms', values: lines.map(({ scheduled }) => scheduled) },
    { what: '  container executed', unit: 'ms', values: lines.map(({ started }) => started) },
    { what: 'all of them', unit: 'ms', values: [elapsed], note: `processor of trimtab: ${threads(spent, 1)} ms` },
    { what: 'rate', unit: 'pods/s', values: [(1000 * AT_ONCE) / elapsed] },
  ];
  if (bench.podman) {
    report.say(`podman: ${AT_ONCE} in one manifest`);
    const { ms } = await bench.podman.play(...numbered('many', AT_ONCE));
    rows.push({ what: `podman kube play, all ${AT_ONCE} in one manifest`, unit: 'ms', values: [ms] });
    await bench.podman.clear();
  }
  report.section(`${AT_ONCE} pods at once`, rows);
  report.extra('atOnce', { lines, elapsed, spent });
}

async function crashes(bench) {
  report.say('crashes');
  const before = await bench.native();
  const lines = [];
  for (const name of numbered('many', AT_ONCE)) {
    lines.push(await bench.crash(name, before.get(name).containers[0].pid));
    await sleep(PAUSE_MS);
  }
  const after = await bench.native();
  const alive = lines.map(
    ({ name, asked }) => after.get(name).containers.find((c) => c.state === 'running').startedAt - epoch(asked),
  );
  const seen = lines.map(({ asked, running }) => running - asked);
  report.section('kill -9 of a container, first time, one pod after another', [
    {
      what: 'killed to running again',
      unit: 'ms',
      values: alive,
      target: { text: 'max <= 200', most: 200, at: 'max' },
    },
    { what: 'killed to first change seen', unit: 'ms', values: lines.map(({ asked, noticed }) => noticed - asked) },
    {
      what: 'killed to restart seen running',
      unit: 'ms',
      values: seen,
      target: { text: 'p99 <= 200', most: 200, at: 'p99' },
    },
  ]);
  const moved = lines.filter(
    ({ name, ip }) => ip !== bench.watched.of(name).find(({ object }) => object.status?.podIP)?.object.status.podIP,
  );
  if (moved.length > 0) report.note(`${moved.length} pods changed their address when they crashed`);
  report.extra('crashes', { alive, lines });
}

async function deleteAll(bench) {
  const began = performance.now();
  const gone = await Promise.all(numbered('many', AT_ONCE).map((name) => bench.delete(name)));
  report.section(`${AT_ONCE} pods deleted at once`, [
    { what: 'deleted to gone', unit: 'ms', values: gone },
    { what: 'all of them', unit: 'ms', values: [performance.now() - began] },
  ]);
}

/** Every acknowledged write is on disk first, so this is the least a write can take. */
function flushFloor(directory) {
  const file = openSync(join(directory, 'flush'), 'w');
  const page = Buffer.alloc(4096, 1);
  const values = Array.from({ length: 50 }, () => {
    const began = performance.now();
    writeSync(file, page);
    fdatasyncSync(file);
    return performance.now() - began;
  });
  closeSync(file);
  report.section('Floor', [{ what: '4 KiB written and flushed (fdatasync)', unit: 'ms', values }]);
}

async function main(room) {
  flushFloor(room.directory);
  const dataDir = join(room.directory, 'cluster');
  assembleRedis(dataDir);
  const podman = PEERS > 0 ? await Podman.open(room, join(dataDir, 'images')) : 'left out by --peers 0';
  if (typeof podman === 'string') report.note(`Not compared with podman: ${podman}`);
  else
    report.note(
      (await podman.run('--version')).said
        .trim()
        .concat(', CNI bridge, overlay, crun; in a pure cgroup v1 view, since crun refuses a hybrid host'),
    );
  const profile = options.profile ? ['--cpu-prof', `--cpu-prof-dir=${options.profile}`, '--cpu-prof-interval=200'] : [];
  const cluster = new Cluster(dataDir, { nodeArgs: [...profile, ...options['node-arg']] });
  await cluster.told('ready');
  const client = await cluster.client();
  const bench = new Bench(cluster, client, typeof podman === 'string' ? undefined : podman);
  // One pod first: what is loaded and compiled once is the start benchmark's subject.
  const first = await bench.create('first');
  report.section('The first pod of a cluster', [
    { what: 'created to Running seen', unit: 'ms', values: [first.running - first.asked] },
  ]);
  await bench.delete('first');
  await oneAfterAnother(bench);
  await goneOneByOne(bench);
  await atOnce(bench);
  await crashes(bench);
  await deleteAll(bench);
  bench.watched.close();
  client.close();
  await bench.podman?.close();
  const code = await cluster.stop();
  if (code !== 0 || /"level":(50|60)/.test(cluster.stderr))
    report.note(`trimtab ended with ${code} and said: ${cluster.stderr.slice(-1000)}`);
  report.finish(options.json);
}

await onStage(fileURLToPath(import.meta.url), 420, main);
