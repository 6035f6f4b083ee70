import { setImmediate } from 'node:timers/promises';
import type { Pod as ApiPod } from '@trimtab/machinery';
import { Nodes, silentLogger } from '@trimtab/machinery';
import { podLayout } from '../container/pod-layout.js';
import { ApiEventRecorder } from '../node/event-recorder.js';
import { KubeletFigures } from '../node/kubelet-figures.js';
import type { Pod } from '../pod/api.js';
import { SimulatedRuntime } from '../simulated/simulated-runtime.js';
import type { CgroupReader } from '../stats/cgroup-reader.js';
import type { FileSystemReading, MachineReading } from '../stats/machine-readings.js';
import { condition, NodeUnderTest } from '../testing/node-under-test.js';
import { closedTo } from './admit.js';
import { decide, NO_STATE, type Observations } from './decide.js';
import { Evictor, type EvictorOptions } from './evictor.js';
import { nodeUnderPressure } from './node-under-pressure.js';
import { type PodUse, rankPods } from './rank.js';
import { parseThresholds, type Signal } from './thresholds.js';
import { evictionMessage } from './words.js';

const Mi = 2 ** 20;

describe('thresholds as flags have them', () => {
  test('Kubernetes’ own unless others are given; zero switches one off', () => {
    expect(parseThresholds({}).map(({ signal, below, hard }) => [signal, below, hard])).toEqual([
      ['memory.available', { quantity: 100 * Mi, text: '100Mi' }, true],
      ['nodefs.available', { part: 0.1 }, true],
      ['nodefs.inodesFree', { part: 0.05 }, true],
      ['imagefs.available', { part: 0.15 }, true],
      ['imagefs.inodesFree', { part: 0.05 }, true],
    ]);
    expect(parseThresholds({ hard: '' })).toEqual([]);
    expect(parseThresholds({ hard: 'memory.available<0%, pid.available<10%' })).toMatchObject([
      { signal: 'pid.available' },
    ]);
  });

  test('soft ones with grace, and what is to be reclaimed', () => {
    const flags = {
      hard: 'nodefs.available<1Gi',
      soft: 'memory.available<1Gi',
      softGracePeriod: 'memory.available=1m30s',
      minimumReclaim: 'nodefs.available=500Mi',
    };
    expect(parseThresholds(flags)).toEqual([
      {
        signal: 'nodefs.available',
        below: { quantity: 1024 * Mi, text: '1Gi' },
        hard: true,
        graceMs: 0,
        reclaim: { quantity: 500 * Mi, text: '500Mi' },
      },
      { signal: 'memory.available', below: { quantity: 1024 * Mi, text: '1Gi' }, hard: false, graceMs: 90_000 },
    ]);
  });

  test.each([
    [{ hard: 'memory.free<1Gi' }, 'there is no signal memory.free; there are: memory.available'],
    [{ hard: 'memory.available' }, 'write memory.available<VALUE'],
    [{ hard: 'memory.available<lots' }, 'neither an amount such as 100Mi nor a percentage'],
    [{ hard: 'memory.available<101%' }, 'more than all there is'],
    [{ hard: 'pid.available<1,pid.available<2' }, 'pid.available is there twice'],
    [{ soft: 'memory.available<1Gi' }, 'has a soft threshold and no grace period'],
    [{ soft: 'memory.available<1Gi', softGracePeriod: 'memory.available=soon' }, 'no duration such as 1m30s'],
  ])('%j is refused', (flags, why) => expect(() => parseThresholds(flags)).toThrow(why));
});

describe('the decision', () => {
  const thresholds = parseThresholds({
    hard: 'memory.available<100,nodefs.available<10%',
    soft: 'memory.available<300',
    softGracePeriod: 'memory.available=1m',
    minimumReclaim: 'nodefs.available=50',
  });
  const memory = (available: number): Observations => ({ 'memory.available': { available, capacity: 1_000 } });
  const disk = (available: number): Observations => ({ 'nodefs.available': { available, capacity: 1_000 } });

  test('soft thresholds wait for their grace, hard ones do not, and memory goes first', () => {
    const first = decide(thresholds, memory(200), NO_STATE, 0, 300_000);
    expect([first.pressures, first.act]).toEqual([['MemoryPressure'], undefined]);
    expect(decide(thresholds, memory(200), first.state, 59_999, 300_000).act).toBeUndefined();
    expect(decide(thresholds, memory(200), first.state, 60_000, 300_000).act).toMatchObject({ hard: false });
    expect(decide(thresholds, { ...memory(50), ...disk(50) }, NO_STATE, 0, 300_000).act).toMatchObject({
      signal: 'memory.available',
      hard: true,
    });
    const better = decide(thresholds, memory(400), first.state, 30_000, 300_000);
    expect(decide(thresholds, memory(200), better.state, 61_000, 300_000).act).toBeUndefined();
  });

  test('a pressure lasts five minutes after it was seen last', () => {
    const { state } = decide(thresholds, disk(50), NO_STATE, 0, 300_000);
    const later = decide(thresholds, disk(900), state, 299_999, 300_000);
    expect([later.pressures, later.act]).toEqual([['DiskPressure'], undefined]);
    expect(decide(thresholds, disk(900), later.state, 300_000, 300_000).pressures).toEqual([]);
  });

  test('once met, the minimum is reclaimed as well; what cannot be read is not met', () => {
    const { state } = decide(thresholds, disk(99), NO_STATE, 0, 0);
    expect(decide(thresholds, disk(149), state, 1, 0).act).toMatchObject({ signal: 'nodefs.available' });
    expect(decide(thresholds, disk(150), state, 1, 0).act).toBeUndefined();
    expect(decide(thresholds, disk(149), NO_STATE, 1, 0).act).toBeUndefined();
    expect(decide(thresholds, {}, state, 1, 0)).toMatchObject({ act: undefined, pressures: [] });
  });
});

