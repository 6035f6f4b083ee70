/**
 * How long `trimtab up` takes from being asked for until its parts answer, and what the idle cluster uses.
 *
 *   node bench/start.mjs [--runs 7] [--idle-seconds 60] [--idle-pods 10] [--node-arg FLAG]… [--json FILE]
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Nodes, Pods } from '@trimtab/machinery';
import { assembleRedis, Cluster, sleep } from './lib/cluster.mjs';
import { plainPod } from './lib/pods.mjs';
import { dnsAnswers, httpsAnswers } from './lib/probes.mjs';
import { cpu, family, isCore, memory, used } from './lib/processes.mjs';
import { Report } from './lib/report.mjs';
import { onStage, trimtab } from './lib/stage.mjs';
import { Watched } from './lib/watches.mjs';

const { values: options } = parseArgs({
  options: {
    runs: { type: 'string', default: '7' },
    'idle-seconds': { type: 'string', default: '60' },
    'idle-pods': { type: 'string', default: '10' },
    'node-arg': { type: 'string', multiple: true, default: [] },
    json: { type: 'string' },
  },
});
const RUNS = Number(options.runs);
const IDLE_SECONDS = Number(options['idle-seconds']);
const IDLE_PODS = Number(options['idle-pods']);
const PORT = 16443;
/** A cluster is left alone this long before it counts as idle. */
const SETTLE_MS = 5_000;

const report = new Report('start', 'trimtab up: from the command to a cluster that answers, and the cluster at rest');

