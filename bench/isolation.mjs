/**
 * How long the native core takes to start one k8s-like container in a new sandbox with a network namespace, as a command line
 * beside `crun run` and `runc run` of the same bundle, and over its socket as the kubelet asks it.
 *
 * Then the memory of many pods: what the pod process of each, which is its network container, weighs with one container running.
 *
 *   node bench/isolation.mjs [--rounds 60] [--pods 50] [--pause MS] [--json FILE]
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { nativeRuntime } from '@trimtab/kubelet-lite';
import { silentLogger, systemClock } from '@trimtab/machinery';
import { configuration, hasSeccomp, makeRootfs, writeBundle } from './lib/bundle.mjs';
import { coreBinary, sleep } from './lib/cluster.mjs';
import { PrivateView } from './lib/private-view.mjs';
import { Report } from './lib/report.mjs';
import { mounts, onStage } from './lib/stage.mjs';
import { median } from './lib/stats.mjs';
import { Stopwatch } from './lib/stopwatch.mjs';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '60' },
    pods: { type: 'string', default: '50' },
    pause: { type: 'string', default: '0' },
    json: { type: 'string' },
  },
});
const ROUNDS = Number(options.rounds);
const PAUSE_MS = Number(options.pause);
const PODS = Number(options.pods);

const report = new Report('isolation', 'One k8s-like container in a new sandbox with network namespace');

/** What runs a bundle from its command line to its end, by name. Those not installed are left out and named. */
function runtimes(directory) {
  const ours = { name: 'trimtab-core', program: coreBinary, root: join(directory, 'state-trimtab') };
  const peers = ['crun', 'runc'].flatMap((name) => {
    const { status, stdout } = spawnSync(name, ['--version'], { encoding: 'utf8' });
    if (status !== 0) {
      report.note(`Not compared with ${name}: it is not installed (apt-get install --no-install-recommends ${name})`);
      return [];
    }
    report.note(stdout.split('\n')[0]);
    return [{ name, program: name, root: join(directory, `state-${name}`) }];
  });
  return [ours, ...peers];
}

/** Times `run` of a bundle; undefined once a runtime has failed. */
function commandLine({ name, program, root }, { room, rootfs, watch, errors }) {
  const bundle = writeBundle(
    room.directory,
    `bundle-${name}`,
    configuration(['/bin/true'], `/${room.name}/${name}`, rootfs),
  );
  let failed = false;
  return async (round) => {
    if (failed) return undefined;
    const { ms, code } = await watch.time(`${program} --root ${root} run --bundle ${bundle} r${round}`);
    if (code === 0) return { [name]: ms };
    failed = true;
    report.note(`${name} run ended with ${code} and is left out: ${readFileSync(errors, 'utf8').trim().slice(0, 300)}`);
    return undefined;
  };
}

/** Times exec into a container that runs. */
async function commandLineExec({ name, program, root }, { room, rootfs, watch }) {
  const config = configuration(['/bin/sleep', '100000'], `/${room.name}/exec-${name}`, rootfs);
  const bundle = writeBundle(room.directory, `exec-${name}`, config);
  const run = `${program} --root ${root}`;
  const { code } = await watch.time(`${run} create --bundle ${bundle} e && ${run} start e`);
  if (code !== 0) return undefined;
  const time = async () => ({ [name]: (await watch.time(`${run} exec e /bin/true`)).ms });
  return { time, end: () => watch.time(`${run} delete --force e`) };
}

/** System calls of one `run`, of the runtime and the container together; undefined where strace is not installed. */
async function countCalls({ name, program, root }, { room, watch }) {
  if (spawnSync('strace', ['--version']).status !== 0) return undefined;
  const counts = join(room.directory, `calls-${name}`);
  const bundle = join(room.directory, `bundle-${name}`);
  const traced = `strace -f -qq -c -U calls,name -o ${counts} ${program} --root ${root} run --bundle ${bundle} traced`;
  const { code } = await watch.time(traced);
  const total = /^\s*(\d+) total$/m.exec(code === 0 ? readFileSync(counts, 'utf8') : '')?.[1];
  return total === undefined ? undefined : { name, calls: Number(total) };
}

