import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Child } from './child.mjs';
import { nameOf } from './scale-load.mjs';
import { ask, atRate, connect } from './wire.mjs';

const MERGE = 'application/merge-patch+json';
const STRATEGIC = 'application/strategic-merge-patch+json';
/** Sixty in ten minutes, of a hundred pods each: a pod in ten is replaced in what stands for an hour. */
const ROLLOUT_EVERY_MS = 10_000;
const FULL_LIST_EVERY_MS = 15_000;
const READS_PER_SECOND = 50;
const RESOLUTION_MS = 5;

/** What happens in a cluster all day long: watchers that stay, and as many requests a second as one is asked to make. */
export class Churn {
  #options;
  #cluster;
  #sessions = [];
  /** Who lists everything is another client: nobody's request waits behind those megabytes on one connection. */
  #lister;
  #pods = [];
  #watchers;
  #latencies = {};
  #failed = [];
  #writes = 0;
  #reads = 0;
  #rollouts = 0;

  constructor(cluster, options) {
    this.#cluster = cluster;
    this.#options = options;
  }

  /** Resolves when every watcher has what there is, which costs more than what follows and is no part of it. */
  static async start(cluster, options) {
    const { deployments, shape, nodes, watchers } = options;
    const churn = new Churn(cluster, options);
    churn.#sessions = Array.from({ length: 4 }, () => connect(cluster.where));
    churn.#lister = connect(cluster.where);
    for (const session of [...churn.#sessions, churn.#lister]) session.on('error', () => {});
    churn.#pods = await somePods(cluster.session, deployments, shape);
    churn.#watchers = await Child.start('scale-watchers.mjs', [
      JSON.stringify({ where: cluster.where, paths: watchPaths(watchers, nodes, shape), connections: 10 }),
    ]);
    await churn.#quiet();
    return churn;
  }