/** Milliseconds from `spawn` to each milestone, as clients outside the process see them. */
async function start(dataDir) {
  const cluster = new Cluster(dataDir, { port: PORT, nodeArgs: options['node-arg'] });
  const api = httpsAnswers(PORT, '/version').then(() => cluster.age());
  const dns = dnsAnswers('10.96.0.10', 'kubernetes.default.svc.cluster.local', '10.96.0.1').then(() => cluster.age());
  const ready = cluster.told('ready');
  await cluster.told('api');
  const client = await cluster.client();
  const nodes = new Watched(client, Nodes, { sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' });
  const isReady = ({ object }) => object.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True');
  const node = nodes.first(isReady).then(() => cluster.age());
  const said = Object.fromEntries(['api', 'controllers', 'node'].map((event) => [event, cluster.told(event)]));
  const milestones = {
    api: await api,
    node: await node,
    dns: await dns,
    ready: (await ready).seen,
    saidApi: (await said.api).ms,
    saidControllers: (await said.controllers).ms,
    saidNode: (await said.node).ms,
  };
  nodes.close();
  return {
    cluster,
    client,
    milestones: { ...milestones, all: Math.max(milestones.api, milestones.node, milestones.dns) },
  };
}

async function stop({ cluster, client }) {
  client.close();
  const began = performance.now();
  const code = await cluster.stop();
  if (code !== 0) report.note(`trimtab up ended with ${code} when asked to stop: ${cluster.stderr.slice(-500)}`);
  return performance.now() - began;
}

function starts(title, runs, owed) {
  const pick = (name) => runs.map((run) => run[name]);
  const rows = [
    {
      what: 'HTTPS GET /version answered',
      values: pick('api'),
      ...(owed && { target: { text: '<= 300', most: 300 } }),
    },
    { what: 'node Ready, seen by a watch', values: pick('node') },
    { what: 'DNS gives kubernetes.default', values: pick('dns') },
    { what: 'all three', values: pick('all'), ...(owed && { target: { text: '<= 1000', most: 1000 } }) },
    { what: 'ready line printed', values: pick('ready') },
    { what: '  in process: API', values: pick('saidApi') },
    { what: '  in process: controllers', values: pick('saidControllers') },
    { what: '  in process: node', values: pick('saidNode') },
    { what: 'Ctrl-C to the end of the process', values: pick('stop') },
  ];
  report.section(
    title,
    rows.map((row) => ({ ...row, unit: 'ms' })),
  );
}

/** What a process that does nothing of ours costs here, to be read beside the rest. */
function floors() {
  const time = (args) => {
    const began = performance.now();
    spawnSync(process.execPath, args);
    return performance.now() - began;
  };
  const many = (args) => Array.from({ length: 5 }, () => time(args));
  report.section('Floors', [
    { what: 'node -e 0', unit: 'ms', values: many(['-e', '0']) },
    { what: 'trimtab --version', unit: 'ms', values: many([trimtab, '--version']) },
  ]);
}

/** Reads what every process of the cluster uses over a while. */
async function rest(cluster, seconds) {
  const runtime = await cluster.runtime();
  const core = (await runtime.core.request('core.info')).pid;
  const pods = (await runtime.list()).map(({ pid }) => pid);
  // Gone again before the measurement: a second client of the core is not part of a cluster at rest.
  runtime.close();
  await sleep(SETTLE_MS);
  const supervisors = pods.flatMap((pid) => family(pid).filter(isCore));
  const apps = pods.flatMap((pid) => family(pid).filter((member) => !isCore(member)));
  const groups = { trimtab: [cluster.pid], core: [core], supervisors, apps };
  const before = new Map(
    Object.values(groups)
      .flat()
      .map((pid) => [pid, cpu(pid)]),
  );
  const began = performance.now();
  await sleep(seconds * 1000);
  const elapsed = performance.now() - began;
  const result = {};
  for (const [name, pids] of Object.entries(groups)) {
    const memories = pids.map(memory);
    const sum = (field) => memories.reduce((total, m) => total + m[field], 0);
    const threads = {};
    for (const pid of pids)
      for (const [thread, ms] of Object.entries(used(before.get(pid), cpu(pid))))
        threads[thread] = (threads[thread] ?? 0) + ms;
    const ms = Object.values(threads).reduce((total, value) => total + value, 0);
    result[name] = {
      processes: pids.length,
      pss: sum('pss'),
      rss: sum('rss'),
      anonymous: sum('anonymous'),
      cpuPercent: (100 * ms) / elapsed,
      threads,
    };
  }
  return result;
}

function resting(title, idle, owed) {
  const ours = ['trimtab', 'core', 'supervisors'];
  const total = (field, names = ours) => [names.reduce((sum, name) => sum + idle[name][field], 0)];
  const rows = [
    {
      what: 'memory (PSS): trimtab + core + pod processes',
      unit: 'MB',
      values: total('pss'),
      ...(owed && { target: { text: '<= 120', most: 120 } }),
    },
    {
      what: '  trimtab',
      unit: 'MB',
      values: [idle.trimtab.pss],
      note: `RSS ${idle.trimtab.rss.toFixed(0)}, anonymous ${idle.trimtab.anonymous.toFixed(0)}`,
    },
    { what: '  node core', unit: 'MB', values: [idle.core.pss] },
  ];
  if (idle.supervisors.processes > 0) {
    const each = (1024 * idle.supervisors.pss) / idle.supervisors.processes;
    rows.push(
      { what: `  pod processes (${idle.supervisors.processes})`, unit: 'MB', values: [idle.supervisors.pss] },
      { what: '  one pod process', unit: 'kB', values: [each], target: { text: '<= 100', most: 100 } },
      { what: 'the pods themselves', unit: 'MB', values: [idle.apps.pss] },
    );
  }
  const busiest = Object.entries(idle.trimtab.threads)
    .sort(([, a], [, b]) => b - a)
    .slice(0, 3)
    .map(([name, ms]) => `${name} ${ms.toFixed(0)} ms`);
  rows.push({
    what: 'processor, of one core',
    unit: '%',
    values: total('cpuPercent'),
    ...(owed && { target: { text: '<= 0.5', most: 0.5 } }),
    note: busiest.join(', '),
  });
  report.section(title, rows);
}

async function main(room) {
  floors();
  const cold = [];
  const again = [];
  for (let run = 0; run < RUNS; run++) {
    report.say(`start ${run + 1} of ${RUNS}`);
    const dataDir = join(room.directory, `start-${run}`);
    for (const list of [cold, again]) {
      const started = await start(dataDir);
      list.push({ ...started.milestones, stop: await stop(started) });
    }
  }
  starts(`First start: empty data directory (files in the page cache)`, cold, true);
  starts('Second start: the same data directory', again, true);
  report.extra('runs', { cold, again });

  const dataDir = join(room.directory, 'idle');
  assembleRedis(dataDir);
  const running = await start(dataDir);
  report.say(`idle for ${IDLE_SECONDS} s`);
  const idle = await rest(running.cluster, IDLE_SECONDS);
  resting(`At rest for ${IDLE_SECONDS} s, no pods`, idle, true);
  report.extra('idle', idle);
  if (IDLE_PODS > 0) {
    const pods = new Watched(running.client, Pods, { namespace: 'default' });
    for (let i = 0; i < IDLE_PODS; i++) await running.client.create(Pods, plainPod(`idle-${i}`));
    for (let i = 0; i < IDLE_PODS; i++)
      await pods.first(({ object }) => object.metadata.name === `idle-${i}` && object.status?.phase === 'Running');
    pods.close();
    const seconds = Math.max(5, Math.round(IDLE_SECONDS / 3));
    report.say(`idle with ${IDLE_PODS} pods for ${seconds} s`);
    const busy = await rest(running.cluster, seconds);
    resting(`At rest for ${seconds} s, ${IDLE_PODS} pods of one sleeping shell`, busy, false);
    report.extra('idleWithPods', busy);
  }
  await stop(running);
  report.note(
    'Times are from spawn() of the command; PSS shares the pages of the node binary with every other Node running, RSS does not.',
  );
  report.finish(options.json);
}

await onStage(fileURLToPath(import.meta.url), 120 + 15 * RUNS + 2 * IDLE_SECONDS, main);
