/**
 * One node with many pods: how fast 200 come up, what the node's process costs meanwhile (how late its event loop comes, memory),
 * how soon a crashed container runs again among them, how long `kubectl top` and the stats summary take, and how soon all pods are
 * adopted and a container crashed meanwhile runs again when `trimtab` itself is killed and started again.
 *
 *   node bench/node.mjs [--pods 200] [--crashes 20] [--json FILE]
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Pods } from '@trimtab/machinery';
import { assembleRedis, Cluster, sleep } from './lib/cluster.mjs';
import { plainPod } from './lib/pods.mjs';
import { family, memory } from './lib/processes.mjs';
import { Report } from './lib/report.mjs';
import { onStage, root } from './lib/stage.mjs';
import { Watched } from './lib/watches.mjs';

const { values: options } = parseArgs({
  options: {
    pods: { type: 'string', default: '200' },
    crashes: { type: 'string', default: '20' },
    json: { type: 'string' },
  },
});
const PODS = Number(options.pods);
const CRASHES = Number(options.crashes);

const report = new Report(
  'node',
  `${PODS} pods on one node: rate, event loop, crash to restarted, adoption, measuring`,
);

const containerOf = ({ status }) => status?.containerStatuses?.[0];
const isRunning = ({ status }) => status?.phase === 'Running' && containerOf({ status })?.state?.running;
const name = (i) => `pod-${i}`;

/** How late the event loop of the measured process came since this was asked last. */
async function loopDelay(pid, file) {
  rmSync(file, { force: true });
  process.kill(pid, 'SIGUSR2');
  while (!existsSync(file) || readFileSync(file, 'utf8') === '') await sleep(1);
  return JSON.parse(readFileSync(file, 'utf8'));
}

const loopRows = (what, { p50, p99, max }) => [
  { what: `event loop late, p50, ${what}`, unit: 'ms', values: [p50] },
  { what: `  p99`, unit: 'ms', values: [p99] },
  { what: `  max`, unit: 'ms', values: [max] },
];

async function up(directory, delayFile) {
  process.env.LOOP_DELAY_FILE = delayFile;
  const cluster = new Cluster(directory, {
    args: ['--pod-cidr', '10.240.0.0/16'],
    nodeArgs: ['--import', join(root, 'bench', 'lib', 'loop-delay.mjs')],
  });
  await cluster.told('ready');
  return cluster;
}

async function pids(cluster, names) {
  const runtime = await cluster.runtime();
  const sandboxes = await runtime.list();
  runtime.close();
  return new Map(
    sandboxes.flatMap((sandbox) => {
      const found = names.get(sandbox.id);
      const running = sandbox.containers.find(({ state }) => state === 'running');
      return found && running ? [[found, running.pid]] : [];
    }),
  );
}

await onStage(fileURLToPath(import.meta.url), 300, async ({ directory }) => {
  const data = join(directory, 'data');
  const delayFile = join(directory, 'loop.json');
  mkdirSync(data);
  assembleRedis(data);
  let cluster = await up(data, delayFile);
  let client = await cluster.client();
  let watched = new Watched(client, Pods, { namespace: 'default' });
  await loopDelay(cluster.pid, delayFile);
  const idle = memory(cluster.pid);

  report.say(`${PODS} pods at once`);
  const began = performance.now();
  const starts = await Promise.all(
    Array.from({ length: PODS }, async (_, i) => {
      const asked = performance.now();
      await client.create(Pods, plainPod(name(i)));
      const seen = await watched.first(({ object }) => object.metadata.name === name(i) && isRunning(object), 120_000);
      return seen.at - asked;
    }),
  );
  const elapsed = performance.now() - began;
  const meanwhile = await loopDelay(cluster.pid, delayFile);
  const full = memory(cluster.pid);
  const supervisors = family(cluster.pid).length;
  report.section(`${PODS} pods created at once`, [
    { what: 'created to Running seen', unit: 'ms', values: starts },
    { what: 'rate', unit: 'pods/s', values: [(1_000 * PODS) / elapsed] },
    ...loopRows('meanwhile', meanwhile),
    { what: 'memory of trimtab, PSS, before', unit: 'MB', values: [idle.pss] },
    { what: '  after', unit: 'MB', values: [full.pss], note: `${supervisors} processes below it` },
  ]);

  report.say(`${CRASHES} crashes`);
  const names = new Map(watched.events.map(({ object }) => [object.metadata.uid, object.metadata.name]));
  const running = await pids(cluster, names);
  const restarted = [];
  for (let i = 0; i < CRASHES; i++) {
    const asked = performance.now();
    process.kill(running.get(name(i)), 'SIGKILL');
    const again = await watched.first(
      ({ object }) =>
        object.metadata.name === name(i) &&
        containerOf(object)?.restartCount === 1 &&
        containerOf(object).state?.running,
    );
    restarted.push(again.at - asked);
    await sleep(30);
  }
  report.section(`A container killed among ${PODS} pods`, [
    { what: 'killed to running again, seen', unit: 'ms', values: restarted, target: { text: 'p50 <= 200', most: 200 } },
    ...loopRows('meanwhile', await loopDelay(cluster.pid, delayFile)),
  ]);

  report.say('measuring');
  const timed = async (path) => {
    const asked = performance.now();
    const { length } = await client.raw(path);
    return { ms: performance.now() - asked, length };
  };
  const top = [];
  const summary = [];
  for (let i = 0; i < 5; i++) {
    top.push((await timed('/apis/metrics.k8s.io/v1beta1/namespaces/default/pods')).ms);
    summary.push((await timed('/api/v1/nodes/node-a/proxy/stats/summary?only_cpu_and_memory=true')).ms);
  }
  report.section(`What ${PODS} pods use`, [
    {
      what: 'metrics.k8s.io, all pods, first',
      unit: 'ms',
      values: top.slice(0, 1),
      note: 'half a second of it waits for a second look',
    },
    { what: '  again', unit: 'ms', values: top.slice(1) },
    { what: 'stats summary, processor and memory', unit: 'ms', values: summary },
    ...loopRows('meanwhile', await loopDelay(cluster.pid, delayFile)),
  ]);

  report.say('trimtab killed and started again');
  watched.close();
  client.close();
  const victim = name(PODS - 1);
  const killed = performance.now();
  cluster.child.kill('SIGKILL');
  await cluster.ended.catch(() => {});
  process.kill(running.get(victim), 'SIGKILL');
  cluster = await up(data, delayFile);
  const ready = performance.now() - killed;
  client = await cluster.client();
  watched = new Watched(client, Pods, { namespace: 'default' });
  const again = await watched.first(
    ({ object }) =>
      object.metadata.name === victim && containerOf(object)?.restartCount === 1 && containerOf(object).state?.running,
  );
  const adopted = await pids(cluster, names);
  const kept = [...running].filter(([pod, pid]) => adopted.get(pod) === pid).length;
  report.section(`trimtab killed -9 with ${PODS} pods, and started again`, [
    { what: 'killed to ready again', unit: 'ms', values: [ready] },
    { what: '  to the container that crashed meanwhile running, seen', unit: 'ms', values: [again.at - killed] },
    {
      what: 'containers that went on as the same process',
      unit: '',
      values: [kept],
      note: `of ${PODS}, ${CRASHES + 1} of which were killed here`,
    },
    ...loopRows('since its start', await loopDelay(cluster.pid, delayFile)),
  ]);
  watched.close();
  client.close();
  await cluster.stop();
  report.finish(options.json);
});
