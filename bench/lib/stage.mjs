import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { family } from './processes.mjs';

/**
 * A benchmark runs twice: first as the stage hand, who makes network namespaces and a directory, starts the benchmark inside
 * them, and takes everything down when it has ended, however it ended; then as the benchmark itself.
 */

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
export const trimtab = join(root, 'cli', 'bin', 'trimtab.mjs');

const ROOM = 'TRIMTAB_BENCH_ROOM';
const PATIENCE_MS = 20_000;

/**
 * @typedef {object} Room
 * @property {string} directory removed afterwards with all that is in it; directories in it may hold clusters
 * @property {string} name of the network namespace this process is in, and of cgroups it makes
 * @property {string} peers name of a second network namespace, for what is compared with
 */

/**
 * Runs `main` on a stage of its own, at most `seconds` long.
 * @param {string} script path of the benchmark
 * @param {number} seconds
 * @param {(room: Room) => Promise<void>} main
 */
export async function onStage(script, seconds, main) {
  const room = process.env[ROOM];
  if (room !== undefined) {
    const hand = process.ppid;
    process.on('SIGTERM', () => {
      // Where the stage hand was killed itself nobody else clears up; its threads end one by one, so this shows a moment later.
      setTimeout(() => {
        if (process.ppid !== hand) strikeWithout(room);
        process.exit(143);
      }, 200);
    });
    await main(JSON.parse(room));
    process.exit(0);
  }
  if (process.getuid?.() !== 0) fail('benchmarks start real pods in network namespaces of their own, which needs root');
  if (!existsSync(join(root, 'cli', 'dist', 'bundle', 'main.cjs'))) fail('not built yet; run: npm run build');
  process.exit(await asStageHand(script, seconds));
}

function fail(message) {
  console.error(message);
  process.exit(1);
}

async function asStageHand(script, seconds) {
  const name = `tt-bench-${process.pid}`;
  const room = { directory: mkdtempSync(join(tmpdir(), 'trimtab-bench-')), name, peers: `${name}-peers` };
  let child;
  let ending = false;
  const end = () => {
    if (ending) return;
    ending = true;
    child?.kill('SIGTERM');
    setTimeout(() => child?.kill('SIGKILL'), PATIENCE_MS).unref();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, end);
  let code = 1;
  try {
    for (const namespace of [room.name, room.peers]) {
      must('ip', 'netns', 'add', namespace);
      must('ip', '-n', namespace, 'link', 'set', 'lo', 'up');
    }
    const late = setTimeout(() => {
      console.error(`not done after ${seconds} s: ended`);
      end();
    }, seconds * 1000);
    code = await new Promise((resolve) => {
      const inside = ['nsenter', `--net=/run/netns/${room.name}`, '--', process.execPath, script];
      // Should this process be killed, the benchmark ends too.
      child = spawn('setpriv', ['--pdeathsig', 'TERM', ...inside, ...process.argv.slice(2)], {
        stdio: ['ignore', 'inherit', 'inherit'],
        // A session of its own: Ctrl-C comes here only, and is passed on once.
        detached: true,
        env: { ...process.env, [ROOM]: JSON.stringify(room) },
      });
      child.on('exit', (status) => resolve(ending ? 130 : (status ?? 1)));
      child.on('error', () => resolve(1));
    });
    clearTimeout(late);
  } finally {
    strike(room);
  }
  return code;
}

function must(program, ...args) {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr}`);
}

/** Has a process of its own take down what is left: who has started the parts cannot wait for their end while ending. */
function strikeWithout(room) {
  const script = 'import(process.argv[1]).then(({ strike }) => strike(JSON.parse(process.argv[2])))';
  spawn(process.execPath, ['-e', script, import.meta.url, room], { stdio: 'ignore', detached: true });
}

/** Takes down what is left, from the inside out; never fails. @param {Room} room */
export function strike({ directory, name, peers }) {
  const quietly = (program, ...args) => spawnSync(program, args, { encoding: 'utf8', timeout: 60_000 });
  for (const entry of readdirSync(directory))
    if (existsSync(join(directory, entry, 'cluster.json')))
      quietly(
        'nsenter',
        `--net=/run/netns/${name}`,
        '--',
        process.execPath,
        trimtab,
        'down',
        '--data-dir',
        join(directory, entry),
      );
  for (const namespace of [name, peers]) {
    // Containers are in namespaces of their own, and found as what these processes have started.
    const pids = quietly('ip', 'netns', 'pids', namespace).stdout.split('\n').map(Number);
    for (const pid of new Set(pids.filter((pid) => pid > 1).flatMap(family))) if (pid !== process.pid) end(pid);
  }
  for (const [, target] of mounts()) if (target.startsWith(`${directory}/`)) quietly('umount', '-l', target);
  for (const group of groupsNamed(name)) removeGroup(group);
  if (existsSync(join(directory, 'podman'))) for (const group of groupsNamed('libpod_parent')) removeEmptyGroup(group);
  for (const namespace of [name, peers]) quietly('ip', 'netns', 'del', namespace);
  rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

/** A group can only go when what was in it has. */
function end(pid) {
  kill(pid);
  for (let i = 0; i < 40 && lives(pid); i++) spawnSync('sleep', ['0.025']);
}

function lives(pid) {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** Type and place of every mount, innermost first. */
export const mounts = () =>
  readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [, target, type] = line.split(' ');
      return [type, target];
    })
    .reverse();

const groupsNamed = (name) =>
  mounts()
    .filter(([type]) => type === 'cgroup' || type === 'cgroup2')
    .map(([, target]) => join(target, name))
    .filter(existsSync);

/** podman leaves its pods' groups behind; those of another podman that have processes stay. */
function removeEmptyGroup(path) {
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) removeEmptyGroup(join(path, entry.name));
  try {
    rmdirSync(path);
  } catch {
    // It is in use.
  }
}

function removeGroup(path) {
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) removeGroup(join(path, entry.name));
  try {
    for (const pid of readFileSync(join(path, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean)) kill(Number(pid));
    rmdirSync(path);
  } catch {
    // Something in it has not ended yet; an empty group costs nothing.
  }
}