interface Asked {
  readonly priority?: number;
  readonly memory?: string;
}

const pod = (name: string, { priority, memory }: Asked = {}): Pod => ({
  metadata: { name, namespace: 'default', uid: name },
  spec: {
    ...(priority === undefined ? {} : { priority }),
    containers: [{ name: 'main', image: 'x', ...(memory ? { resources: { requests: { memory } } } : {}) }],
  },
});
const use = (name: string, memory: number, asked: Asked = {}, more: Partial<PodUse> = {}): PodUse => ({
  pod: pod(name, asked),
  memory,
  disk: 0,
  inodes: 0,
  processes: 0,
  containers: [],
  ...more,
});
const order = (uses: readonly PodUse[], signal: Signal) => rankPods(uses, signal).map((one) => one.pod.metadata.name);

describe('the order of pods', () => {
  test('above their request first, then the less important, then the furthest above', () => {
    const uses = [
      use('within', 90 * Mi, { memory: '100Mi' }),
      use('important', 900 * Mi, { memory: '1Mi', priority: 1000 }),
      use('little', 10 * Mi),
      use('much', 300 * Mi, { memory: '100Mi' }),
      use('within-and-low', 50 * Mi, { memory: '100Mi', priority: -5 }),
    ];
    expect(order(uses, 'memory.available')).toEqual(['much', 'little', 'important', 'within-and-low', 'within']);
  });

  test('of disks and processes by what they take of those', () => {
    const uses = [use('a', 900, {}, { disk: 5, processes: 1 }), use('b', 1, {}, { disk: 9, processes: 3, inodes: 1 })];
    expect(order(uses, 'nodefs.available')).toEqual(['b', 'a']);
    expect(order(uses, 'pid.available')).toEqual(['b', 'a']);
    expect(order([...uses, use('c', 0, { priority: -1 })], 'nodefs.inodesFree')).toEqual(['c', 'b', 'a']);
  });
});

test('why, in the kubelet’s words', () => {
  const [memory, disk] = parseThresholds({});
  const eater = use(
    'web',
    200 * Mi,
    { memory: '64Mi' },
    {
      disk: 3 * Mi,
      containers: [
        { name: 'main', memory: 200 * Mi, disk: 3 * Mi },
        { name: 'idle', memory: 0, disk: 0 },
      ],
    },
  );
  expect(evictionMessage(eater, memory!, { available: 52_400 * 1024, capacity: 2 ** 30 })).toBe(
    'The node was low on resource: memory. Threshold quantity: 100Mi, available: 52400Ki. Container main was using 200Mi, request is 64Mi, has larger consumption of memory. ',
  );
  expect(evictionMessage(eater, disk!, { available: 5 * Mi, capacity: 1_000 * Mi })).toBe(
    'The node was low on resource: ephemeral-storage. Threshold quantity: 100Mi, available: 5Mi. Container main was using 3Mi, request is 0, has larger consumption of ephemeral-storage. ',
  );
});

test('under pressure the door stays open to what does no harm', () => {
  const best = pod('best');
  const closed = { pressures: ['MemoryPressure'] } as const;
  expect(closedTo(best, closed)).toEqual({ reason: 'Evicted', message: 'The node had condition: [MemoryPressure]. ' });
  expect(closedTo(pod('asks', { memory: '1Mi' }), closed)).toBeUndefined();
  const toleration = { key: 'node.kubernetes.io/memory-pressure', operator: 'Exists', effect: 'NoSchedule' };
  expect(closedTo({ ...best, spec: { ...best.spec, tolerations: [toleration] } }, closed)).toBeUndefined();
  expect(closedTo(pod('asks', { memory: '1Mi' }), { pressures: ['DiskPressure'] })).toMatchObject({
    reason: 'Evicted',
  });
  expect(closedTo(pod('critical', { priority: 2_000_000_000 }), { pressures: ['DiskPressure'] })).toBeUndefined();
  expect(closedTo(pod('critical', { priority: 2_000_000_000 }), { shuttingDown: true })).toMatchObject({
    reason: 'NodeShutdown',
  });
});

