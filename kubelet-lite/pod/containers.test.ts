import { ContainerConfigError } from '../container/container-files.js';
import { type Image, ImageError } from '../images/image-store.js';
import { RuntimeError } from '../runtime/runtime.js';
import { SimulatedFiles, SimulatedImages } from '../simulated/simulated-node.js';
import { SimulatedRuntime } from '../simulated/simulated-runtime.js';
import { condition, NodeUnderTest } from '../testing/node-under-test.js';
import { PODS } from './api.js';

const web = { name: 'web', containers: [{ name: 'main', image: 'web:1' }] };
const main = async (node: NodeUnderTest, pod = 'web') => (await node.status(pod)).containerStatuses![0]!;

describe('a container that ends', () => {
  test('is restarted at once the first time, then after 1 s doubling, and says so', async () => {
    const node = await NodeUnderTest.start();
    const { uid } = (await node.run(web)).metadata;
    await node.exit('web', 'main', 137, { signal: 9 });
    await node.clock.advance(30);
    expect(await main(node)).toMatchObject({
      restartCount: 1,
      ready: true,
      state: { running: {} },
      lastState: { terminated: { exitCode: 137, reason: 'Error' } },
    });

    await node.exit('web', 'main', 1);
    await node.clock.advance(900);
    expect(await main(node)).toMatchObject({
      restartCount: 1,
      ready: false,
      state: {
        waiting: {
          reason: 'CrashLoopBackOff',
          message: `back-off 1s restarting failed container=main pod=web_default(${uid})`,
        },
      },
      lastState: { terminated: { exitCode: 1, reason: 'Error' } },
    });
    expect((await node.status('web')).phase).toBe('Running');
    expect(condition(await node.status('web'), 'Ready')).toBe('False');
    await node.clock.advance(150);
    expect(await main(node)).toMatchObject({ restartCount: 2, state: { running: {} } });

    await node.exit('web', 'main', 1);
    await node.clock.advance(1_900);
    expect((await main(node)).state?.waiting?.message).toContain('back-off 2s');
    await node.clock.advance(150);
    expect((await main(node)).restartCount).toBe(3);
    expect(await node.events('web')).toContain(
      `BackOff: Back-off restarting failed container main in pod web_default(${uid}) (x2)`,
    );
  });

  test('starts over with an immediate restart after ten good minutes', async () => {
    const node = await NodeUnderTest.start();
    await node.run(web);
    for (let i = 0; i < 2; i++) await node.exit('web', 'main', 1);
    await node.clock.advance(1_100);
    await node.clock.advance(600_000);
    await node.exit('web', 'main', 1);
    await node.clock.advance(30);
    expect(await main(node)).toMatchObject({ restartCount: 3, state: { running: {} } });
  });

  test('keeps its sandbox and address across restarts', async () => {
    const node = await NodeUnderTest.start();
    const before = await node.run(web);
    await node.exit('web', 'main', 0);
    const after = await node.settle('web');
    expect(after.status?.podIP).toBe(before.status?.podIP);
    expect(after.status?.containerStatuses?.[0]?.lastState?.terminated?.reason).toBe('Completed');
  });

  test('is restarted by its policy only, and the phase says how it went', async () => {
    const node = await NodeUnderTest.start();
    for (const [name, restartPolicy, code, phase] of [
      ['a', 'Never', 0, 'Succeeded'],
      ['b', 'Never', 3, 'Failed'],
      ['c', 'OnFailure', 0, 'Succeeded'],
    ] as const) {
      await node.run({ ...web, name, restartPolicy });
      await node.exit(name, 'main', code, { oomKilled: code === 3 });
      const status = (await node.settle(name)).status!;
      expect(status.phase).toBe(phase);
      expect(status.podIP).toBeTruthy();
      expect(status.containerStatuses?.[0]?.state?.terminated).toMatchObject({
        exitCode: code,
        reason: code === 0 ? 'Completed' : 'OOMKilled',
      });
      expect(condition(status, 'Ready')).toBe('False');
    }
    expect(await node.runtime.list()).toEqual([]);
  });
});