  /** Until the event loop is on time again: what was begun before is over. */
  async #quiet() {
    for (let i = 0; i < 20; i++) {
      await this.#cluster.ask('take');
      await new Promise((resolve) => setTimeout(resolve, 500));
      const { delay } = await this.#cluster.ask('take');
      if (delay[99] < 30) return;
    }
  }

  /** Keeps it up for so many seconds; gives the latencies of each kind of request, and of events to watchers. */
  async run(seconds) {
    const { rate, watchers, failures } = this.#options;
    this.#latencies = {};
    this.#failed = [];
    await this.#watchers.ask('take');
    const late = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    late.enable();
    const before = this.#rollouts;
    const timers = [
      setInterval(() => this.#roll(), ROLLOUT_EVERY_MS),
      setInterval(() => this.#send('list of all pods', { path: '/api/v1/pods' }, this.#lister), FULL_LIST_EVERY_MS),
    ];
    await Promise.all([
      atRate(rate, seconds, () => this.#write()),
      atRate(READS_PER_SECOND, seconds, () => this.#read()),
    ]);
    for (const timer of timers) clearInterval(timer);
    late.disable();
    const lateBy = (p) => `${Math.max(0, late.percentile(p) / 1e6 - RESOLUTION_MS).toFixed(0)} ms`;
    const watch = await this.#watchers.ask('take');
    const rolled = this.#rollouts - before;
    const counts = `${rate} writes/s, ${READS_PER_SECOND} reads/s, ${watchers} watchers, ${rolled} rolling updates, ${failures} nodes failed; the client itself late by p99 ${lateBy(99)}, max ${lateBy(100)}`;
    return { latencies: this.#latencies, watch, counts, failed: this.#failed };
  }

  async failNodes() {
    const body = JSON.stringify({ metadata: { annotations: { 'simulated.trimtab.dev/heartbeats': 'false' } } });
    for (let i = 0; i < this.#options.failures; i++)
      await this.#send('patch node', { method: 'PATCH', type: MERGE, path: `/api/v1/nodes/simulated-${i}`, body });
  }

  async stop() {
    await this.#watchers.stop();
    for (const session of [...this.#sessions, this.#lister]) session.destroy();
  }

  async #send(what, request, session = this.#sessions[Math.floor(Math.random() * this.#sessions.length)]) {
    try {
      const { ms } = await ask(session, request);
      this.#latencies[what] ??= [];
      this.#latencies[what].push(ms);
    } catch (error) {
      this.#failed.push(error.message.slice(0, 200));
    }
  }

  #roll() {
    const { deployments, shape } = this.#options;
    const { namespace, name } = nameOf(this.#rollouts % deployments, shape);
    const image = `registry.example.com/team/${name}:v${2 + Math.floor(this.#rollouts++ / deployments)}`;
    const body = JSON.stringify({ spec: { template: { spec: { containers: [{ name: 'server', image }] } } } });
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments/${name}`;
    return this.#send('patch deployment', { method: 'PATCH', type: STRATEGIC, path, body });
  }

  #write() {
    const i = this.#writes++;
    return this.#send(...write(i, this.#pick(i)));
  }

  #read() {
    const { deployments, shape } = this.#options;
    const i = this.#reads++;
    return this.#send(...read(i, this.#pick(i), deployments, shape));
  }

  #pick(i) {
    return this.#pods[(i * 7919) % this.#pods.length];
  }
}

/** Of every ten writes six are patches of pods, the rest makes, replaces and deletes ConfigMaps. */
function write(i, { namespace, name }) {
  const pod = `/api/v1/namespaces/${namespace}/pods/${name}`;
  const sent = `{"metadata":{"annotations":{"sent-at":"${process.hrtime.bigint()}"}}`;
  const turn = i % 10;
  if (turn < 4) return ['patch pod', { method: 'PATCH', type: MERGE, path: pod, body: `${sent}}` }];
  if (turn < 6) {
    const condition = `{"type":"example.com/checked","status":"True","message":"turn ${i}"}`;
    const body = `{"status":{"conditions":[${condition}]}}`;
    return ['patch pod status', { method: 'PATCH', type: STRATEGIC, path: `${pod}/status`, body }];
  }
  const maps = `/api/v1/namespaces/load-000/configmaps`;
  const map = (n) => `churn-${n}`;
  const object = (n) =>
    JSON.stringify({ metadata: { name: map(n) }, data: { turn: String(i), text: 'x'.repeat(500) } });
  const round = Math.floor(i / 10);
  if (turn < 8) return ['create configmap', { method: 'POST', path: maps, body: object(`${round}-${turn}`) }];
  // Of the round before the last: what this one has made may still be on its way.
  if (round < 20) return ['create configmap', { method: 'POST', path: maps, body: object(`${round}-${turn}`) }];
  const old = map(`${round - 20}-${turn === 8 ? 6 : 7}`);
  if (turn === 8)
    return ['update configmap', { method: 'PUT', path: `${maps}/${old}`, body: object(`${round - 20}-6`) }];
  return ['delete configmap', { method: 'DELETE', path: `${maps}/${old}` }];
}

function read(i, { namespace, name }, deployments, shape) {
  if (i % 25 === 0) return ['list a page of 500 pods', { path: '/api/v1/pods?limit=500' }];
  if (i % 5 === 0) {
    const of = nameOf(i % deployments, shape);
    const selector = encodeURIComponent(`app=${of.name}`);
    return ['list pods of an app', { path: `/api/v1/namespaces/${of.namespace}/pods?labelSelector=${selector}` }];
  }
  return ['get pod', { path: `/api/v1/namespaces/${namespace}/pods/${name}` }];
}

function watchPaths(watchers, nodes, shape) {
  return Array.from({ length: watchers }, (_, i) => {
    if (i % 100 === 0) return '/api/v1/pods?watch=true';
    if (i % 10 === 0) return `/api/v1/namespaces/${nameOf(i / 10, shape).namespace}/pods?watch=true`;
    return `/api/v1/pods?watch=true&fieldSelector=spec.nodeName%3Dsimulated-${i % nodes}`;
  }).map((path) => `${path}&resourceVersion=`);
}

/** Pods that the rolling updates come to last. */
async function somePods(session, deployments, shape) {
  const found = [];
  for (let i = deployments - 1; i >= Math.max(0, deployments - 10); i--) {
    const { namespace, name } = nameOf(i, shape);
    const selector = encodeURIComponent(`app=${name}`);
    const path = `/api/v1/namespaces/${namespace}/pods?labelSelector=${selector}`;
    const { bytes } = await ask(session, { path, keep: true });
    for (const { metadata } of JSON.parse(bytes).items) found.push({ namespace, name: metadata.name });
  }
  return found;
}
