import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@trimtab/machinery';
import type { CgroupReader } from '../../stats/cgroup-reader.js';
import { NodeUnderTest } from '../../testing/node-under-test.js';
import { silentRecorder } from '../event-recorder.js';
import { ProbeMemory } from '../probe-memory.js';
import { ExitMemory } from './exit-memory.js';
import { type ExitRecord, exitRecord, signalName } from './exit-record.js';
import { OomLines } from './kernel-log.js';
import { ExitWatch } from './watch-exits.js';

let dir: string;
beforeEach(async () => {
  dir = await fs.mkdtemp(join(tmpdir(), 'tt-exits-'));
});
afterEach(() => fs.rm(dir, { recursive: true }));

const killLines = [
  '6,10,5000000,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=main-0,mems_allowed=0,oom_memcg=/kubepods/podu/main-0,task_memcg=/kubepods/podu/main-0,task=tail,pid=14812,uid=0',
  '3,11,5000010,-;Memory cgroup out of memory: Killed process 14812 (tail) total-vm:67448kB, anon-rss:65280kB, file-rss:1328kB, shmem-rss:0kB, UID:0 pgtables:164kB oom_score_adj:1000',
];

test('the kernel’s two lines about a kill are one: who, where, how much, and whose limit', () => {
  const lines = new OomLines();
  expect(lines.take('4,9,1,-;tail invoked oom-killer: gfp_mask=0xcc0')).toBeUndefined();
  expect(lines.take(killLines[0]!)).toBeUndefined();
  expect(lines.take(killLines[1]!)).toEqual({
    pid: 14812,
    command: 'tail',
    bytes: 65280 * 1024,
    limitGroup: '/kubepods/podu/main-0',
    taskGroup: '/kubepods/podu/main-0',
    at: 5_000_000,
  });
  // The machine had none left: no group's limit was met.
  lines.take(
    '6,12,6000000,-;oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/kubepods/podv/x-3,task=a(b) c,pid=7,uid=0',
  );
  expect(
    lines.take('3,13,6000001,-;Out of memory: Killed process 7 (a(b) c) total-vm:1kB, anon-rss:4kB, file-rss:0kB'),
  ).toEqual({
    pid: 7,
    command: 'a(b) c',
    bytes: 4096,
    taskGroup: '/kubepods/podv/x-3',
    at: 6_000_000,
  });
});

test('a record has cause, signal by name, the victim and whose limit it met', () => {
  const status = {
    id: 'u-main-0',
    name: 'main',
    state: 'exited' as const,
    pid: 1,
    startedAt: 0,
    finishedAt: 2_000,
    exitCode: 137,
    signal: 9,
    oomKilled: true,
    logPath: '',
    annotations: {},
  };
  const facts = {
    namespace: 'default',
    pod: 'web',
    uid: 'u',
    status,
    image: 'web:1',
    memory: undefined,
    ownLimit: undefined,
    cgroup: 'kubepods/podu/main-0',
    killedFor: undefined,
    probes: [],
    log: ['bye'],
  };
  const kill = { pid: 5, command: 'tail', bytes: 9, taskGroup: '/kubepods/podu/main-0', at: 1 };
  const whose = (limitGroup?: string) =>
    exitRecord({ ...facts, victims: [{ ...kill, ...(limitGroup ? { limitGroup } : {}) }] }).oomKills![0]!.limitOf;
  expect([whose('/kubepods/podu/main-0'), whose('/kubepods/podu'), whose()]).toEqual(['container', 'pod', 'node']);
  // A pod of one container: both groups have its limit, and the pod's is met first.
  const memory = {
    usage: 1,
    workingSet: 1,
    rss: 1,
    cache: 0,
    mappedFile: 0,
    pageFaults: 0,
    majorPageFaults: 0,
    oomKills: 1,
    limit: 64,
  };
  const single = { ...facts, memory, ownLimit: 64, victims: [{ ...kill, limitGroup: '/kubepods/podu' }] };
  expect(exitRecord(single).oomKills![0]!.limitOf).toBe('container');
  expect(exitRecord({ ...facts, victims: [] })).toMatchObject({
    reason: 'OOMKilled',
    exitCode: 137,
    signal: 'SIGKILL',
    log: ['bye'],
  });
  expect([signalName(11), signalName(15), signalName(36)]).toEqual(['SIGSEGV', 'SIGTERM', 'SIGRTMIN+2']);
});