describe('a container that cannot start', () => {
  test('with a missing image says ErrImagePull, then ImagePullBackOff, and recovers when it is there', async () => {
    class Images extends SimulatedImages {
      there = false;
      override async find(reference: string): Promise<Image> {
        return this.there ? super.find(reference) : (undefined as unknown as Image);
      }
      override async pull(reference: string): Promise<Image> {
        throw new ImageError('ErrImagePull', reference, `no registry has "${reference}"`);
      }
    }
    const images = new Images();
    const node = await NodeUnderTest.start({ images });
    await node.run(web);
    expect((await main(node)).state?.waiting).toEqual({
      reason: 'ErrImagePull',
      message: 'no registry has "web:1"',
    });
    await node.clock.advance(1_500);
    expect((await main(node)).state?.waiting).toEqual({
      reason: 'ImagePullBackOff',
      message: 'Back-off pulling image "web:1": ErrImagePull: no registry has "web:1"',
    });
    expect((await node.status('web')).phase).toBe('Pending');
    expect(await node.events('web')).toEqual([
      'Pulling: Pulling image "web:1"',
      'Failed: Failed to pull image "web:1": no registry has "web:1"',
      'Failed: Error: ErrImagePull',
      'BackOff: Back-off pulling image "web:1"',
      'Failed: Error: ImagePullBackOff',
    ]);
    images.there = true;
    await node.clock.advance(10_000);
    expect((await node.status('web')).phase).toBe('Running');
  });

  test('names a bad image and an image that may not be pulled', async () => {
    class Empty extends SimulatedImages {
      override async find(): Promise<Image> {
        return undefined as unknown as Image;
      }
    }
    const node = await NodeUnderTest.start({ images: new Empty() });
    await node.run({ name: 'bad', containers: [{ name: 'main', image: 'Not An Image' }] });
    expect((await main(node, 'bad')).state?.waiting?.reason).toBe('InvalidImageName');
    await node.run({ name: 'never', containers: [{ name: 'main', image: 'web:1', imagePullPolicy: 'Never' }] });
    expect((await main(node, 'never')).state?.waiting).toEqual({
      reason: 'ErrImageNeverPull',
      message: 'Container image "web:1" is not present with pull policy of Never',
    });
    await node.delete('never');
    await node.clock.advance(50);
    expect(await node.exists('never')).toBe(false);
  });

  test('for a command that does not exist ends with StartError, the path and 128', async () => {
    class Runtime extends SimulatedRuntime {
      override async startContainer(): Promise<never> {
        throw new RuntimeError('exec', 'ENOENT', '/no/such');
      }
    }
    const clock = new NodeUnderTest().clock;
    const runtime = new Runtime(clock);
    const node = await NodeUnderTest.start({ runtime });
    await node.run({ ...web, restartPolicy: 'Never' });
    const { phase, containerStatuses } = await node.status('web');
    expect(phase).toBe('Failed');
    expect(containerStatuses![0]!.state!.terminated).toMatchObject({ exitCode: 128, reason: 'StartError' });
    expect(containerStatuses![0]!.state!.terminated!.message).toContain('/no/such');

    await node.run({ ...web, name: 'again' });
    await node.clock.advance(500);
    expect(await main(node, 'again')).toMatchObject({
      restartCount: 1,
      state: { waiting: { reason: 'CrashLoopBackOff' } },
      lastState: { terminated: { exitCode: 128, reason: 'StartError' } },
    });
  });

  test('for a missing config map says CreateContainerConfigError and starts once it is there', async () => {
    let there = false;
    class Files extends SimulatedFiles {
      override async prepare(request: Parameters<SimulatedFiles['prepare']>[0]) {
        if (!there) throw new ContainerConfigError('CreateContainerConfigError', 'configmap "settings" not found');
        return super.prepare(request);
      }
    }
    const node = await NodeUnderTest.start({ files: new Files() });
    await node.run(web);
    expect((await main(node)).state?.waiting).toEqual({
      reason: 'CreateContainerConfigError',
      message: 'configmap "settings" not found',
    });
    expect(await node.events('web')).toContain('Failed: Error: configmap "settings" not found');
    there = true;
    await node.clock.advance(5_000);
    expect(await main(node)).toMatchObject({ restartCount: 0, state: { running: {} } });
  });
});

