/**
 * How long the native core takes to start one k8s-like container in a new sandbox with a network namespace, as a command line
 * beside `crun run` and `runc run` of the same bundle, and over its socket as the kubelet asks it.
 *
 *   node bench/isolation.mjs [--rounds 60] [--pause MS] [--json FILE]
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
    pause: { type: 'string', default: '0' },
    json: { type: 'string' },
  },
});
const ROUNDS = Number(options.rounds);
const PAUSE_MS = Number(options.pause);

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

/** Interleaved, so that what else the machine does falls on all alike. */
async function commandLines(room, view, rootfs) {
  const errors = join(room.directory, 'errors');
  const watch = new Stopwatch(view, errors);
  const known = runtimes(room.directory);
  const samples = new Map(known.map(({ name }) => [name, []]));
  const floor = [];
  const bundles = new Map(
    known.map(({ name }) => [
      name,
      writeBundle(room.directory, `bundle-${name}`, configuration(['/bin/true'], `/${room.name}/${name}`, rootfs)),
    ]),
  );
  for (let round = -3; round < ROUNDS; round++) {
    const { ms } = await watch.time('/bin/busybox true');
    if (round >= 0) floor.push(ms);
    for (const { name, program, root } of known) {
      if (!samples.has(name)) continue;
      const result = await watch.time(`${program} --root ${root} run --bundle ${bundles.get(name)} r${round + 3}`);
      if (result.code !== 0) {
        report.note(
          `${name} run ended with ${result.code} and is left out: ${readFileSync(errors, 'utf8').trim().slice(0, 300)}`,
        );
        samples.delete(name);
        continue;
      }
      // The first rounds are for caches.
      if (round >= 0) samples.get(name).push(result.ms);
      if (PAUSE_MS > 0) await sleep(PAUSE_MS);
    }
  }
  const ours = samples.get('trimtab-core') ?? [];
  const crun = samples.get('crun');
  const rows = [...samples].map(([name, values]) => ({ what: `${name} run`, unit: 'ms', values }));
  for (const [name, values] of samples)
    if (name !== 'trimtab-core' && ours.length > 0)
      rows.push({ what: `trimtab-core / ${name}`, unit: 'x', values: [median(ours) / median(values)] });
  rows.push({ what: 'busybox true, no container', unit: 'ms', values: floor, note: 'what starting any program costs' });
  report.section('Command line: start, /bin/true, exit, removed', rows);
  report.extra('commandLines', Object.fromEntries(samples));
  const execs = await execCommands(
    room,
    watch,
    known.filter(({ name }) => samples.has(name)),
    rootfs,
  );
  watch.close();
  return { crun: crun && median(crun), execs };
}

/** exec into a container that runs, where the command line has it. */
async function execCommands(room, watch, known, rootfs) {
  const found = {};
  for (const { name, program, root } of known) {
    if (name === 'trimtab-core') continue;
    const config = configuration(['/bin/sleep', '100000'], `/${room.name}/exec-${name}`, rootfs);
    const bundle = writeBundle(room.directory, `exec-${name}`, config);
    const run = `${program} --root ${root}`;
    const { code } = await watch.time(`${run} create --bundle ${bundle} e && ${run} start e`);
    if (code !== 0) continue;
    found[name] = [];
    for (let round = -3; round < ROUNDS; round++) {
      const { ms } = await watch.time(`${run} exec e /bin/true`);
      if (round >= 0) found[name].push(ms);
    }
    await watch.time(`${run} delete --force e`);
  }
  return found;
}

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