const record = (attempt: number, more: Partial<ExitRecord> = {}): ExitRecord => ({
  namespace: 'default',
  pod: 'web',
  uid: 'u1',
  container: 'main',
  attempt,
  image: 'web:1',
  reason: 'Error',
  exitCode: 1,
  startedAt: '2026-01-01T00:00:00Z',
  finishedAt: `2026-01-01T00:00:0${attempt}Z`,
  probes: [],
  log: [],
  ...more,
});

test('ends are on disk, the last few of each container, and found again by the next kubelet', async () => {
  const memory = new ExitMemory({ directory: dir, logger: silentLogger, keepPerContainer: 3 });
  for (const attempt of [0, 1, 2, 3, 4]) void memory.remember(record(attempt));
  await memory.remember(record(0, { uid: 'u2', pod: 'other' }));
  const next = new ExitMemory({ directory: dir, logger: silentLogger });
  expect((await next.of('default', 'web')).map(({ attempt }) => attempt)).toEqual([2, 3, 4]);
  expect(await next.of('default', 'web', 'u2')).toEqual([]);
  expect(await next.of('elsewhere', 'web')).toEqual([]);
  expect(await next.of('default', 'other')).toHaveLength(1);
});

test('all of them together stay within a budget, and a torn one is no harm', async () => {
  const log = ['x'.repeat(10_000)];
  const memory = new ExitMemory({ directory: dir, logger: silentLogger, maxBytes: 35_000 });
  for (const n of [0, 1, 2, 3, 4, 5]) await memory.remember(record(0, { uid: `u${n}`, pod: `web${n}`, log }));
  expect((await fs.readdir(dir)).sort()).toEqual(['u3', 'u4', 'u5']);
  await fs.writeFile(join(dir, 'u4', 'main-0.json'), '{"half');
  expect(await new ExitMemory({ directory: dir, logger: silentLogger }).of('default', 'web4')).toEqual([]);
});

