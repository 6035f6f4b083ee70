import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import type { LogOptions } from '@trimtab/client';
import type { Container, PodSpec, PodStatus } from '@trimtab/machinery';
import { ConfigMaps, seededRandom, silentLogger, sleep, systemClock } from '@trimtab/machinery';
import type { Image } from './images/image-store.js';
import { type Kubelet, startKubelet } from './kubelet.js';
import { PODS, type Pod } from './pod/api.js';
import type { NativeRuntime } from './runtime/native/index.js';
import { type TestPods, testPods, whyNoPods } from './runtime/native/test-pods.js';
import { SimulatedImages, SimulatedNetwork } from './simulated/simulated-node.js';
import { MemoryClient } from './testing/memory-client.js';
import { testMachine } from './testing/node-under-test.js';

/** The kubelet over the native core: real processes of a busybox image, without a network plugin. */
class RealNode {
  readonly client = new MemoryClient(systemClock);
  kubelet!: Kubelet;

  constructor(readonly pods: TestPods) {}

  async boot(runtime: NativeRuntime = this.pods.runtime): Promise<void> {
    const { layer, dir } = this.pods;
    class Busybox extends SimulatedImages {
      override async find(reference: string): Promise<Image> {
        return { ...(await super.find(reference)), layers: [layer], config: { Env: ['PATH=/bin'] } };
      }
    }
    this.kubelet = await startKubelet({
      client: this.client,
      runtime,
      network: new SimulatedNetwork(),
      images: new Busybox(),
      nodeName: 'n1',
      nodeIP: '127.0.0.1',
      clock: systemClock,
      random: seededRandom(1),
      logger: silentLogger,
      machine: testMachine,
      rootDir: join(dir, 'root'),
      memoryDir: join('/dev/shm', dir.replaceAll('/', '_')),
      clusterDns: ['10.96.0.10'],
      clusterDomain: 'cluster.local',
    });
  }

  async run(name: string, container: Partial<Container>, spec: Partial<PodSpec> = {}): Promise<void> {
    await this.client.create(PODS, {
      metadata: { namespace: 'default', name },
      spec: { nodeName: 'n1', containers: [{ name: 'main', image: 'busybox:1', ...container }], ...spec },
      status: { phase: 'Pending' },
    });
  }

  until(name: string, done: (status: PodStatus) => boolean): Promise<Pod> {
    return new Promise((resolve) => {
      const subscription = this.client.watch(PODS, { sendInitialEvents: true }).subscribe(({ type, object }) => {
        if (type === 'BOOKMARK' || object.metadata.name !== name || !done((object as Pod).status ?? {})) return;
        queueMicrotask(() => subscription.unsubscribe());
        resolve(object as Pod);
      });
    });
  }

  running(name: string): Promise<Pod> {
    return this.until(name, (status) => status.phase === 'Running');
  }

  async logs(pod: Pod, options: Partial<LogOptions> = {}): Promise<string> {
    const { namespace = '', name = '', uid = '' } = pod.metadata;
    const signal = new AbortController().signal;
    const parts: Buffer[] = [];
    const stream = await this.kubelet.streams.logs({ namespace, name, uid }, { container: 'main', ...options }, signal);
    for await (const part of stream) parts.push(part as Buffer);
    return Buffer.concat(parts).toString();
  }

  async exec(pod: Pod, ...command: string[]): Promise<string> {
    const { namespace = '', name = '', uid = '' } = pod.metadata;
    const io = { container: 'main', stdin: false, stdout: true, stderr: true, tty: false };
    const process = await this.kubelet.streams.exec({ namespace, name, uid }, { ...io, command });
    const parts: Buffer[] = [];
    for await (const part of process.stdout!) parts.push(part as Buffer);
    await process.exit;
    return Buffer.concat(parts).toString();
  }

  async delete(name: string, grace?: number): Promise<void> {
    const gone = new Promise<void>((resolve) => {
      const subscription = this.client.watch(PODS, {}).subscribe(({ type, object }) => {
        if (type !== 'DELETED' || object.metadata.name !== name) return;
        queueMicrotask(() => subscription.unsubscribe());
        resolve();
      });
    });
    await this.client.delete(
      PODS,
      { namespace: 'default', name },
      grace === undefined ? {} : { gracePeriodSeconds: grace },
    );
    await gone;
  }
}

const real = whyNoPods() ? describe.skip : describe;

