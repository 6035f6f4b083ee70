import type { Container, LifecycleHandler } from '@trimtab/machinery';
import { ImageError } from '../images/image-store.js';
import type { ProbeTarget } from '../probes/prober.js';
import { SimulatedImages, SimulatedProber } from '../simulated/simulated-node.js';
import { SimulatedRuntime } from '../simulated/simulated-runtime.js';
import { condition, NodeUnderTest } from '../testing/node-under-test.js';
import { PODS } from './api.js';

/** Ignores SIGTERM unless told to obey; writes down every signal and hook with its second. */
class StubbornNode {
  readonly seen: string[] = [];
  readonly obeys = new Set<string>();
  node!: NodeUnderTest;
  #start = 0;

  static async start(hook?: (name: string) => Promise<unknown>): Promise<StubbornNode> {
    const self = new StubbornNode();
    const clockOwner = new NodeUnderTest();
    const note = (text: string) => self.seen.push(`${(clockOwner.clock.now() - self.#start) / 1000}s ${text}`);
    class Runtime extends SimulatedRuntime {
      override async signal(id: string, signal: string): Promise<void> {
        const name = id.split('-').at(-2)!;
        note(`${signal} ${name}`);
        if (signal === 'SIGKILL' || self.obeys.has(name)) this.exit(id, signal === 'SIGKILL' ? 137 : 0);
      }
    }
    class Prober extends SimulatedProber {
      override async hook(_handler: LifecycleHandler, target: ProbeTarget) {
        note(`hook ${target.container.name}`);
        const result = (await hook?.(target.container.name)) === 'failure' ? 'failure' : 'success';
        return { result, output: '' } as const;
      }
    }
    const runtime = new Runtime(clockOwner.clock);
    Object.assign(clockOwner.options, { runtime, prober: new Prober() });
    self.node = clockOwner;
    await clockOwner.boot();
    return self;
  }

  async deleteNow(pod: string, grace?: number): Promise<void> {
    this.#start = this.node.clock.now();
    await this.node.delete(pod, grace);
    await this.node.clock.advance(0);
  }
}

const preStop: Container['lifecycle'] = { preStop: { exec: { command: ['true'] } } };

