import { link, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { silentLogger } from '@trimtab/machinery';
import { podLayout } from '../container/pod-layout.js';
import { ExitMemory } from '../node/exits/exit-memory.js';
import { KubeletFigures } from '../node/kubelet-figures.js';
import { GoneLogs } from '../streams/gone-logs.js';
import { PodStreams } from '../streams/node-streams.js';
import { NodeUnderTest } from '../testing/node-under-test.js';
import type { CgroupReader } from './cgroup-reader.js';
import { cgroupReading, type ReadFile, usageReading } from './cgroup-readings.js';
import { cgroupTree } from './cgroup-tree.js';
import { CpuRates } from './cpu-rates.js';
import { diskUsage } from './disk-usage.js';
import { interfaceReadings, machineReading } from './machine-readings.js';
import { NodeStats } from './node-stats.js';

const filesOf =
  (files: Readonly<Record<string, string>>): ReadFile =>
  (_controller, file) =>
    files[file];

describe('where controllers are', () => {
  const hybrid = [
    'cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0',
    'cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0',
    'cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0',
  ].join('\n');

  test('is decided for each of them: v1 first, what v1 lacks in v2', () => {
    const tree = cgroupTree(hybrid, () => 'pids hugetlb\n');
    expect(tree.memory).toEqual({ version: 1, mount: '/sys/fs/cgroup/memory' });
    expect(tree.cpuacct).toEqual({ version: 1, mount: '/sys/fs/cgroup/cpu,cpuacct' });
    expect(tree.pids).toEqual({ version: 2, mount: '/sys/fs/cgroup/unified' });
    expect(tree.io).toBeUndefined();
  });

  test('a machine with v2 alone counts time whatever is delegated', () => {
    const tree = cgroupTree('cgroup2 /sys/fs/cgroup cgroup2 rw 0 0', () => 'memory');
    expect(tree.cpuacct).toEqual({ version: 2, mount: '/sys/fs/cgroup' });
    expect(tree.memory?.version).toBe(2);
    expect(tree.pids).toBeUndefined();
  });
});

describe('a cgroup', () => {
  const v1 = filesOf({
    'cpuacct.usage': '1500000000\n',
    'cpuacct.stat': 'user 100\nsystem 40\n',
    'cpu.stat': 'nr_periods 10\nnr_throttled 4\nthrottled_time 250000000\n',
    'memory.usage_in_bytes': '100000\n',
    'memory.stat':
      'cache 1\ntotal_cache 30000\ntotal_rss 60000\ntotal_inactive_file 20000\nhierarchical_memory_limit 9223372036854771712\ntotal_swap 0\ntotal_pgfault 7\ntotal_pgmajfault 2\ntotal_mapped_file 5\n',
    'memory.max_usage_in_bytes': '120000\n',
    'memory.failcnt': '3\n',
    'memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 2\n',
    'pids.current': '5\n',
    'pids.max': 'max\n',
    'blkio.throttle.io_service_bytes_recursive': '8:0 Read 100\n8:0 Write 50\n8:0 Total 150\nTotal 150\n',
  });
  const v2 = filesOf({
    'cpu.stat':
      'usage_usec 1500000\nuser_usec 1000000\nsystem_usec 400000\nnr_periods 10\nnr_throttled 4\nthrottled_usec 250000\n',
    'memory.current': '100000\n',
    'memory.stat': 'anon 60000\nfile 30000\ninactive_file 20000\npgfault 7\npgmajfault 2\nfile_mapped 5\n',
    'memory.swap.current': '0\n',
    'memory.peak': '120000\n',
    'memory.max': 'max\n',
    'memory.events': 'low 0\nhigh 0\nmax 3\noom 2\noom_kill 2\n',
    'pids.current': '5\n',
    'pids.max': 'max\n',
    'io.stat': '8:0 rbytes=100 wbytes=50 rios=1 wios=1\n',
  });
  const wanted = {
    cpu: {
      usageNanos: 1_500_000_000,
      userNanos: 1_000_000_000,
      systemNanos: 400_000_000,
      periods: 10,
      throttledPeriods: 4,
      throttledNanos: 250_000_000,
    },
    memory: {
      usage: 100_000,
      workingSet: 80_000,
      rss: 60_000,
      cache: 30_000,
      mappedFile: 5,
      swap: 0,
      peak: 120_000,
      pageFaults: 7,
      majorPageFaults: 2,
      failures: 3,
      oomKills: 2,
    },
    pids: { current: 5 },
    io: { readBytes: 100, writeBytes: 50 },
  };

  test('says the same in v1 and in v2', () => {
    expect(cgroupReading({ cpu: 1, cpuacct: 1, memory: 1, pids: 1, io: 1 }, v1)).toEqual(wanted);
    expect(cgroupReading({ cpu: 2, cpuacct: 2, memory: 2, pids: 2, io: 2 }, v2)).toEqual(wanted);
    const usage = { cpuNanos: 1_500_000_000, workingSet: 80_000 };
    expect(usageReading({ cpu: 1, cpuacct: 1, memory: 1, pids: 1, io: 1 }, v1)).toEqual(usage);
    expect(usageReading({ cpu: 2, cpuacct: 2, memory: 2, pids: 2, io: 2 }, v2)).toEqual(usage);
  });

  test('that is gone, or a controller the machine lacks, says nothing rather than zero', () => {
    expect(cgroupReading({ cpu: 1, cpuacct: 1, memory: 1, pids: 1, io: 1 }, () => undefined)).toEqual({});
    const { memory, cpu } = cgroupReading({ cpu: 2, cpuacct: 2, memory: undefined, pids: 2, io: 2 }, v2);
    expect([memory, cpu?.usageNanos]).toEqual([undefined, 1_500_000_000]);
  });
});

test('a rate is over the time since the counter was last asked for, half a minute at most', () => {
  const rates = new CpuRates();
  expect(rates.sample('a', 100_000, 5e9)).toBeUndefined();
  expect(rates.sample('a', 100_100, 5.1e9)).toBeUndefined();
  expect(rates.sample('a', 100_500, 5.25e9)).toEqual({ nanoCores: 500_000_000, windowMs: 500, at: 100_500 });
  expect(rates.sample('a', 115_500, 6.8e9)?.windowMs).toBe(15_500);
  expect(rates.sample('a', 200_000, 90e9)).toBeUndefined();
  // What was zero a moment ago needs no second look; a counter that fell is another one.
  expect(rates.sample('b', 200_000, 1e9, 198_000)).toMatchObject({ nanoCores: 500_000_000, windowMs: 2_000 });
  expect(rates.sample('b', 202_000, 0.5e9, 201_000)).toMatchObject({ nanoCores: 500_000_000, windowMs: 1_000 });
});

test('disk usage counts blocks and inodes, links once, and nothing behind a symbolic link', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'tt-du-'));
  try {
    const empty = await diskUsage(directory);
    await mkdir(join(directory, 'deep', 'er'), { recursive: true });
    await writeFile(join(directory, 'deep', 'er', 'file'), Buffer.alloc(64 * 1024));
    await link(join(directory, 'deep', 'er', 'file'), join(directory, 'again'));
    await symlink('/usr', join(directory, 'elsewhere'));
    const full = await diskUsage(directory);
    expect(full.inodes - empty.inodes).toBe(4);
    expect(full.bytes - empty.bytes).toBeGreaterThanOrEqual(64 * 1024);
    expect(full.bytes - empty.bytes).toBeLessThan(2 * 64 * 1024);
    expect(await diskUsage(join(directory, 'nowhere'))).toEqual({ bytes: 0, inodes: 0 });
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('the machine, from the files of /proc', () => {
  const reading = machineReading({
    stat: 'cpu  100 20 30 9000 50 1 2 3 40 0\ncpu0 1 2 3 4\n',
    meminfo:
      'MemTotal: 1000 kB\nMemFree: 400 kB\nInactive(file): 100 kB\nAnonPages: 300 kB\nSwapTotal: 10 kB\nSwapFree: 4 kB\n',
    vmstat: 'pgfault 9\npgmajfault 1\n',
    loadavg: '0.1 0.2 0.3 2/345 6789\n',
    pidMax: '32768\n',
    threadsMax: '9999\n',
  });
  expect(reading.cpuNanos).toBe(153 * 1e7);
  expect(reading.memory).toMatchObject({
    total: 1000 * 1024,
    usage: 600 * 1024,
    workingSet: 500 * 1024,
    swapUsed: 6144,
  });
  expect(reading.processes).toEqual({ current: 345, max: 9999 });
  const dev =
    'Inter-|   Receive\n face |bytes\n    lo: 5 0 0 0 0 0 0 0 5 0 0 0 0 0 0 0\n  eth0: 100 2 1 0 0 0 0 0 200 3 4 0 0 0 0 0\n';
  expect(interfaceReadings(dev)).toEqual([{ name: 'eth0', rxBytes: 100, rxErrors: 1, txBytes: 200, txErrors: 4 }]);
});

describe('the node’s own paths', () => {
  /** Every group uses half a processor and 4 MiB. */
  const scripted = (now: () => number): CgroupReader => ({
    usage: () => ({ cpuNanos: now() * 500_000, workingSet: 4 * 2 ** 20 }),
    read: () => ({
      cpu: { usageNanos: now() * 500_000 },
      memory: {
        usage: 5 * 2 ** 20,
        workingSet: 4 * 2 ** 20,
        rss: 2 ** 20,
        cache: 0,
        mappedFile: 0,
        pageFaults: 1,
        majorPageFaults: 0,
        oomKills: 0,
      },
      pids: { current: 2 },
    }),
  });

  async function serving() {
    const node = await NodeUnderTest.start();
    await node.run({ name: 'web', containers: [{ name: 'main', image: 'web:1' }] });
    const layout = podLayout('/nowhere', '/nowhere/logs', undefined);
    const { pods } = node.node!;
    const stats = new NodeStats({
      nodeName: 'n1',
      pods,
      cgroups: scripted(() => node.clock.now() - Date.parse('2026-01-01T00:00:00Z')),
      clock: node.clock,
      layout,
      volumes: { pathOf: () => '/nowhere' },
      imagesDir: '/',
      imageBytes: async () => 12,
    });
    const figures = new KubeletFigures('n1', 0, () => ({ namespace: 'default', name: 'web' }));
    const exits = new ExitMemory({ directory: '/nowhere', logger: silentLogger });
    const gone = new GoneLogs({ directory: '/nowhere', maxBytes: 0, clock: node.clock, logger: silentLogger });
    const streams = new PodStreams({
      pods,
      runtime: node.runtime,
      clock: node.clock,
      logPath: () => '/nowhere/log',
      pages: {
        stats,
        figures,
        configuration: () => ({ kind: 'KubeletConfiguration' }),
        logDir: '/nowhere',
        exits,
        gone,
      },
    });
    const ask = async (path: string, method = 'GET') => {
      const signal = new AbortController().signal;
      const answer = streams.http({ method, path, headers: {}, body: Readable.from([]), signal });
      let answered = false;
      const done = () => {
        answered = true;
      };
      answer.then(done, done);
      // Files are read in real time, so virtual time goes on in small steps beside them.
      while (!answered) {
        await node.clock.advance(10);
        await setImmediate();
      }
      return answer;
    };
    return { node, streams, figures, ask, read: async (path: string) => JSON.parse((await ask(path)).body as string) };
  }

  test('pods, stats and settings, to whoever may ask through the proxy', async () => {
    const { ask, read } = await serving();
    expect(await ask('/healthz')).toMatchObject({ status: 200, body: 'ok' });
    const { kind, items } = await read('/pods');
    expect([kind, items.map((pod: { metadata: { name: string } }) => pod.metadata.name)]).toEqual(['PodList', ['web']]);
    const { node, pods } = await read('/stats/summary');
    expect(node).toMatchObject({ nodeName: 'n1', memory: { workingSetBytes: expect.any(Number) } });
    expect(node.fs).toBeUndefined();
    expect(node.runtime.imageFs).toMatchObject({ usedBytes: 12, capacityBytes: expect.any(Number) });
    expect(pods[0]).toMatchObject({
      podRef: { name: 'web', namespace: 'default' },
      cpu: { usageNanoCores: 500_000_000 },
      memory: { workingSetBytes: 4 * 2 ** 20 },
      process_stats: { process_count: 2 },
      containers: [{ name: 'main', memory: { rssBytes: 2 ** 20 }, logs: { usedBytes: 0 } }],
    });
    expect((await read('/configz')).kubeletconfig.kind).toBe('KubeletConfiguration');
    expect(await ask('/nope')).toMatchObject({ status: 404, body: expect.stringContaining('/stats/summary') });
    expect(await ask('/logs/../../etc/passwd')).toMatchObject({ status: 404 });
    await expect(ask('/pods', 'DELETE')).rejects.toMatchObject({ code: 405 });
    await expect(ask('/containerLogs/default/web')).rejects.toMatchObject({ code: 400 });
    await expect(ask('/containerLogs/default/other/main')).rejects.toMatchObject({ code: 404 });
  });

  test('metrics in the text format, under the names dashboards know', async () => {
    const { ask, figures } = await serving();
    const target = { sandboxId: 'u', containerId: 'c', container: { name: 'main' }, podIP: '' };
    figures.probe(target, 'Liveness', 'failure', 0.2);
    figures.operation('start_container', 0.004, false);
    const resource = (await ask('/metrics/resource')).body as string;
    expect(resource).toContain('# TYPE pod_memory_working_set_bytes gauge\n');
    expect(resource).toContain(
      'container_memory_working_set_bytes{container="main",namespace="default",pod="web"} 4194304\n',
    );
    const cadvisor = (await ask('/metrics/cadvisor')).body as string;
    expect(cadvisor).toMatch(
      /container_memory_rss\{container="main",id="\/kubepods\/besteffort\/pod[^"]+\/main-0",image="[^"]*",name="[^"]+",namespace="default",pod="web"\} 1048576\n/,
    );
    const probes = (await ask('/metrics/probes')).body as string;
    expect(probes).toContain(
      'prober_probe_total{probe_type="Liveness",result="failed",container="main",namespace="default",pod="web",pod_uid="u"} 1\n',
    );
    expect(probes).toContain(
      '_bucket{probe_type="Liveness",container="main",namespace="default",pod="web",le="0.25"} 1\n',
    );
    const own = (await ask('/metrics')).body as string;
    expect(own).toContain('kubelet_running_pods');
    expect(own).toContain('kubelet_runtime_operations_total{operation_type="start_container"} 1\n');
    expect(own).toContain('kubelet_started_containers_total 1\n');
  });

  test('who asks for usage has a rate at once for what is young, and in half a second for everything else', async () => {
    const { node, streams } = await serving();
    const uid = (await node.pod('web')).metadata.uid!;
    await node.clock.advance(2_000);
    const young = await streams.usage({ node: false, pods: [uid, 'unknown'] });
    expect(young.pods).toEqual([
      {
        uid,
        containers: [
          {
            name: 'main',
            at: node.clock.now(),
            windowMs: expect.any(Number),
            cpuNanoCores: expect.any(Number),
            memoryBytes: 4 * 2 ** 20,
          },
        ],
      },
    ]);
    await node.clock.advance(120_000);
    const asked = node.clock.now();
    const waiting = streams.usage({ node: false, pods: [uid] });
    let done = false;
    void waiting.then(() => (done = true));
    await node.clock.advance(499);
    expect(done).toBe(false);
    await node.clock.advance(1);
    const [container] = (await waiting).pods[0]!.containers;
    expect(container).toMatchObject({ at: asked + 500, windowMs: 500, cpuNanoCores: 500_000_000 });
  });
});
