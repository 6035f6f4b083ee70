#!/usr/bin/env node
/**
 * Pods are started and stopped while, at instants a seed chooses, the kubelet (the whole of `trimtab up`), the node core, pods'
 * processes and containers are killed with -9. In the end every pod must have come to the end it was made for, and nothing of
 * any pod may be left: process, cgroup, mount, interface, network namespace, file.
 *
 *     node test/chaos/pods.mjs [--pods 200] [--kills 60] [--seed N]
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Events, Pods } from '@trimtab/machinery';
import { assembleRedis, Cluster, REDIS, sleep } from '../../bench/lib/cluster.mjs';
import { onStage } from '../../bench/lib/stage.mjs';

const { values } = parseArgs({
  options: {
    pods: { type: 'string', default: '200' },
    kills: { type: 'string', default: '60' },
    seed: { type: 'string' },
  },
});
const PODS = Number(values.pods);
const KILLS = Number(values.kills);
const SEED = Number(values.seed ?? Date.now() % 1e9);
const AT_ONCE = 8;
/** Many times what a pod's life takes. */
const PATIENCE_MS = 240_000;

let state = SEED >>> 0;
function random() {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = Math.imul(state ^ (state >>> 15), state | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const pick = (list) => list[Math.floor(random() * list.length)];
const sh = (script) => ['/bin/sh', '-c', script];

/** What a pod does by itself, and the ends that are right when it was let alone and when it was not. */
const KINDS = {
  service: { restartPolicy: 'Always', script: "trap 'exit 0' TERM; sleep 100000 & wait", ends: ['Running'] },
  stubborn: { restartPolicy: 'Always', script: "trap '' TERM; sleep 100000 & wait", ends: ['Running'] },
  task: { restartPolicy: 'OnFailure', script: 'sleep 0.2', ends: ['Succeeded'] },
  once: { restartPolicy: 'Never', script: 'sleep 0.2', ends: ['Succeeded'], hurt: ['Succeeded', 'Failed'] },
  failing: { restartPolicy: 'Never', script: 'sleep 0.1; exit 3', ends: ['Failed'] },
  accompanied: {
    restartPolicy: 'OnFailure',
    script: 'sleep 0.3',
    ends: ['Succeeded'],
    spec: { initContainers: [{ name: 'side', restartPolicy: 'Always', command: sh('sleep 100000') }] },
  },
  probed: {
    restartPolicy: 'Always',
    script: 'touch /memory/up; sleep 100000',
    ends: ['Running'],
    container: {
      readinessProbe: { exec: { command: sh('test -e /memory/up') }, periodSeconds: 1 },
      livenessProbe: { exec: { command: sh('true') }, periodSeconds: 1 },
      lifecycle: { postStart: { exec: { command: sh('true') } }, preStop: { exec: { command: sh('sleep 0.1') } } },
    },
  },
  mapped: { restartPolicy: 'Always', script: 'sleep 100000', ends: ['Running'], spec: { hostUsers: false } },
  host: { restartPolicy: 'Always', script: 'sleep 100000', ends: ['Running'], spec: { hostNetwork: true } },
  sharing: {
    restartPolicy: 'Always',
    script: 'sleep 100000',
    ends: ['Running'],
    spec: { shareProcessNamespace: true },
    others: [{ name: 'other', command: sh('sleep 100000') }],
  },
};

function podOf(name, kind) {
  const { restartPolicy, script, spec = {}, container = {}, others = [] } = KINDS[kind];
  const from = { image: REDIS, imagePullPolicy: 'Never' };
  const volumeMounts = [{ name: 'memory', mountPath: '/memory' }];
  const initContainers = [
    ...(name.endsWith('0') ? [{ name: 'init', command: sh('true') }] : []),
    ...(spec.initContainers ?? []),
  ];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels: { kind } },
    spec: {
      ...spec,
      restartPolicy,
      terminationGracePeriodSeconds: 1,
      containers: [{ name: 'main', ...from, command: sh(script), ...container, volumeMounts }].concat(
        others.map((other) => ({ ...from, ...other })),
      ),
      volumes: [{ name: 'memory', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } }],
      ...(initContainers.length > 0 ? { initContainers: initContainers.map((c) => ({ ...from, ...c })) } : {}),
    },
  };
}