/** Everyone takes a turn in every round, so that what else the machine does falls on all alike. The first rounds are for caches. */
async function rounds(contestants) {
  const samples = {};
  for (let round = -3; round < ROUNDS; round++)
    for (const contestant of contestants) {
      const measured = await contestant(round + 3);
      if (PAUSE_MS > 0) await sleep(PAUSE_MS);
      if (round < 0) continue;
      for (const [name, ms] of Object.entries(measured ?? {})) {
        samples[name] ??= [];
        samples[name].push(ms);
      }
    }
  return samples;
}

/** The median of the ratios of each round, which holds when the whole machine becomes slower. */
const ratio = (ours, theirs) => median(ours.map((ms, round) => ms / theirs[round]));

/** The runtime as the kubelet uses it, over the sockets of node core and pod process. */
class Sockets {
  constructor(runtime, room, rootfs) {
    Object.assign(this, { runtime, room, rootfs });
    this.exits = new Map();
    runtime.events.subscribe((event) => {
      if (event.type === 'containerExited') this.exits.get(event.container.id)?.();
    });
  }

  sandbox(id) {
    return {
      id,
      namespace: 'default',
      name: id,
      hostname: id,
      hostNetwork: false,
      hostPid: false,
      hostIpc: false,
      sharePid: false,
      sysctls: {},
      cgroupPath: `${this.room.name}/pods/${id}`,
      resources: {},
      directory: join(this.room.directory, 'sandboxes', id),
      annotations: {},
    };
  }

  container(pod, id, args) {
    const spec = configuration(args, `${this.room.name}/pods/${pod}/${id}`);
    // The kubelet asks for the profile by name; the core has it compiled.
    return {
      id,
      name: id,
      spec: { ...spec, root: { readonly: false }, linux: { ...spec.linux, seccomp: { profile: 'runtime/default' } } },
      layers: [this.rootfs],
      directory: join(this.room.directory, 'containers', id),
      logPath: join(this.room.directory, `${id}.log`),
      stdin: false,
      stdinOnce: false,
      tty: false,
      annotations: {},
    };
  }

  ended(id) {
    return new Promise((resolve) => this.exits.set(id, resolve));
  }

  attach(netns, index) {
    const mac = (last) =>
      `02:00:00:00:${(index >> 8).toString(16).padStart(2, '0')}:${last.toString(16).padStart(2, '0')}`;
    return this.runtime.core.request('net.attach', {
      netns,
      hostName: `ttb${index}`,
      podName: 'eth0',
      hostMac: '02:00:00:ff:ff:01',
      gatewayMac: '02:00:00:ff:ff:01',
      mac: mac(index & 255),
      addresses: [`10.200.${index >> 8}.${index & 255}/32`],
      gateway: '10.200.255.254',
    });
  }
}

const lap = () => {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const took = now - last;
    last = now;
    return took;
  };
};

/** A pod of its own for each container, as a pod of one container starts. */
const ownPod = (use) => async (round) => {
  const { runtime } = use;
  const pod = `p${round}`;
  const took = lap();
  const { netns } = await runtime.runSandbox(use.sandbox(pod));
  const sandbox = took();
  await use.attach(netns, round + 1);
  const network = took();
  const ended = use.ended(`${pod}-c`);
  await runtime.startContainer(pod, use.container(pod, `${pod}-c`, ['/bin/true']));
  const start = took();
  await ended;
  const exit = took();
  await runtime.removeSandbox(pod);
  const remove = took();
  const running = sandbox + network + start;
  return { sandbox, network, start, exit, remove, running, whole: running + exit + remove };
};

/** Container after container in one pod, as a container that crashes starts again. */
const samePod = (use) => async (round) => {
  const { runtime } = use;
  const id = `one-c${round}`;
  const took = lap();
  const ended = use.ended(id);
  await runtime.startContainer('one', use.container('one', id, ['/bin/true']));
  const inPod = took();
  await ended;
  await runtime.removeContainer(id);
  return { inPod, inPodWhole: inPod + took() };
};

async function execTrue(runtime, id) {
  const took = lap();
  const { exitCode } = await runtime.execSync(id, { command: ['/bin/true'], timeoutMs: 5_000, maxOutput: 100 });
  if (exitCode !== 0) throw new Error(`exec of true ended with ${exitCode}`);
  return took();
}