describe('init containers and sidecars', () => {
  const pod = {
    name: 'web',
    initContainers: [
      { name: 'first', image: 'init:1' },
      { name: 'side', image: 'side:1', restartPolicy: 'Always' },
      { name: 'second', image: 'init:1' },
    ],
    containers: [{ name: 'main', image: 'web:1' }],
  };

  test('run one by one in order, and the pod tells where it stands', async () => {
    const node = await NodeUnderTest.start();
    await node.run(pod);
    let status = await node.status('web');
    expect(status.phase).toBe('Pending');
    expect(status.conditions?.find((c) => c.type === 'Initialized')).toMatchObject({
      status: 'False',
      reason: 'ContainersNotInitialized',
      message: 'containers with incomplete status: [first side second]',
    });
    expect(status.containerStatuses?.[0]?.state?.waiting?.reason).toBe('PodInitializing');
    expect(await node.containerId('web', 'second')).toBe('');

    await node.exit('web', 'first', 0);
    await node.clock.advance(30);
    status = await node.status('web');
    expect(status.initContainerStatuses?.map((s) => [s.name, s.ready, s.started])).toEqual([
      ['first', true, false],
      ['side', true, true],
      ['second', false, true],
    ]);
    expect(await node.containerId('web', 'main')).toBe('');
    await node.exit('web', 'second', 0);
    await node.clock.advance(30);
    status = await node.status('web');
    expect(status.phase).toBe('Running');
    expect(condition(status, 'Initialized')).toBe('True');
    expect(condition(status, 'Ready')).toBe('True');
  });

  test('a sidecar restarts on any exit and does not keep a pod from completing', async () => {
    const node = await NodeUnderTest.start();
    await node.run({ ...pod, restartPolicy: 'Never' });
    await node.exit('web', 'first', 0);
    await node.clock.advance(10);
    await node.exit('web', 'second', 0);
    await node.clock.advance(10);
    await node.exit('web', 'side', 0);
    await node.clock.advance(10);
    expect((await node.status('web')).initContainerStatuses?.[1]?.restartCount).toBe(1);
    await node.exit('web', 'main', 0);
    await node.clock.advance(30);
    expect((await node.status('web')).phase).toBe('Succeeded');
    expect(await node.runtime.list()).toEqual([]);
  });

  test('a failed init container fails a pod that never restarts, and is retried otherwise', async () => {
    const node = await NodeUnderTest.start();
    await node.run({ ...pod, restartPolicy: 'Never' });
    await node.exit('web', 'first', 2);
    await node.clock.advance(30);
    expect((await node.status('web')).phase).toBe('Failed');

    await node.run({ ...pod, name: 'retried' });
    await node.exit('retried', 'first', 2);
    await node.clock.advance(30);
    const status = await node.status('retried');
    expect(status.phase).toBe('Pending');
    expect(status.initContainerStatuses?.[0]).toMatchObject({ restartCount: 1, state: { running: {} } });
  });
});