class Chaos {
  kills = { kubelet: 0, core: 0, pod: 0, container: 0 };
  /** UIDs of pods of which something was killed. */
  hurt = new Set();
  /** Of every pod there ever was. */
  uids = new Map();
  done = false;

  constructor(directory) {
    this.directory = directory;
  }

  async up() {
    this.cluster = new Cluster(this.directory);
    await this.cluster.told('ready');
    this.client = await this.cluster.client();
    this.runtime = await this.cluster.runtime();
  }

  /** Until it works: for calls that a kill may have cut off. */
  async keep(what, call) {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      try {
        return await call(this.client);
      } catch (error) {
        if (error?.status?.code === 404 || error?.status?.code === 409) return undefined;
        if (Date.now() > deadline) throw new Error(`${what}: ${error}`);
        await sleep(50);
      }
    }
  }

  async until(name, what, good) {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const pod = await this.keep(`get ${name}`, (client) => client.get(Pods, { namespace: 'default', name }));
      if (good(pod)) return pod;
      if (Date.now() > deadline) throw new Error(`${name} is not ${what}: ${JSON.stringify(pod?.status)}`);
      await sleep(50);
    }
  }

  async kill() {
    const sort = pick(['kubelet', 'pod', 'pod', 'container', 'container', 'core']);
    if (sort === 'kubelet') {
      this.kills.kubelet++;
      this.runtime.close();
      this.cluster.child.kill('SIGKILL');
      await this.cluster.ended;
      await this.up();
      return;
    }
    const sandboxes = await this.runtime.list().catch(() => []);
    if (sort === 'core') {
      const { pid } = await this.runtime.core.request('core.info').catch(() => ({}));
      if (this.strike(pid)) this.kills.core++;
      return;
    }
    const sandbox = pick(sandboxes.filter((s) => s.state === 'ready'));
    if (!sandbox) return;
    const running = sandbox.containers.filter((c) => c.state === 'running');
    const pid = sort === 'pod' ? sandbox.pid : pick(running)?.pid;
    // Known before it can have an effect, and by the UID, which the pod has from its first moment on.
    this.hurt.add(sandbox.id);
    if (this.strike(pid)) this.kills[sort]++;
  }

  strike(pid) {
    if (!pid) return false;
    try {
      process.kill(pid, 'SIGKILL');
      return true;
    } catch {
      return false;
    }
  }

  /** One pod's life: made, come to what it is for, and taken away. */
  async live(name, kind) {
    const create = async (client) => client.create(Pods, podOf(name, kind));
    await this.keep(`create ${name}`, create);
    const created = await this.until(name, 'there', (pod) => pod !== undefined);
    this.uids.set(name, created.metadata.uid);
    const { ends, hurt } = KINDS[kind];
    const right = () => (this.hurt.has(created.metadata.uid) ? (hurt ?? ends) : ends);
    const settled = (pod) =>
      ['Running', 'Succeeded', 'Failed'].includes(pod?.status?.phase) &&
      (ends[0] === 'Running'
        ? pod.status.containerStatuses?.every(({ ready }) => ready) === true
        : pod.status.phase !== 'Running');
    const pod = await this.until(name, `at its end (${kind})`, settled);
    if (!right().includes(pod.status.phase))
      throw new Error(`${name} (${kind}) ended ${pod.status.phase}: ${JSON.stringify(pod.status)}`);
    await sleep(random() * 300);
    await this.keep(`delete ${name}`, (client) => client.delete(Pods, { namespace: 'default', name }));
    await this.until(name, 'gone', (gone) => gone?.metadata.uid !== created.metadata.uid);
  }

  /** Everything on this machine that still belongs to one of the pods. */
  async leftOvers() {
    const uids = [...this.uids.values()];
    const ours = (text) => uids.some((uid) => text.includes(uid));
    const left = [];
    // The last to be killed may have been the core, which is started again a moment later.
    const sandboxes = await this.keep('list what runs', () => this.runtime.list());
    for (const { id } of sandboxes) left.push(`sandbox ${id}`);
    for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
      try {
        if (ours(readFileSync(`/proc/${pid}/cgroup`, 'utf8')))
          left.push(`process ${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')}`);
      } catch {
        // It has ended.
      }
    }
    for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n'))
      if (ours(line)) left.push(`mount ${line}`);
    const groups = (dir, depth) => {
      for (const entry of existsSync(dir) ? readdirSync(dir, { withFileTypes: true }) : []) {
        if (!entry.isDirectory()) continue;
        if (ours(entry.name)) left.push(`cgroup ${join(dir, entry.name)}`);
        else if (depth > 0) groups(join(dir, entry.name), depth - 1);
      }
    };
    for (const controller of readdirSync('/sys/fs/cgroup')) groups(join('/sys/fs/cgroup', controller, 'kubepods'), 2);
    const { links = [] } = await this.runtime.core.request('net.list', {}).catch(() => ({}));
    const veths = readdirSync('/sys/class/net').length
      ? readFileSync('/proc/net/dev', 'utf8').split('\n').slice(2)
      : [];
    for (const line of veths)
      if (/^\s*(veth|tt|cali|pod)[0-9a-f]{4,}/.test(line)) left.push(`interface ${line.trim().split(':')[0]}`);
    for (const link of links) if (ours(JSON.stringify(link))) left.push(`interface ${JSON.stringify(link)}`);
    for (const dir of [join(this.directory, 'pods', 'pods'), join(this.directory, 'run', 'pods')])
      for (const entry of existsSync(dir) ? readdirSync(dir) : [])
        if (ours(entry)) left.push(`file ${join(dir, entry)}`);
    return left;
  }
}

