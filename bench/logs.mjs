/**
 * How much output of a container the pod process writes as CRI log lines for each second of processor it takes, while its file
 * is rotated, whether any line is lost, and what memory the process has of its own afterwards (its program is shared by all pods).
 *
 *   node bench/logs.mjs [--megabytes 200] [--rounds 3] [--json FILE]
 */
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, readSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { nativeRuntime } from '@trimtab/kubelet-lite';
import { silentLogger, systemClock } from '@trimtab/machinery';
import { configuration, makeRootfs } from './lib/bundle.mjs';
import { coreBinary, sleep } from './lib/cluster.mjs';
import { Report } from './lib/report.mjs';
import { onStage } from './lib/stage.mjs';

const { values: options } = parseArgs({
  options: {
    megabytes: { type: 'string', default: '200' },
    rounds: { type: 'string', default: '3' },
    json: { type: 'string' },
  },
});
const LINE = 100;
const LINES = Math.round((Number(options.megabytes) * 1e6) / LINE);
const ROUNDS = Number(options.rounds);
const TICKS_PER_SECOND = 100;
const TEXT = 'x'.repeat(LINE - 1);
/** Writes the lines as fast as a program can, through one pipe. */
const PRODUCER = `yes ${TEXT} | head -c ${LINES * LINE}`;

const report = new Report('logs', `Container output as CRI log lines: ${LINES} lines of ${LINE} bytes`);

const statOf = (pid) =>
  readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
/** Seconds of processor that a process has taken. */
const processor = (pid) => {
  const fields = statOf(pid);
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
};
const ownKiB = (pid) =>
  Number(/^Pss_Anon:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? Number.NaN);

/** Whole lines in the files of a directory, read in pieces. */
function wholeLines(directory, mark) {
  let lines = 0;
  const piece = Buffer.alloc(1 << 20);
  for (const name of readdirSync(directory)) {
    const file = openSync(join(directory, name), 'r');
    let rest = '';
    for (let n = readSync(file, piece); n > 0; n = readSync(file, piece)) {
      const all = (rest + piece.toString('latin1', 0, n)).split('\n');
      rest = all.pop();
      for (const line of all) if (line.endsWith(`${mark}${TEXT}`)) lines++;
    }
    closeSync(file);
  }
  return lines;
}

async function ours(room, round, runtime, exits) {
  const id = `r${round}`;
  const logs = join(room.directory, `logs-${id}`);
  mkdirSync(logs);
  const { pid } = await runtime.runSandbox({
    id,
    namespace: 'default',
    name: id,
    hostname: id,
    hostNetwork: false,
    hostPid: false,
    hostIpc: false,
    sharePid: false,
    sysctls: {},
    cgroupPath: `${room.name}/pods/${id}`,
    resources: {},
    directory: join(room.directory, 'sandboxes', id),
    annotations: {},
  });
  const logPath = join(logs, '0.log');
  const spec = configuration(['/bin/sh', '-c', PRODUCER], `${room.name}/pods/${id}/main`);
  spec.linux.resources = {};
  const ended = new Promise((resolve) => exits.set(id, resolve));
  const before = processor(pid);
  const began = performance.now();
  await runtime.startContainer(id, {
    id,
    name: id,
    spec: { ...spec, root: {}, linux: { ...spec.linux, seccomp: { profile: 'runtime/default' } } },
    layers: [room.rootfs],
    directory: join(room.directory, 'containers', id),
    logPath,
    stdin: false,
    stdinOnce: false,
    tty: false,
    annotations: {},
  });
  let rotations = 0;
  let over = false;
  ended.then(() => {
    over = true;
  });
  while (!over) {
    await Promise.race([ended, sleep(100)]);
    if (over) break;
    renameSync(logPath, join(logs, `0.log.${rotations++}`));
    await runtime.reopenLog(id);
  }
  const seconds = (performance.now() - began) / 1_000;
  const took = processor(pid) - before;
  const lines = wholeLines(logs, ' stdout F ');
  // What a burst took is given back a moment later.
  await sleep(300);
  const weight = ownKiB(pid);
  await runtime.removeSandbox(id);
  rmSync(logs, { recursive: true });
  return { took, seconds, lines, rotations, weight };
}

await onStage(fileURLToPath(import.meta.url), 240, async (room) => {
  room.rootfs = makeRootfs(join(room.directory, 'rootfs'));
  const runtime = await nativeRuntime({
    coreBinary,
    runDir: join(room.directory, 'run'),
    logger: silentLogger,
    clock: systemClock,
  });
  const exits = new Map();
  runtime.events.subscribe((event) => {
    if (event.type === 'containerExited') exits.get(event.container.id)?.();
  });
  const samples = [];
  for (let round = 0; round < ROUNDS; round++) {
    samples.push(await ours(room, round, runtime, exits));
  }
  const megabytes = (LINES * LINE) / 1e6;
  const speed = (list) => list.map(({ took }) => megabytes / took);
  const rows = [
    {
      what: 'pod process, MB of output per CPU second',
      unit: 'MB/s',
      values: speed(samples),
      target: { text: '>= 500' },
    },
    {
      what: 'pod process and producer together, by the clock',
      unit: 'MB/s',
      values: samples.map(({ seconds }) => megabytes / seconds),
    },
    {
      what: 'lines lost over rotations',
      unit: 'lines',
      values: samples.map(({ lines }) => LINES - lines),
      target: { text: '0', most: 0, at: 'max' },
    },
    { what: 'rotations meanwhile', unit: '', values: samples.map(({ rotations }) => rotations) },
    {
      what: 'memory of its own afterwards',
      unit: 'KiB',
      values: samples.map(({ weight }) => weight),
      target: { text: '<= 98 (100 kB)', most: 98 },
    },
  ];
  report.section('Log pump', rows);
  await runtime.core.request('core.exit', { emptyGroups: [`${room.name}/pods`, room.name] });
  runtime.close();
  report.finish(options.json);
});