describe('termination', () => {
  test('SIGTERM, the whole grace, SIGKILL, and only then the object goes', async () => {
    const t = await StubbornNode.start();
    await t.node.run({
      name: 'web',
      terminationGracePeriodSeconds: 10,
      containers: [{ name: 'main', image: 'web:1' }],
    });
    await t.deleteNow('web');
    await t.node.clock.advance(9_900);
    expect(t.seen).toEqual(['0s SIGTERM main']);
    expect((await t.node.status('web')).phase).toBe('Running');
    await t.node.clock.advance(200);
    expect(t.seen).toEqual(['0s SIGTERM main', '10s SIGKILL main']);
    expect(await t.node.exists('web')).toBe(false);
    expect(await t.node.events('web')).toContain('Killing: Stopping container main');
  });

  test('the countdown starts before preStop, and at least two seconds are left for the signal', async () => {
    const t = await StubbornNode.start(() => new Promise(() => {}));
    const containers = [{ name: 'main', image: 'web:1', lifecycle: preStop }];
    await t.node.run({ name: 'web', terminationGracePeriodSeconds: 5, containers });
    await t.deleteNow('web');
    await t.node.clock.advance(10_000);
    expect(t.seen).toEqual(['0s hook main', '5s SIGTERM main', '7s SIGKILL main']);
  });

  test('a container whose postStart hook fails is killed for it, with its preStop hook and the grace of its pod', async () => {
    let first = true;
    const t = await StubbornNode.start(async () => {
      const failed = first;
      first = false;
      return failed ? 'failure' : undefined;
    });
    const lifecycle = { postStart: { exec: { command: ['warm-up'] } }, ...preStop };
    const containers = [{ name: 'main', image: 'web:1', lifecycle }];
    await t.node.run({ name: 'web', terminationGracePeriodSeconds: 9, containers });
    await t.node.clock.advance(9_500);
    expect(t.seen.map((text) => text.replace(/^\S+ /, ''))).toEqual([
      'hook main',
      'hook main',
      'SIGTERM main',
      'SIGKILL main',
      'hook main',
    ]);
    expect(Number.parseFloat(t.seen[3]!) - Number.parseFloat(t.seen[2]!)).toBe(9);
    expect(await t.node.events('web')).toEqual(
      expect.arrayContaining(['FailedPostStartHook: PostStartHook failed', 'Killing: FailedPostStartHook']),
    );
  });

  test('a shorter grace given later is taken over', async () => {
    const t = await StubbornNode.start();
    await t.node.run({ name: 'web', containers: [{ name: 'main', image: 'web:1' }] });
    await t.deleteNow('web');
    await t.node.clock.advance(5_000);
    await t.node.delete('web', 3);
    await t.node.clock.advance(3_100);
    expect(t.seen.at(-1)).toBe('8s SIGKILL main');
    expect(await t.node.exists('web')).toBe(false);
  });

  test('sidecars hear of it last, one by one in reverse order', async () => {
    const t = await StubbornNode.start();
    t.obeys.add('side1').add('side2');
    await t.node.run({
      name: 'web',
      initContainers: ['side1', 'side2'].map((name) => ({
        name,
        image: 'side:1',
        restartPolicy: 'Always',
        lifecycle: preStop,
      })),
      containers: ['main', 'other'].map((name) => ({ name, image: 'web:1' })),
    });
    await t.deleteNow('web');
    expect(t.seen).toEqual(['0s hook side1', '0s hook side2', '0s SIGTERM main', '0s SIGTERM other']);
    await t.node.clock.advance(2_000);
    await t.node.exit('web', 'other', 0);
    await t.node.clock.advance(2_000);
    expect(t.seen).toHaveLength(4);
    await t.node.exit('web', 'main', 0);
    await t.node.clock.advance(100);
    expect(t.seen.slice(4)).toEqual(['4s SIGTERM side2', '4s SIGTERM side1']);
    expect(await t.node.exists('web')).toBe(false);
  });

  test('an object that is gone at once still ends in an orderly way', async () => {
    const t = await StubbornNode.start();
    await t.node.run({ name: 'web', containers: [{ name: 'main', image: 'web:1' }] });
    await t.deleteNow('web', 0);
    expect(await t.node.exists('web')).toBe(false);
    expect(t.seen).toEqual(['0s SIGTERM main']);
    await t.node.clock.advance(31_000);
    expect(t.seen).toContain('30s SIGKILL main');
    expect(t.node.node?.pods.workers()).toEqual([]);
  });

  test('activeDeadlineSeconds ends the pod as Failed', async () => {
    const node = await NodeUnderTest.start();
    await node.run({ name: 'web', activeDeadlineSeconds: 60, containers: [{ name: 'main', image: 'web:1' }] });
    await node.clock.advance(59_000);
    expect((await node.status('web')).phase).toBe('Running');
    await node.clock.advance(1_500);
    expect(await node.status('web')).toMatchObject({
      phase: 'Failed',
      reason: 'DeadlineExceeded',
      message: 'Pod was active on the node longer than the specified deadline',
    });
    expect(await node.exists('web')).toBe(true);
    await node.delete('web');
    await node.clock.advance(50);
    expect(await node.exists('web')).toBe(false);
  });
});

describe('the pod process dies', () => {
  test.each(['Always', 'Never'] as const)(
    'while the pod is being ended: nothing of it runs any more, and it goes (%s)',
    async (restartPolicy) => {
      const t = await StubbornNode.start();
      const pod = await t.node.run({ name: 'web', restartPolicy, containers: [{ name: 'main', image: 'web:1' }] });
      await t.deleteNow('web');
      expect(t.seen).toEqual(['0s SIGTERM main']);
      t.node.runtime.killSandbox(pod.metadata.uid!);
      await t.node.clock.advance(100);
      expect(await t.node.exists('web')).toBe(false);
      expect(await t.node.runtime.list()).toEqual([]);
      expect(t.seen).toEqual(['0s SIGTERM main']);
    },
  );

  test('while a main container ends before its sidecars: they are gone with it', async () => {
    const t = await StubbornNode.start();
    const pod = await t.node.run({
      name: 'web',
      initContainers: [{ name: 'side', image: 'side:1', restartPolicy: 'Always' }],
      containers: [{ name: 'main', image: 'web:1' }],
    });
    await t.deleteNow('web');
    t.node.runtime.killSandbox(pod.metadata.uid!);
    await t.node.clock.advance(100);
    expect(await t.node.exists('web')).toBe(false);
  });
});