/** A node whose memory and disk are what the test says, with an evictor at work. */
class Pressed {
  available = 8 * 2 ** 30;
  diskAvailable = 50 * 2 ** 30;
  readonly used = new Map<string, number>();
  readonly reclaimed: string[] = [];
  readonly signals: string[] = [];
  since = 0;
  onReclaim: () => void = () => {};
  evictor!: Evictor;

  private constructor(readonly node: NodeUnderTest) {}

  static async start(flags = {}, more: Partial<EvictorOptions> = {}): Promise<Pressed> {
    const thresholds = parseThresholds(flags);
    const node = new NodeUnderTest();
    const pressed = new Pressed(node);
    class Stubborn extends SimulatedRuntime {
      override async signal(id: string, signal: string): Promise<void> {
        pressed.signals.push(`${signal} at ${Math.floor((node.clock.now() - pressed.since) / 1_000)}`);
        if (signal === 'SIGKILL') this.exit(id, 137);
      }
    }
    Object.assign(node.options, { runtime: new Stubborn(node.clock) });
    await node.boot();
    pressed.since = node.clock.now();
    const { clock, client } = node;
    const cgroups: CgroupReader = {
      usage: (path) => ({ workingSet: pressed.#usedBy(path) }),
      read: (path) => ({
        memory: {
          usage: 0,
          workingSet: pressed.#usedBy(path),
          rss: 0,
          cache: 0,
          mappedFile: 0,
          pageFaults: 0,
          majorPageFaults: 0,
          oomKills: 0,
        },
      }),
    };
    const reclaim = async (what: string) => {
      pressed.reclaimed.push(what);
      pressed.onReclaim();
    };
    pressed.evictor = new Evictor({
      thresholds,
      clock,
      logger: silentLogger,
      ...more,
      node: nodeUnderPressure({
        nodeName: 'n1',
        pods: node.node!.pods,
        cgroups,
        layout: podLayout('/nowhere', '/nowhere/logs', undefined),
        imagesDir: '/nowhere',
        volumes: { pathOf: () => '/nowhere' },
        recorder: new ApiEventRecorder({
          client,
          clock,
          random: { bytes: () => new Uint8Array([pressed.#events++, 1]) } as never,
          logger: silentLogger,
          nodeName: 'n1',
        }),
        figures: new KubeletFigures('n1', 0, () => undefined),
        clock,
        logger: silentLogger,
        reclaim: { containers: () => reclaim('containers'), images: () => reclaim('images') },
        pressed: (now) => node.node!.pressed(now),
        machine: async () => pressed.#machine(),
        fileSystem: async () => pressed.#fileSystem(),
      }),
    });
    pressed.evictor.start();
    return pressed;
  }

  #events = 0;

  #usedBy(path: string): number {
    for (const [uid, bytes] of this.used) if (path.includes(uid)) return bytes;
    return 0;
  }

  #machine(): MachineReading {
    const total = 8 * 2 ** 30;
    const ended = this.node.node!.pods.workers().filter((worker) => !worker.active);
    const freed = ended.reduce((sum, { uid }) => sum + (this.used.get(uid) ?? 0), 0);
    const memory = {
      total,
      usage: 0,
      workingSet: total - this.available - freed,
      rss: 0,
      swapTotal: 0,
      swapUsed: 0,
      pageFaults: 0,
      majorPageFaults: 0,
    };
    return { cpuNanos: 0, memory, processes: { current: 10, max: 1000 } };
  }

  #fileSystem(): FileSystemReading {
    const capacityBytes = 100 * 2 ** 30;
    return {
      capacityBytes,
      availableBytes: this.diskAvailable,
      usedBytes: capacityBytes - this.diskAvailable,
      inodes: 0,
      inodesFree: 0,
    };
  }

  async run(name: string, used: number, spec: Partial<NonNullable<ApiPod['spec']>> = {}): Promise<void> {
    const made = await this.node.run({ name, containers: [{ name: 'main', image: 'x' }], ...spec } as never);
    this.used.set(made.metadata.uid!, used);
  }

  /** Virtual time goes on in steps, for some of what the evictor does takes turns of the event loop. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 100) {
      await this.node.clock.advance(Math.min(left, 100));
      await setImmediate();
    }
  }

  async until(name: string, phase: string): Promise<void> {
    while ((await this.node.status(name)).phase !== phase) await this.pass(1_000);
  }

  async conditions(): Promise<string[]> {
    const { status } = await this.node.client.get(Nodes, { name: 'n1' });
    return (status?.conditions ?? []).flatMap(({ type, status: is }) =>
      type !== 'Ready' && is === 'True' ? [type] : [],
    );
  }
}

describe('a node under pressure', () => {
  test('evicts one pod, tells everybody, and keeps the condition for five minutes', async () => {
    const pressed = await Pressed.start();
    const { node } = pressed;
    await pressed.run('small', 10 * Mi);
    await pressed.run('large', 500 * Mi);
    await pressed.run('critical', 900 * Mi, { priority: 2_000_000_001 } as never);
    pressed.available = 50 * Mi;
    node.client.log.length = 0;
    await pressed.until('large', 'Failed');
    const status = await node.status('large');
    expect(status).toMatchObject({
      phase: 'Failed',
      reason: 'Evicted',
      message:
        'The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. Container main was using 500Mi, request is 0, has larger consumption of memory. ',
    });
    expect(condition(status, 'DisruptionTarget')).toBe('True');
    expect(status.conditions?.find(({ type }) => type === 'DisruptionTarget')?.reason).toBe('TerminationByKubelet');
    expect(await node.events('large')).toContainEqual(
      expect.stringMatching(/^Evicted: The node was low on resource: memory/),
    );
    expect(await node.events('n1')).toEqual(
      expect.arrayContaining([
        'EvictionThresholdMet: Attempting to reclaim memory',
        'NodeHasInsufficientMemory: Node n1 status is now: NodeHasInsufficientMemory',
      ]),
    );
    expect(await pressed.conditions()).toEqual(['MemoryPressure']);
    const late = await node.run({ name: 'late', containers: [{ name: 'main', image: 'x' }] });
    expect(late.status).toMatchObject({
      phase: 'Failed',
      reason: 'Evicted',
      message: 'Pod was rejected: The node had condition: [MemoryPressure]. ',
    });
    await pressed.pass(285_000);
    expect(await pressed.conditions()).toEqual(['MemoryPressure']);
    await pressed.pass(40_000);
    expect(await pressed.conditions()).toEqual([]);
    expect((await node.status('small')).phase).toBe('Running');
    expect((await node.status('critical')).phase).toBe('Running');
    expect(pressed.reclaimed).toEqual([]);
    await node.stop();
    await node.boot();
    await node.clock.advance(1_000);
    const later = await node.status('large');
    expect([later.reason, later.message, condition(later, 'DisruptionTarget')]).toEqual([
      'Evicted',
      status.message,
      'True',
    ]);
  });

  test('short of disk, what nobody misses goes before any pod', async () => {
    const pressed = await Pressed.start();
    await pressed.run('web', 0);
    pressed.diskAvailable = 2 ** 30;
    pressed.onReclaim = () => {
      if (pressed.reclaimed.includes('images')) pressed.diskAvailable = 60 * 2 ** 30;
    };
    await pressed.pass(11_000);
    expect(pressed.reclaimed).toEqual(['containers', 'images']);
    expect(await pressed.conditions()).toEqual(['DiskPressure']);
    expect((await pressed.node.status('web')).phase).toBe('Running');
    pressed.onReclaim = () => {};
    pressed.diskAvailable = 2 ** 30;
    await pressed.until('web', 'Failed');
    expect((await pressed.node.status('web')).reason).toBe('Evicted');
  });

  test('at a soft threshold pods have their grace, up to what is allowed', async () => {
    const flags = { hard: '', soft: 'memory.available<1Gi', softGracePeriod: 'memory.available=30s' };
    const pressed = await Pressed.start(flags, { maxPodGraceMs: 5_000 });
    await pressed.run('web', 10 * Mi, { terminationGracePeriodSeconds: 60 });
    pressed.available = 500 * Mi;
    await pressed.until('web', 'Failed');
    expect(pressed.signals).toEqual(['SIGTERM at 40', 'SIGKILL at 45']);
    expect((await pressed.node.status('web')).reason).toBe('Evicted');
  });

  test('nothing is looked at where there is no threshold, nor after the end', async () => {
    const pressed = await Pressed.start({ hard: '' });
    await pressed.run('web', 10 * Mi);
    pressed.available = 0;
    await pressed.pass(30_000);
    expect((await pressed.node.status('web')).phase).toBe('Running');
    const stopped = await Pressed.start();
    await stopped.run('web', 10 * Mi);
    stopped.evictor.stop();
    stopped.available = 0;
    await stopped.pass(30_000);
    expect((await stopped.node.status('web')).phase).toBe('Running');
  });
});