real('real pods', () => {
  let node: RealNode;
  beforeAll(async () => {
    node = new RealNode(await testPods());
    await node.boot();
  });
  afterAll(async () => {
    await node.kubelet.stop();
    await node.pods.close();
    await fs.rm(join('/dev/shm', node.pods.dir.replaceAll('/', '_')), { recursive: true, force: true });
  });

  test('run, are seen into, and go away without a trace', async () => {
    await node.client.create(ConfigMaps, {
      metadata: { namespace: 'default', name: 'settings' },
      data: { color: 'red' },
    });
    await node.run(
      'web',
      {
        command: ['sh', '-c', 'trap "exit 0" TERM; echo hello $COLOR; while :; do sleep 0.05; done'],
        env: [{ name: 'COLOR', valueFrom: { configMapKeyRef: { name: 'settings', key: 'color' } } }],
        resources: { limits: { memory: '32Mi', cpu: '200m' } },
        securityContext: { runAsUser: 1000 },
        volumeMounts: [
          { name: 'config', mountPath: '/config', readOnly: true },
          { name: 'data', mountPath: '/data', subPath: 'a/b' },
          { name: 'memory', mountPath: '/memory' },
        ],
      },
      {
        securityContext: { fsGroup: 2000 },
        volumes: [
          { name: 'config', configMap: { name: 'settings' } },
          { name: 'data', emptyDir: {} },
          { name: 'memory', emptyDir: { medium: 'Memory' } },
        ],
      },
    );
    const pod = await node.running('web');
    const looked = await node.exec(
      pod,
      'sh',
      '-c',
      'id; hostname; cat /config/color; echo; tail -n 1 /etc/hosts; grep search /etc/resolv.conf; ls -ld /data; stat -f -c %T /memory /dev/shm; touch /memory/x && ls -l /memory/x; touch /config/x; grep NoNewPrivs /proc/1/status; grep Seccomp: /proc/1/status',
    );
    expect(looked).toContain('uid=1000 gid=0 groups=0,2000');
    expect(looked).toContain('web\nred\n');
    expect(looked).toContain('search default.svc.cluster.local svc.cluster.local cluster.local');
    expect(looked).toMatch(/drwxrwsrwx .* 2000 .* \/data\ntmpfs\ntmpfs\n/);
    expect(looked).toContain('Seccomp:\t2');
    // It runs when it has been told to: what it says comes when it has been given a processor.
    for (let n = 0; n < 1_000 && (await node.logs(pod)) === ''; n++) await sleep(systemClock, 50);
    expect(await node.logs(pod)).toBe('hello red\n');
    await node.delete('web');
    expect(await node.pods.runtime.list()).toEqual([]);
    expect(await fs.readdir(join(node.pods.dir, 'root/pods'))).toEqual([]);
  });

  // What came before the news that the program runs was thrown away: about one exec in a thousand on a busy machine said nothing.
  test('an exec that says something at once is heard, every time', async () => {
    await node.run('asked', { command: ['sleep', '1000'] });
    const pod = await node.running('asked');
    const ask = async () => {
      for (let n = 0; n < 200; n++) expect(await node.exec(pod, 'echo', String(n))).toBe(`${n}\n`);
    };
    await Promise.all([ask(), ask(), ask(), ask()]);
    await node.delete('asked', 1);
  });

  test('a container killed with -9 runs again, with its address', async () => {
    await node.run('crash', { command: ['sleep', '1000'] });
    const before = await node.running('crash');
    const sandbox = (await node.pods.runtime.list()).find((s) => s.id === before.metadata.uid)!;
    const { pid } = sandbox.containers[0]!;
    process.kill(pid, 'SIGKILL');
    const after = await node.until('crash', (s) => s.containerStatuses?.[0]?.restartCount === 1);
    expect(after.status).toMatchObject({
      podIP: before.status?.podIP,
      containerStatuses: [{ state: { running: {} }, lastState: { terminated: { exitCode: 137, reason: 'Error' } } }],
    });
    await node.delete('crash', 1);
  });

  test('ends are told as they were: exit codes, messages, a missing command, out of memory', async () => {
    await node.run(
      'message',
      { command: ['sh', '-c', 'echo -n why > /dev/termination-log; exit 3'] },
      { restartPolicy: 'Never' },
    );
    await node.run(
      'fallback',
      { command: ['sh', '-c', 'echo from the log; exit 1'], terminationMessagePolicy: 'FallbackToLogsOnError' },
      { restartPolicy: 'Never' },
    );
    await node.run('missing', { command: ['/no/such'] }, { restartPolicy: 'Never' });
    const ended = async (name: string) =>
      (await node.until(name, (s) => s.phase === 'Failed' || s.phase === 'Succeeded')).status?.containerStatuses?.[0]
        ?.state?.terminated;
    expect(await ended('message')).toMatchObject({ exitCode: 3, reason: 'Error', message: 'why' });
    expect(await ended('fallback')).toMatchObject({ exitCode: 1, message: 'from the log\n' });
    const missing = await ended('missing');
    expect(missing).toMatchObject({ exitCode: 128, reason: 'StartError' });
    expect(missing?.message).toContain('/no/such');
    expect(missing?.containerID).toMatch(/^trimtab:\/\/.*-main-0$/);
    for (const name of ['message', 'fallback', 'missing']) await node.delete(name);
  });

  test('hostUsers: false gives a pod ids of its own, which it keeps, and volumes and images as if they were the node’s', async () => {
    const ids = async (pod: Pod) => {
      const of = (await node.pods.runtime.list()).find((s) => s.id === pod.metadata.uid)!;
      const status = await fs.readFile(`/proc/${of.containers.at(-1)!.pid}/status`, 'utf8');
      return /Uid:\t(\d+)/.exec(status)![1]!;
    };
    const run = (name: string) =>
      node.run(
        name,
        {
          command: ['sh', '-c', 'echo "$(id -u)" > /dev/termination-log; sleep 1000'],
          volumeMounts: [
            { name: 'data', mountPath: '/data' },
            { name: 'memory', mountPath: '/memory' },
            { name: 'config', mountPath: '/config' },
            { name: 'host', mountPath: '/host', subPath: 'sub' },
          ],
        },
        {
          hostUsers: false,
          securityContext: { fsGroup: 2000 },
          volumes: [
            { name: 'data', emptyDir: {} },
            { name: 'memory', emptyDir: { medium: 'Memory' } },
            { name: 'config', configMap: { name: 'colors' } },
            { name: 'host', hostPath: { path: join(node.pods.dir, 'shared') } },
          ],
        },
      );
    await node.client.create(ConfigMaps, {
      metadata: { namespace: 'default', name: 'colors' },
      data: { color: 'red' },
    });
    await fs.mkdir(join(node.pods.dir, 'shared/sub'), { recursive: true });
    await Promise.all(['mapped-a', 'mapped-b'].map(run));
    const pods = await Promise.all(['mapped-a', 'mapped-b'].map((name) => node.running(name)));
    const given = await Promise.all(pods.map(ids));
    expect(new Set(given).size).toBe(2);
    for (const id of given) expect([Number(id) % 65_536, Number(id) >= 65_536]).toEqual([0, true]);
    const looked = await node.exec(
      pods[0]!,
      'sh',
      '-c',
      'id -u; id -G; stat -c "%u:%g %n" / /bin/sh /data /memory /host /etc/hosts /dev/termination-log; cat /config/color; echo; echo made > /host/made && chown 5 /host/made; touch /data/x /memory/x; cat /proc/self/uid_map',
    );
    expect(looked).toContain(
      '0\n0 2000\n0:0 /\n0:0 /bin/sh\n0:2000 /data\n0:2000 /memory\n0:0 /host\n0:0 /etc/hosts\n0:0 /dev/termination-log\nred\n',
    );
    expect(looked).toMatch(new RegExp(` 0 +${given[0]} +65536\\n$`));
    // What it writes to a volume is written as anybody would; what it writes elsewhere belongs to nobody of the node.
    expect((await fs.stat(join(node.pods.dir, 'shared/sub/made'))).uid).toBe(5);
    const sandbox = (await node.pods.runtime.list()).find((s) => s.id === pods[0]!.metadata.uid)!;
    process.kill(sandbox.pid, 'SIGKILL');
    const again = await node.until(
      'mapped-a',
      (s) =>
        s.phase === 'Running' &&
        s.containerStatuses?.[0]?.restartCount === 1 &&
        !!s.containerStatuses[0].state?.running,
    );
    expect(await ids(again)).toBe(given[0]);
    for (const name of ['mapped-a', 'mapped-b']) await node.delete(name, 1);
    expect(await fs.readdir(join(node.pods.dir, 'root/pods'))).toEqual([]);
  });

  test('an ephemeral container sees the processes of its target', async () => {
    await node.run('web', { command: ['sleep', '1234'] });
    const pod = await node.running('web');
    const debug = { name: 'debug', image: 'busybox:1', command: ['sleep', '1000'], targetContainerName: 'main' };
    const lonely = { ...debug, name: 'lonely', targetContainerName: 'nobody' };
    const body = { spec: { ephemeralContainers: [debug, lonely] } };
    await node.client.patch(PODS, { namespace: 'default', name: 'web' }, { type: 'strategic', body });
    const state = (status: PodStatus, name: string) =>
      status.ephemeralContainerStatuses?.find((s) => s.name === name)?.state;
    const { status } = await node.until(
      'web',
      (s) => state(s, 'debug')?.running !== undefined && state(s, 'lonely')?.waiting?.reason === 'CreateContainerError',
    );
    expect(state(status!, 'lonely')?.waiting?.message).toBe('unable to find target container nobody: it does not run');
    expect(await node.exec(pod, 'ps', '-o', 'args')).toContain('sleep 1000');
    await node.delete('web', 1);
  });

  test('a pod whose own process is killed with -9 is replaced, and leaves nothing of the old one', async () => {
    await node.run(
      'replaced',
      { command: ['sh', '-c', 'sleep 1000 & sleep 1000'], volumeMounts: [{ name: 'data', mountPath: '/data' }] },
      {
        volumes: [{ name: 'data', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } }],
      },
    );
    const pod = await node.running('replaced');
    const sandboxOf = async () => (await node.pods.runtime.list()).find((s) => s.id === pod.metadata.uid)!;
    const groupsOf = async (pid: number) =>
      (await fs.readFile(`/proc/${pid}/cgroup`, 'utf8')).split('\n').filter((line) => line.includes(pod.metadata.uid!));
    for (let round = 1; round <= 3; round++) {
      const before = await sandboxOf();
      const children = before.containers.map((c) => c.pid);
      process.kill(before.pid, 'SIGKILL');
      const after = await node.until(
        'replaced',
        (s) =>
          s.phase === 'Running' &&
          s.containerStatuses?.[0]?.restartCount === round &&
          !!s.containerStatuses[0].state?.running,
      );
      expect(await node.exec(after, 'sh', '-c', 'mount | grep -c " /data "; ls /proc | grep -c "^[0-9]"')).toMatch(
        /^1\n[0-9]\n$/,
      );
      // Dead ones are listed until whoever has inherited them looks.
      for (const pid of [before.pid, ...children]) {
        const status = await fs.readFile(`/proc/${pid}/status`, 'utf8').catch(() => 'State:\tZ');
        expect(status).toMatch(/^State:\t[ZX]/m);
      }
      const now = await sandboxOf();
      expect(now.state).toBe('ready');
      expect((await groupsOf(now.containers.find((c) => c.state === 'running')!.pid)).length).toBeGreaterThan(0);
    }
    await node.delete('replaced', 1);
    expect(await node.pods.runtime.list()).toEqual([]);
    expect(
      (await fs.readFile('/proc/self/mountinfo', 'utf8')).split('\n').filter((line) => line.includes(node.pods.dir)),
    ).toEqual([]);
    const groups = await Promise.all(
      (await fs.readFile('/proc/self/mounts', 'utf8'))
        .split('\n')
        .map((line) => line.split(' '))
        .filter((words) => words[2]?.startsWith('cgroup'))
        .map((words) => fs.readdir(join(words[1]!, 'kubepods/besteffort')).catch(() => [] as string[])),
    );
    expect(groups.flat().filter((name) => name.includes(pod.metadata.uid!))).toEqual([]);
  });

  test('survive the kubelet: adopted as they are, never started twice', async () => {
    await node.run('kept', { command: ['sleep', '1000'], readinessProbe: { exec: { command: ['true'] } } });
    const before = await node.until('kept', (s) => s.containerStatuses?.[0]?.ready === true);
    await node.kubelet.stop();
    const again = await node.pods.connect();
    await node.boot(again);
    const inside = await node.exec(before, 'sh', '-c', 'echo still here');
    expect(inside).toBe('still here\n');
    expect((await node.running('kept')).status?.containerStatuses?.[0]).toMatchObject({
      restartCount: 0,
      containerID: before.status?.containerStatuses?.[0]?.containerID,
    });
    await node.delete('kept', 1);
    again.close();
  });
});