const again = 'trimtab, over the socket';
const first = 'trimtab, over the socket, the first in its container';

/** As probes do. */
const execAgain =
  ({ runtime }) =>
  async () => ({ [again]: await execTrue(runtime, 'one-sleeper') });

const execFirst = (use) => async (round) => {
  const { runtime } = use;
  const id = `one-first${round}`;
  await runtime.startContainer('one', use.container('one', id, ['/bin/sleep', '100000']));
  const ms = await execTrue(runtime, id);
  await runtime.removeContainer(id);
  return { [first]: ms };
};

function tell(samples, names) {
  const { crun } = samples;
  const peers = names.filter((name) => samples[name]);
  const against = (values) => (crun ? { note: `${ratio(values, crun).toFixed(2)} x crun run` } : {});
  report.section('Command line: start, /bin/true, exit, removed', [
    ...peers.map((name) => ({ what: `${name} run`, unit: 'ms', values: samples[name], ...against(samples[name]) })),
    { what: 'busybox true, no container', unit: 'ms', values: samples.floor, note: 'what starting any program costs' },
  ]);
  const { running, sandbox, network, start, exit, remove, whole, inPod, inPodWhole } = samples;
  report.section(
    'Over the socket, as the kubelet asks: a pod of its own each time',
    [
      { what: 'sandbox + network + container running', values: running, target: { text: '<= 6', most: 6 } },
      { what: '  pod process, namespaces, cgroups', values: sandbox },
      { what: '  veth, address, routes', values: network },
      { what: '  container to execve', values: start },
      { what: 'until its exit is reported', values: exit },
      { what: 'sandbox removed', values: remove },
      { what: 'all of it', values: whole, ...against(whole) },
    ].map((row) => ({ unit: 'ms', ...row })),
  );
  report.section('Over the socket: container after container in one pod', [
    { what: 'start, /bin/true, exit, removed', unit: 'ms', values: inPodWhole, ...against(inPodWhole) },
    { what: '  container to execve', unit: 'ms', values: inPod },
    ...(crun
      ? [
          {
            what: 'all of it / crun run, round by round',
            unit: 'x',
            values: inPodWhole.map((ms, i) => ms / crun[i]),
            target: { text: '<= 0.4', most: 0.4 },
          },
        ]
      : []),
  ]);
}

/** The first move of a process into another v1 group after a quiet while waits for all processors, unless told not to. */
async function quietAttach(name) {
  const [, root] = mounts().find(([type, target]) => type === 'cgroup' && target.endsWith('/pids')) ?? [];
  if (!root) return;
  const group = join(root, name);
  mkdirSync(group, { recursive: true });
  const values = [];
  for (let i = 0; i < 5; i++) {
    await sleep(200);
    const began = performance.now();
    writeFileSync(join(group, 'cgroup.procs'), String(process.pid));
    values.push(performance.now() - began);
    writeFileSync(join(root, 'cgroup.procs'), String(process.pid));
  }
  rmdirSync(group);
  report.section('Floor', [
    {
      what: 'one process into one v1 group, after 200 ms quiet',
      unit: 'ms',
      values,
      note: 'about 0.1 with favordynmods',
    },
  ]);
}

/** Proportional and private memory of a process, in KiB. */
const weigh = (pid) => {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const of = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN);
  return { pss: of('Pss'), own: of('Pss_Anon') };
};

/** A pod process's children that are no container's. */
const helpers = (pid) =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .split(' ')
    .filter((child) => child !== '' && readFileSync(`/proc/${child}/comm`, 'utf8') === 'trimtab-pod\n')
    .map(Number);