await onStage(fileURLToPath(import.meta.url), 120 + PODS * 15, async (room) => {
  console.log(`seed ${SEED}; again: node test/chaos/pods.mjs --pods ${PODS} --kills ${KILLS} --seed ${SEED}`);
  const chaos = new Chaos(join(room.directory, 'cluster'));
  assembleRedis(chaos.directory);
  await chaos.up();
  const problems = [];
  let next = 0;
  const worker = async () => {
    while (next < PODS) {
      const number = next++;
      const kind = pick(Object.keys(KINDS));
      await chaos.live(`p${number}`, kind).catch((error) => problems.push(error.message));
    }
  };
  const killer = async () => {
    for (let n = 0; n < KILLS && !chaos.done; n++) {
      await sleep(100 + random() * 900);
      await chaos.kill().catch((error) => problems.push(`kill: ${error.stack}`));
    }
  };
  const killing = killer();
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  chaos.done = true;
  await killing;
  let left = await chaos.leftOvers();
  // What the kernel takes away in its own time may be a moment behind.
  for (let i = 0; i < 300 && left.length > 0; i++) {
    await sleep(200);
    left = await chaos.leftOvers();
  }
  const events = await chaos.client.list(Events, { namespace: 'default' });
  const changed = events.items.filter(({ reason }) => reason === 'SandboxChanged').length;
  const { kubelet, core, pod, container } = chaos.kills;
  console.log(
    `${PODS} pods; killed: ${kubelet} kubelets, ${core} cores, ${pod} pod processes, ${container} containers; ${changed} pods made anew`,
  );
  for (const line of [...problems, ...left.map((what) => `left over: ${what}`)]) console.log(line);
  chaos.runtime.close();
  const code = await chaos.cluster.stop();
  if (problems.length + left.length > 0 || code !== 0) process.exit(1);
  console.log('nothing leaked, and every pod ended as it should');
});