describe('the pod process of a pod that is never restarted dies', () => {
  const never = { name: 'job', restartPolicy: 'Never' } as const;
  const statuses = async (node: NodeUnderTest) =>
    (await node.status('job')).containerStatuses?.map((c) => [c.name, c.restartCount, Object.keys(c.state ?? {})[0]]);

  test('before anything of it has run: it is made anew', async () => {
    const images = new SimulatedImages();
    const find = images.find.bind(images);
    let there = false;
    images.find = async (reference) => {
      if (!there) throw new ImageError('ErrImagePull', reference, `no registry has "${reference}"`);
      return find(reference);
    };
    const node = await NodeUnderTest.start({ images });
    const pod = await node.run({ ...never, containers: [{ name: 'main', image: 'web:1' }] });
    node.runtime.killSandbox(pod.metadata.uid!);
    there = true;
    await node.settle('job', 1_000);
    expect(await node.runtime.list()).toMatchObject([{ state: 'ready' }]);
    expect(await statuses(node)).toEqual([['main', 0, 'running']]);
  });

  test('what had begun has failed, and the pod with it', async () => {
    const node = await NodeUnderTest.start();
    const sidecar = { name: 'side', image: 'side:1', restartPolicy: 'Always' };
    const containers = ['main', 'other'].map((name) => ({ name, image: 'web:1' }));
    const pod = await node.run({ ...never, initContainers: [sidecar], containers });
    await node.exit('job', 'other', 0);
    node.runtime.killSandbox(pod.metadata.uid!);
    await node.settle('job', 1_000);
    expect((await node.status('job')).phase).toBe('Failed');
    expect((await node.status('job')).containerStatuses).toMatchObject([
      { name: 'main', restartCount: 0, state: { terminated: { exitCode: 137 } } },
      { name: 'other', restartCount: 0, state: { terminated: { exitCode: 0 } } },
    ]);
    expect(await node.runtime.list()).toEqual([]);
  });

  test('a container with a policy of its own runs again, those without do not', async () => {
    const node = await NodeUnderTest.start();
    const pod = await node.run({
      ...never,
      containers: [
        { name: 'main', image: 'web:1', restartPolicy: 'Always' },
        { name: 'other', image: 'web:1' },
        { name: 'done', image: 'web:1' },
      ],
    });
    await node.exit('job', 'done', 0);
    node.runtime.killSandbox(pod.metadata.uid!);
    await node.settle('job', 1_000);
    expect(await statuses(node)).toEqual([
      ['main', 1, 'running'],
      ['other', 0, 'terminated'],
      ['done', 0, 'terminated'],
    ]);
  });
});