test('a rule of RestartAllContainers begins the whole pod anew in its sandbox, init containers first', async () => {
  const node = await NodeUnderTest.start();
  const restartPolicyRules = [
    { action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [88] } },
    { action: 'Restart', exitCodes: { operator: 'In', values: [42] } },
  ];
  await node.run({
    name: 'web',
    restartPolicy: 'Never',
    initContainers: [{ name: 'init', image: 'init:1' }],
    containers: [
      { name: 'main', image: 'web:1', restartPolicy: 'Never', restartPolicyRules },
      { name: 'other', image: 'web:1' },
    ],
  });
  await node.exit('web', 'init', 0);
  await node.clock.advance(50);
  const { podIP } = await node.status('web');
  await node.exit('web', 'main', 42);
  await node.clock.advance(50);
  expect((await node.status('web')).containerStatuses?.map((s) => s.restartCount)).toEqual([1, 0]);
  await node.exit('web', 'main', 88);
  await node.clock.advance(50);
  let status = await node.status('web');
  expect(status.initContainerStatuses?.[0]).toMatchObject({ restartCount: 1, state: { running: {} } });
  expect(status.containerStatuses?.map((s) => s.state?.waiting?.reason)).toEqual([
    'PodInitializing',
    'PodInitializing',
  ]);
  expect(status.containerStatuses?.[0]?.lastState?.terminated?.exitCode).toBe(88);
  expect(condition(status, 'Initialized')).toBe('False');
  await node.exit('web', 'init', 0);
  await node.clock.advance(150);
  status = await node.status('web');
  expect(status).toMatchObject({ phase: 'Running', podIP });
  expect(status.containerStatuses?.map((s) => [s.restartCount, s.ready])).toEqual([
    [2, true],
    [1, true],
  ]);
  expect(condition(status, 'AllContainersRestarting')).toBeUndefined();
  await node.exit('web', 'main', 1);
  await node.exit('web', 'other', 0);
  await node.clock.advance(50);
  expect((await node.status('web')).phase).toBe('Failed');
});

test('a readiness gate keeps a pod from being ready until its condition is true', async () => {
  const node = await NodeUnderTest.start();
  const type = 'example.com/in-service';
  await node.run({ ...web, readinessGates: [{ conditionType: type }] });
  const ready = async () => (await node.status('web')).conditions?.find((c) => c.type === 'Ready');
  expect(await ready()).toMatchObject({
    status: 'False',
    reason: 'ReadinessGatesNotReady',
    message: `corresponding condition of pod readiness gate "${type}" does not exist.`,
  });
  const set = async (status: string) => {
    const body = { status: { conditions: [{ type, status }] } };
    await node.client.patch(PODS, { namespace: 'default', name: 'web' }, { type: 'strategic', body });
    await node.clock.advance(150);
  };
  await set('False');
  expect((await ready())?.message).toBe(`the status of pod readiness gate "${type}" is not "True", but False`);
  await set('True');
  expect(await ready()).toMatchObject({ status: 'True' });
  expect(condition(await node.status('web'), type)).toBe('True');
});

describe('a pod that changes while it runs', () => {
  test('a new image ends the container and starts the new one, whatever the policy', async () => {
    const node = await NodeUnderTest.start();
    await node.run({ ...web, restartPolicy: 'Never' });
    const spec = { containers: [{ name: 'main', image: 'web:2' }] };
    await node.client.patch(PODS, { namespace: 'default', name: 'web' }, { type: 'strategic', body: { spec } });
    await node.clock.advance(30);
    expect(await main(node)).toMatchObject({ restartCount: 1, image: 'web:2', state: { running: {} } });
    expect(await node.events('web')).toContain('Killing: Container main definition changed, will be restarted');
  });

  test('an ephemeral container joins, is never restarted and does not count', async () => {
    const node = await NodeUnderTest.start();
    await node.run(web);
    const spec = { ephemeralContainers: [{ name: 'debug', image: 'tool:1' }] };
    await node.client.patch(PODS, { namespace: 'default', name: 'web' }, { type: 'strategic', body: { spec } });
    await node.clock.advance(200);
    expect((await node.status('web')).ephemeralContainerStatuses?.[0]).toMatchObject({
      name: 'debug',
      state: { running: {} },
    });
    await node.exit('web', 'debug', 1);
    await node.clock.advance(5_000);
    const status = await node.status('web');
    expect(status.ephemeralContainerStatuses?.[0]?.state?.terminated?.exitCode).toBe(1);
    expect(condition(status, 'Ready')).toBe('True');
  });
});