async function sockets(room, rootfs, crun, peerExecs) {
  const runtime = await nativeRuntime({
    coreBinary,
    runDir: join(room.directory, 'core'),
    logger: silentLogger,
    clock: systemClock,
  });
  const use = new Sockets(runtime, room, rootfs);
  const steps = { sandbox: [], network: [], start: [], exit: [], remove: [], running: [], whole: [] };
  for (let round = -3; round < ROUNDS; round++) {
    const pod = `p${round + 3}`;
    const took = lap();
    const { netns } = await runtime.runSandbox(use.sandbox(pod));
    const sandbox = took();
    await use.attach(netns, round + 4);
    const network = took();
    const ended = use.ended(`${pod}-c`);
    await runtime.startContainer(pod, use.container(pod, `${pod}-c`, ['/bin/true']));
    const start = took();
    await ended;
    const exit = took();
    await runtime.removeSandbox(pod);
    const remove = took();
    if (PAUSE_MS > 0) await sleep(PAUSE_MS);
    if (round < 0) continue;
    const running = sandbox + network + start;
    for (const [name, value] of Object.entries({
      sandbox,
      network,
      start,
      exit,
      remove,
      running,
      whole: running + exit + remove,
    }))
      steps[name].push(value);
  }
  report.section('Over the socket, as the kubelet asks: a pod of its own each time', [
    {
      what: 'sandbox + network + container running',
      unit: 'ms',
      values: steps.running,
      target: { text: '<= 6', most: 6 },
    },
    { what: '  pod process, namespaces, cgroups', unit: 'ms', values: steps.sandbox },
    { what: '  veth, address, routes', unit: 'ms', values: steps.network },
    { what: '  container to execve', unit: 'ms', values: steps.start },
    { what: 'until its exit is reported', unit: 'ms', values: steps.exit },
    { what: 'sandbox removed', unit: 'ms', values: steps.remove },
    {
      what: 'all of it',
      unit: 'ms',
      values: steps.whole,
      ...(crun ? { note: `${(median(steps.whole) / crun).toFixed(2)} x crun run` } : {}),
    },
  ]);
  report.extra('pods', steps);
  await withinOnePod(use, crun, peerExecs);
  await runtime.core.request('core.exit', {}).catch(() => {});
  runtime.close();
}

async function withinOnePod(use, crun, peerExecs) {
  const { runtime } = use;
  await runtime.runSandbox(use.sandbox('one'));
  const whole = [];
  const start = [];
  for (let round = -3; round < ROUNDS; round++) {
    const id = `one-c${round + 3}`;
    const took = lap();
    const ended = use.ended(id);
    await runtime.startContainer('one', use.container('one', id, ['/bin/true']));
    const started = took();
    await ended;
    await runtime.removeContainer(id);
    const total = started + took();
    if (PAUSE_MS > 0) await sleep(PAUSE_MS);
    if (round < 0) continue;
    start.push(started);
    whole.push(total);
  }
  const owed = crun ? { target: { text: `<= ${(0.4 * crun).toFixed(1)} (0.4 x crun)`, most: 0.4 * crun } } : {};
  report.section('Over the socket: container after container in one pod', [
    { what: 'start, /bin/true, exit, removed', unit: 'ms', values: whole, ...owed },
    { what: '  container to execve', unit: 'ms', values: start },
  ]);
  report.extra('containers', { start, whole });
  await runtime.startContainer('one', use.container('one', 'one-sleeper', ['/bin/sleep', '100000']));
  const execs = [];
  for (let round = -3; round < ROUNDS; round++) {
    const took = lap();
    const { exitCode } = await runtime.execSync('one-sleeper', {
      command: ['/bin/true'],
      timeoutMs: 5_000,
      maxOutput: 100,
    });
    if (exitCode !== 0) throw new Error(`exec of true ended with ${exitCode}`);
    if (round >= 0) execs.push(took());
  }
  await runtime.removeSandbox('one');
  report.section('exec of /bin/true in a running container', [
    { what: 'execSync over the socket', unit: 'ms', values: execs, target: { text: '<= 1', most: 1 } },
    ...Object.entries(peerExecs).map(([name, values]) => ({ what: `${name} exec`, unit: 'ms', values })),
  ]);
  report.extra('execs', { trimtab: execs, ...peerExecs });
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

async function main(room) {
  if (!existsSync(coreBinary)) throw new Error(`${coreBinary} is not there; build it: npm run build:native`);
  const rootfs = makeRootfs(room.directory);
  await quietAttach(room.name);
  if (!hasSeccomp)
    report.note(
      'No default seccomp profile on this machine (package golang-github-containers-common): the command lines run without one',
    );
  const view = await PrivateView.open(room);
  report.say('command lines');
  const { crun, execs } = await commandLines(room, view, rootfs);
  view.close();
  report.say('sockets');
  await sockets(room, rootfs, crun, execs);
  report.note(
    'The command lines of all run in a mount namespace with a pure cgroup v1 view: crun and runc refuse a hybrid host.',
  );
  report.note(
    'crun and runc use the root file system as it is; over the socket each container also gets an overlay of its own.',
  );
  report.finish(options.json);
}

await onStage(fileURLToPath(import.meta.url), 300, main);
