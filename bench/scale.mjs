/**
 * A thousand nodes and a hundred thousand pods in one process: `trimtab up --no-node --simulated-nodes`, filled through
 * Deployments over HTTPS, then kept busy.
 *
 *   node bench/scale.mjs [--nodes 1000] [--pods 1000,10000,30000,100000] [--per-deployment 100] [--seconds 30] [--warm 10] [--rate 200]
 *                        [--watchers 1000] [--failures 5] [--patience 180] [--history-commits 20000] [--plot FILE.svg]
 *                        [--profile DIR] [--snapshot DIR] [--heap MiB] [--young MiB] [--json FILE]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { plot } from './lib/plot.mjs';
import { cpu, used } from './lib/processes.mjs';
import { Report } from './lib/report.mjs';
import { Churn } from './lib/scale-churn.mjs';
import { ScaleCluster } from './lib/scale-cluster.mjs';
import { countRunning, makeLoad, Readiness } from './lib/scale-load.mjs';
import { onStage } from './lib/stage.mjs';
import { ask, connect } from './lib/wire.mjs';

const { values: options } = parseArgs({
  options: {
    nodes: { type: 'string', default: '1000' },
    pods: { type: 'string', default: '100000' },
    'per-deployment': { type: 'string', default: '100' },
    seconds: { type: 'string', default: '30' },
    warm: { type: 'string', default: '10' },
    rate: { type: 'string', default: '200' },
    watchers: { type: 'string', default: '1000' },
    failures: { type: 'string', default: '5' },
    patience: { type: 'string', default: '180' },
    'history-commits': { type: 'string' },
    plot: { type: 'string' },
    profile: { type: 'string' },
    snapshot: { type: 'string' },
    heap: { type: 'string', default: '8192' },
    young: { type: 'string', default: '64' },
    json: { type: 'string' },
  },
});
const NODES = Number(options.nodes);
const SIZES = options.pods.split(',').map(Number);
const PER = Number(options['per-deployment']);
const SECONDS = Number(options.seconds);
const PATIENCE_MS = Number(options.patience) * 1000;
const MiB = 2 ** 20;

const report = new Report('scale', `${NODES} simulated nodes in one process with everything else of the cluster`);

/** Small requests while the cluster is being filled: what a user would feel. */
function probe(session) {
  const values = [];
  const timer = setInterval(() => {
    ask(session, { path: '/api/v1/namespaces/default' }).then(
      ({ ms }) => values.push(ms),
      () => {},
    );
  }, 50);
  return () => {
    clearInterval(timer);
    return values;
  };
}

const gcRows = (pauses) =>
  ['minor', 'incremental', 'major']
    .map((kind) => ({ kind, values: pauses.filter(([of]) => of === kind).map(([, ms]) => ms) }))
    .filter(({ values }) => values.length > 0)
    .map(({ kind, values }) => ({
      what: `garbage collection, ${kind}`,
      unit: 'ms',
      values,
      note: `${values.reduce((sum, ms) => sum + ms, 0).toFixed(0)} ms in all`,
    }));

const loopNote = ({ delay }) =>
  `event loop late by p50 ${delay[50].toFixed(1)}, p99 ${delay[99].toFixed(1)}, p99.9 ${delay['99.9'].toFixed(1)}, max ${delay[100].toFixed(0)} ms`;

async function measured(cluster, name, run) {
  await cluster.ask('take');
  if (options.profile) await cluster.ask('profile');
  const before = cpu(cluster.pid);
  const began = performance.now();
  // A run that fails is the one whose profile is wanted most.
  const profiled = () => options.profile && cluster.ask('profiled', join(options.profile, `${name}.cpuprofile`));
  const value = await run().catch(async (error) => {
    await profiled();
    throw error;
  });
  const wall = performance.now() - began;
  const threads = used(before, cpu(cluster.pid));
  await profiled();
  return { value, wall, threads, ...(await cluster.ask('take')) };
}

async function fill(cluster, pods) {
  const deployments = Math.ceil(pods / PER);
  const shape = { replicas: PER, namespaces: Math.min(100, Math.max(1, Math.ceil(deployments / 10))) };
  const make = await makeLoad(cluster.session, deployments, shape);
  const watching = connect(cluster.where);
  const readiness = new Readiness(watching);
  const probes = connect(cluster.where);
  for (const session of [watching, probes]) session.on('error', () => {});
  const progress = setInterval(() => report.say(`${readiness.ready} of ${pods} ready`), 5000);
  const run = await measured(cluster, `fill-${pods}`, async () => {
    const stop = probe(probes);
    const created = await make();
    await readiness.reached(deployments * PER, PATIENCE_MS).finally(() => clearInterval(progress));
    return { created, gets: stop() };
  });
  probes.destroy();
  const counted = await countRunning(cluster.session);
  const perPod = (1000 * Object.values(run.threads).reduce((sum, ms) => sum + ms, 0)) / counted.pods;
  const rate = (1000 * counted.running) / run.wall;
  const most = Math.max(...cluster.memory.map(([, { rss }]) => rss)) / MiB;
  await cluster.ask('collect');
  const held = (await cluster.ask('memory')).heapUsed / MiB;
  if (options.snapshot) await cluster.ask('snapshot', join(options.snapshot, `${pods}.heapsnapshot`));
  report.section(`${pods} pods of ${deployments} Deployments: ${counted.running} Running (counted by a list)`, [
    { what: 'until all are Ready', unit: 's', values: [run.wall / 1000] },
    { what: 'pods', unit: '1/s', values: [rate], note: rate >= 1000 ? 'met: 1000 owed' : 'MISSED: 1000 owed' },
    { what: 'processor, a pod', unit: 'µs', values: [perPod], note: threadNote(run.threads, counted.pods) },
    { what: 'most memory (RSS)', unit: 'MiB', values: [most], target: { text: '<= 4096', most: 4096 } },
    { what: 'heap held after collection', unit: 'MiB', values: [held] },
    { what: 'Deployment create', unit: 'ms', values: run.value.created },
    { what: 'get meanwhile', unit: 'ms', values: run.value.gets, note: loopNote(run) },
    ...gcRows(run.pauses),
  ]);
  watching.destroy();
  return {
    pods: counted.pods,
    seconds: run.wall / 1000,
    rate,
    cpuPerPod: perPod,
    rss: most,
    heap: held,
    shape,
    deployments,
  };
}