describe('kubelet restarts', () => {
  test('running pods are adopted as they are; what ended meanwhile is noticed; what nobody wants goes', async () => {
    const node = await NodeUnderTest.start();
    await node.run({ name: 'kept', containers: [{ name: 'main', image: 'web:1' }] });
    await node.run({ name: 'crashed', containers: [{ name: 'main', image: 'web:1' }] });
    await node.run({ name: 'orphan', containers: [{ name: 'main', image: 'web:1' }] });
    const id = await node.containerId('kept', 'main');
    const crashed = await node.containerId('crashed', 'main');
    await node.stop();
    node.runtime.exit(crashed, 7);
    await node.client.delete(PODS, { namespace: 'default', name: 'orphan' }, { gracePeriodSeconds: 0 });
    node.client.log.length = 0;

    await node.boot();
    await node.clock.advance(50);
    expect(await node.containerId('kept', 'main')).toBe(id);
    expect(await node.runtime.list()).toHaveLength(2);
    const status = await node.status('kept');
    expect(status.containerStatuses?.[0]).toMatchObject({ restartCount: 0, ready: true });
    expect(condition(status, 'Ready')).toBe('True');
    const uid = (await node.pod('kept')).metadata.uid;
    expect(node.client.log.filter((line) => line.includes(uid!))).toEqual([]);
    expect((await node.status('crashed')).containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      lastState: { terminated: { exitCode: 7 } },
      state: { running: {} },
    });
    // What is left of the one that ended goes when the next has started.
    expect((await node.runtime.list()).map(({ containers }) => containers.length)).toEqual([1, 1]);
  });

  test('a container whose start nobody was told of is ready where no probe says otherwise', async () => {
    const node = await NodeUnderTest.start();
    await node.run({ name: 'web', containers: [{ name: 'main', image: 'web:1' }] });
    await node.stop();
    const status = { phase: 'Pending', containerStatuses: [] };
    await node.client.patch(PODS, { namespace: 'default', name: 'web' }, { type: 'strategic', body: { status } });
    await node.boot();
    await node.clock.advance(200);
    expect((await node.status('web')).containerStatuses?.[0]).toMatchObject({ started: true, ready: true });
  });

  test('an adopted pod with init containers is not taken for one that is to be resized', async () => {
    const node = await NodeUnderTest.start();
    const resources = { requests: { cpu: '1' } };
    const initContainers = [{ name: 'init', image: 'init:1', resources }];
    await node.run({ name: 'web', initContainers, containers: [{ name: 'main', image: 'web:1', resources }] });
    await node.exit('web', 'init', 0);
    await node.clock.advance(50);
    await node.stop();
    await node.boot();
    await node.clock.advance(200);
    expect((await node.events('web')).filter((event) => event.startsWith('Resize'))).toEqual([]);
  });

  test('an end that the API could not be told of is known to the next one', async () => {
    const node = await NodeUnderTest.start();
    await node.run({ name: 'job', restartPolicy: 'Never', containers: [{ name: 'main', image: 'web:1' }] });
    const patch = node.client.patch.bind(node.client);
    node.client.patch = () => Promise.reject(new Error('connection refused'));
    await node.exit('job', 'main', 0);
    await node.clock.advance(5_000);
    await node.stop();
    node.client.patch = patch;
    await node.boot();
    const { status } = await node.settle('job', 200);
    expect(status).toMatchObject({
      phase: 'Succeeded',
      containerStatuses: [{ state: { terminated: { exitCode: 0 } } }],
    });
    expect(await node.runtime.list()).toEqual([]);
  });

  test('a deletion asked for meanwhile is carried out', async () => {
    const node = await NodeUnderTest.start();
    await node.run({ name: 'web', containers: [{ name: 'main', image: 'web:1' }] });
    await node.stop();
    await node.delete('web');
    await node.boot();
    await node.clock.advance(50);
    expect(await node.exists('web')).toBe(false);
    expect(await node.runtime.list()).toEqual([]);
  });

  test('what cannot be removed of a pod that is gone is tried again', async () => {
    const node = await NodeUnderTest.start();
    await node.run({ name: 'orphan', containers: [{ name: 'main', image: 'web:1' }] });
    await node.stop();
    await node.client.delete(PODS, { namespace: 'default', name: 'orphan' }, { gracePeriodSeconds: 0 });
    const remove = node.runtime.removeSandbox.bind(node.runtime);
    let failures = 2;
    node.runtime.removeSandbox = (id) => (failures-- > 0 ? Promise.reject(new Error('ECONNRESET')) : remove(id));
    await node.boot();
    expect(await node.runtime.list()).toHaveLength(1);
    await node.clock.advance(11_000);
    expect(await node.runtime.list()).toEqual([]);
  });

  test('a dead sandbox is made again in place and counts as a restart', async () => {
    const node = await NodeUnderTest.start();
    const pod = await node.run({ name: 'web', containers: [{ name: 'main', image: 'web:1' }] });
    node.runtime.killSandbox(pod.metadata.uid!);
    const after = await node.settle('web');
    expect(after.status).toMatchObject({
      phase: 'Running',
      containerStatuses: [{ restartCount: 1, ready: true, lastState: { terminated: { exitCode: 137 } } }],
    });
    expect(await node.events('web')).toContain(
      'SandboxChanged: Pod sandbox changed, it will be killed and re-created.',
    );
  });
});

describe('admission', () => {
  test.each([
    [{ os: { name: 'windows' } }, 'PodOSNotSupported', 'windows'],
    [{ nodeSelector: { disk: 'ssd' } }, 'NodeAffinity', 'node affinity'],
    [{ securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '1' }] } }, 'SysctlForbidden', '"kernel.msgmax"'],
    [
      { containers: [{ name: 'm', image: 'web:1', resources: { requests: { cpu: '99' } } }] },
      'OutOfcpu',
      'requested: 99000',
    ],
  ])('%j is refused as %s', async (spec, reason, text) => {
    const node = await NodeUnderTest.start();
    const pod = await node.run({ name: 'web', containers: [{ name: 'm', image: 'web:1' }], ...spec });
    expect(pod.status).toMatchObject({ phase: 'Failed', reason });
    expect(pod.status?.message).toContain(text);
    expect(pod.status?.message).toMatch(/^Pod was rejected: /);
    expect((await node.events('web'))[0]).toMatch(new RegExp(`^${reason}: `));
    expect(await node.runtime.list()).toEqual([]);
    await node.delete('web');
    await node.clock.advance(50);
    expect(await node.exists('web')).toBe(false);
  });
});