test('what is kept of a restart: how it ended, why the kubelet ended it, its probes, memory and last lines', async () => {
  const node = await NodeUnderTest.start();
  const memory = new ExitMemory({ directory: dir, logger: silentLogger });
  const probes = new ProbeMemory();
  const cgroups: CgroupReader = {
    usage: () => ({}),
    read: () => ({
      memory: {
        usage: 1,
        workingSet: 1,
        rss: 1,
        cache: 0,
        mappedFile: 0,
        peak: 77,
        limit: 99,
        pageFaults: 0,
        majorPageFaults: 0,
        oomKills: 1,
      },
    }),
  };
  const news = killLines.map((line) => line.replaceAll('14812', '33'));
  const log = join(dir, 'log');
  await fs.writeFile(log, Array.from({ length: 300 }, (_, i) => `2026-01-01T00:00:00Z stdout F line ${i}\n`).join(''));
  const lines = new OomLines();
  let group = '';
  const watch = new ExitWatch({
    runtime: node.runtime,
    cgroups,
    kernel: {
      news: () => news.flatMap((line) => lines.take(line.replaceAll('/kubepods/podu/main-0', group)) ?? []),
      close: () => {},
    },
    probes,
    memory,
    pod: (uid) => node.node!.pods.worker(uid)?.pod,
    logPath: () => log,
    clock: node.clock,
    logger: silentLogger,
    startedMicros: 1_000_000,
  });
  const { metadata } = await node.run({ name: 'web', containers: [{ name: 'main', image: 'web:1' }] });
  const uid = metadata.uid!;
  group = `/kubepods/besteffort/pod${uid}/main-0`;
  probes.note(await node.containerId('web', 'main'), {
    kind: 'Liveness',
    at: 5,
    result: 'failure',
    output: 'HTTP 500',
  });
  const subject = { apiVersion: 'v1', kind: 'Pod', name: 'web', uid, fieldPath: 'spec.containers{main}' };
  watch
    .listening(silentRecorder)
    .event(subject, 'Normal', 'Killing', 'Container main failed liveness probe, will be restarted');
  await node.exit('web', 'main', 137, { signal: 9, oomKilled: true });
  await node.exit('web', 'main', 3);
  // Files are written in real time.
  const found = async () => memory.of('default', 'web');
  while ((await found()).length < 2) await new Promise((resolve) => setImmediate(resolve));
  const [first, second] = await found();
  expect(first).toMatchObject({
    attempt: 0,
    reason: 'OOMKilled',
    signal: 'SIGKILL',
    memoryPeak: 77,
    memoryLimit: 99,
    killedFor: 'Container main failed liveness probe, will be restarted',
    probes: [{ kind: 'Liveness', result: 'failure', output: 'HTTP 500' }],
    oomKills: [{ pid: 33, command: 'tail', limitOf: 'container' }],
  });
  expect([first!.log.length, first!.log[0], first!.log.at(-1)]).toEqual([200, 'line 100', 'line 299']);
  expect(second).toMatchObject({ attempt: 1, reason: 'Error', exitCode: 3, probes: [] });
  // Of kills of the whole machine only those since the watch began.
  for (const [pid, at] of [
    [7, 10],
    [8, 9_000_000],
  ])
    news.push(
      `6,12,${at},-;oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/x,task=hog,pid=${pid},uid=0`,
      `3,13,${at},-;Out of memory: Killed process ${pid} (hog) total-vm:1kB, anon-rss:4kB, file-rss:0kB`,
    );
  expect(watch.systemOoms().map(({ pid }) => pid)).toEqual([8]);
  expect([second!.killedFor, second!.oomKills]).toEqual([undefined, undefined]);
  // Its network container dies, and everything with it.
  await node.clock.advance(2_000);
  node.runtime.killSandbox(uid);
  while ((await found()).length < 3) await new Promise((resolve) => setImmediate(resolve));
  expect((await found())[2]).toMatchObject({
    attempt: 2,
    exitCode: 137,
    killedFor: "the pod's own process died, and everything in the pod with it",
  });
  watch.stop();
});

test('what ended while no kubelet was there is remembered once', async () => {
  const node = await NodeUnderTest.start();
  const memory = new ExitMemory({ directory: dir, logger: silentLogger });
  const log = join(dir, 'log');
  await fs.writeFile(log, '2026-01-01T00:00:00Z stdout F last words\n');
  const watch = new ExitWatch({
    runtime: node.runtime,
    cgroups: { usage: () => ({}), read: () => ({}) },
    kernel: { news: () => [], close: () => {} },
    probes: new ProbeMemory(),
    memory,
    pod: () => undefined,
    logPath: () => log,
    clock: node.clock,
    logger: silentLogger,
  });
  const annotations = { 'io.trimtab.pod.name': 'web', 'io.trimtab.pod.namespace': 'default' };
  const container = { pid: 1, startedAt: 0, finishedAt: 1_000, logPath: '', annotations: {} };
  const sandbox = {
    id: 'u1',
    state: 'ready' as const,
    pid: 1,
    netns: '',
    createdAt: 0,
    annotations,
    containers: [
      { ...container, id: 'u1-main-2', name: 'main', state: 'exited' as const, exitCode: 3, signal: 0 },
      { ...container, id: 'u1-side-0', name: 'side', state: 'running' as const },
    ],
  };
  await watch.catchUp([sandbox]);
  await watch.catchUp([sandbox]);
  expect(await memory.of('default', 'web')).toMatchObject([
    { container: 'main', attempt: 2, exitCode: 3, log: ['last words'] },
  ]);
  expect(await fs.readdir(join(dir, 'u1'))).toEqual(['main-2.json']);
  watch.stop();
});