const threadNote = (threads, count) =>
  Object.entries(threads)
    .sort(([, a], [, b]) => b - a)
    .slice(0, 4)
    .map(([thread, ms]) => `${thread} ${Math.round((1000 * ms) / count)}`)
    .join(', ');

async function busy(cluster, filled) {
  if (SECONDS === 0) return;
  report.say(`${options.watchers} watchers begin`);
  const began = performance.now();
  const churn = await Churn.start(cluster, {
    ...filled,
    nodes: NODES,
    rate: Number(options.rate),
    watchers: Number(options.watchers),
    failures: Number(options.failures),
  });
  const start = (performance.now() - began) / 1000;
  report.say(`they have what there is after ${start.toFixed(1)} s; ${options.warm} s of churn to warm up`);
  await churn.failNodes();
  await churn.run(Number(options.warm));
  report.say(`${SECONDS} s of churn`);
  const run = await measured(cluster, `churn-${filled.pods}`, () => churn.run(SECONDS));
  await churn.stop();
  const { latencies, watch, counts, failed } = run.value;
  const owed = { text: '<= 150', most: 150, at: 'p99' };
  const total = Object.values(run.threads).reduce((sum, ms) => sum + ms, 0);
  report.section(`${SECONDS} s of churn at ${filled.pods} pods: ${counts}`, [
    { what: 'all watchers begin (before)', unit: 's', values: [start] },
    ...Object.entries(latencies).map(([what, values]) => ({
      what,
      unit: 'ms',
      values,
      ...(what.startsWith('list of all') ? {} : { target: owed }),
    })),
    { what: 'write sent to watch event received', unit: 'ms', values: watch, target: owed },
    { what: 'server processor, of one core', unit: '%', values: [(100 * total) / run.wall], note: loopNote(run) },
    { what: 'memory at the end (RSS)', unit: 'MiB', values: [run.memory.rss / MiB], note: heapNote(run.memory) },
    ...gcRows(run.pauses),
  ]);
  if (failed.length > 0) report.note(`${failed.length} requests were refused: ${failed.slice(0, 3).join('; ')}`);
}

const heapNote = ({ heapUsed, heapTotal, external }) =>
  `heap ${(heapUsed / MiB).toFixed(0)} of ${(heapTotal / MiB).toFixed(0)}, external ${(external / MiB).toFixed(0)}`;

async function main(room) {
  for (const directory of [options.profile, options.snapshot]) if (directory) mkdirSync(directory, { recursive: true });
  const results = [];
  for (const pods of SIZES) {
    report.say(`${NODES} nodes, ${pods} pods`);
    const cluster = await ScaleCluster.start(join(room.directory, `scale-${pods}`), {
      nodes: NODES,
      nodeArgs: ['--expose-gc', `--max-old-space-size=${options.heap}`, `--max-semi-space-size=${options.young}`],
      args: options['history-commits'] ? ['--history-commits', options['history-commits']] : [],
    });
    const { api, ready } = cluster.milestones;
    report.note(`${pods} pods: API answered after ${api} ms, ${NODES} nodes Ready ${ready - api} ms later.`);
    try {
      const filled = await fill(cluster, pods);
      results.push({ ...filled, load: loadavg()[0], ready: ready - api });
      await busy(cluster, filled);
      report.extra(`memory ${pods}`, cluster.memory);
    } catch (error) {
      report.note(`${pods} pods: ${error.message}`);
    } finally {
      await cluster.stop();
    }
  }
  report.extra('sizes', results);
  if (results.length > 1) {
    report.section(
      'How cost grows',
      results.flatMap(({ pods, cpuPerPod, heap, rate, load }) => [
        {
          what: `${pods}: processor, a pod`,
          unit: 'µs',
          values: [cpuPerPod],
          note: `${Math.round(rate)} pods/s, load ${load.toFixed(1)}`,
        },
        { what: `${pods}: heap, a pod`, unit: 'KiB', values: [(heap * 1024) / pods] },
      ]),
    );
    if (options.plot) writeFileSync(options.plot, plot(results));
  }
  report.finish(options.json);
}

await onStage(fileURLToPath(import.meta.url), 60 + SIZES.length * (Number(options.patience) + SECONDS + 120), main);