/** Pods with a container each, once a start's memory has been given back. */
async function manyPods(use) {
  const pids = [];
  for (let i = 0; i < PODS; i++) {
    const pod = `many${i}`;
    const { pid } = await use.runtime.runSandbox(use.sandbox(pod));
    pids.push(pid);
    await use.runtime.startContainer(pod, use.container(pod, `${pod}-c`, ['/bin/sleep', '100000']));
  }
  await sleep(500);
  const weights = pids.map(weigh);
  report.section(`Memory of ${PODS} pods with a container each: the pod process`, [
    {
      what: 'proportional share (PSS), program shared by all',
      unit: 'KiB',
      values: weights.map(({ pss }) => pss),
      target: { text: '<= 98 (100 kB)', most: 98 },
    },
    { what: 'of its own', unit: 'KiB', values: weights.map(({ own }) => own) },
    {
      what: 'all together',
      unit: 'KiB',
      values: [weights.reduce((sum, { pss }) => sum + pss, 0)],
    },
  ]);
  const helped = [];
  for (let i = 0; i < 3; i++) {
    for (let pod = 0; pod < PODS; pod++) await execTrue(use.runtime, `many${pod}-c`);
    await sleep(100);
  }
  for (const pid of pids)
    helped.push(weigh(pid).pss + helpers(pid).reduce((sum, helper) => sum + weigh(helper).pss, 0));
  report.section(`The same with the helper that a container has which is asked for execs again and again`, [
    { what: 'both, PSS', unit: 'KiB', values: helped },
  ]);
  for (let i = 0; i < PODS; i++) await use.runtime.removeSandbox(`many${i}`);
}

async function main(room) {
  if (!existsSync(coreBinary)) throw new Error(`${coreBinary} is not there; build it: npm run build:native`);
  const rootfs = makeRootfs(room.directory);
  await quietAttach(room.name);
  if (!hasSeccomp)
    report.note(
      'No default seccomp profile on this machine (package golang-github-containers-common): the command lines run without one',
    );
  const view = await PrivateView.open(room);
  const errors = join(room.directory, 'errors');
  const watch = new Stopwatch(view, errors);
  const runtime = await nativeRuntime({
    coreBinary,
    runDir: join(room.directory, 'core'),
    logger: silentLogger,
    clock: systemClock,
  });
  const use = new Sockets(runtime, room, rootfs);
  await runtime.runSandbox(use.sandbox('one'));
  const known = runtimes(room.directory);
  const stage = { room, rootfs, watch, errors };
  report.say(`${ROUNDS} rounds`);
  const samples = await rounds([
    async () => ({ floor: (await watch.time('/bin/busybox true')).ms }),
    ...known.map((runtime) => commandLine(runtime, stage)),
    ownPod(use),
    samePod(use),
  ]);
  tell(
    samples,
    known.map(({ name }) => name),
  );
  report.say('system calls');
  const counted = [];
  for (const runtime of known) counted.push(await countCalls(runtime, stage));
  if (counted.some((count) => count !== undefined))
    report.section('System calls of one run, by strace', [
      ...counted
        .filter((count) => count !== undefined)
        .map(({ name, calls }) => ({
          what: `${name} run`,
          unit: '',
          values: [calls],
          ...(name === 'trimtab-core' ? { target: { text: '<= 250', most: 250 } } : {}),
        })),
    ]);
  report.say('exec');
  await runtime.startContainer('one', use.container('one', 'one-sleeper', ['/bin/sleep', '100000']));
  const peers = [];
  for (const runtime of known) peers.push(await commandLineExec(runtime, stage));
  const present = peers.filter((peer) => peer !== undefined);
  const execs = await rounds([execAgain(use), execFirst(use), ...present.map(({ time }) => time)]);
  report.section('exec of /bin/true in a running container', [
    ...Object.entries(execs).map(([name, values]) => ({
      what: name === again || name === first ? name : `${name} exec`,
      unit: 'ms',
      values,
      ...(name === again ? { target: { text: '<= 1', most: 1 } } : {}),
    })),
  ]);
  report.extra('samples', samples);
  report.extra('execs', execs);
  for (const { end } of present) await end();
  await runtime.removeSandbox('one');
  report.say(`${PODS} pods`);
  await manyPods(use);
  await runtime.core.request('core.exit', {}).catch(() => {});
  runtime.close();
  watch.close();
  view.close();
  report.note(
    'The command lines of all run in a mount namespace with a pure cgroup v1 view: crun and runc refuse a hybrid host.',
  );
  report.note(
    'crun and runc use the root file system as it is; over the socket each container also gets an overlay of its own.',
  );
  report.note('Everyone takes a turn in every round; "x crun run" is the median of the ratios of each round.');
  report.finish(options.json);
}

await onStage(fileURLToPath(import.meta.url), 300, main);
