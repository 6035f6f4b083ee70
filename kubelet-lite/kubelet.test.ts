import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Event, KubeObject, PodSpec, ResourceType } from '@trimtab/machinery';
import { ConfigMaps, Events, Secrets, Services, seededRandom, silentLogger, systemClock } from '@trimtab/machinery';
import type { Image } from './images/image-store.js';
import { type Kubelet, startKubelet } from './kubelet.js';
import { PODS, type Pod } from './pod/api.js';
import type { ContainerConfig, ContainerStatus, SandboxConfig, SandboxStatus } from './runtime/runtime.js';
import { SimulatedImages, SimulatedNetwork } from './simulated/simulated-node.js';
import { SimulatedRuntime } from './simulated/simulated-runtime.js';
import { MemoryClient } from './testing/memory-client.js';
import { testMachine } from './testing/node-under-test.js';

/** Remembers what it was asked to run. */
class RecordingRuntime extends SimulatedRuntime {
  readonly sandboxes: SandboxConfig[] = [];
  readonly started: ContainerConfig[] = [];

  override async runSandbox(config: SandboxConfig): Promise<SandboxStatus> {
    this.sandboxes.push(config);
    return super.runSandbox(config);
  }

  override async startContainer(id: string, config: ContainerConfig): Promise<ContainerStatus> {
    this.started.push(config);
    return super.startContainer(id, config);
  }
}

class OneImage extends SimulatedImages {
  constructor(readonly layer: string) {
    super();
  }
  override async find(reference: string): Promise<Image> {
    const config = {
      Entrypoint: ['/entry'],
      Cmd: ['serve'],
      Env: ['A=image', 'PATH=/bin'],
      User: 'app',
      WorkingDir: '/srv',
    };
    return { id: 'sha256:1', tags: [reference], digests: ['web@sha256:2'], size: 1, layers: [this.layer], config };
  }
}

/** The whole kubelet with real files, on the machine's clock; only processes and network are simulated. */
class Fixture {
  readonly client = new MemoryClient(systemClock);
  readonly runtime = new RecordingRuntime(systemClock);
  kubelet!: Kubelet;
  constructor(readonly dir: string) {}

  static async start(): Promise<Fixture> {
    const fixture = new Fixture(await fs.mkdtemp(join(tmpdir(), 'kubelet-')));
    const layer = join(fixture.dir, 'layer');
    await fs.mkdir(join(layer, 'etc'), { recursive: true });
    await fs.writeFile(join(layer, 'etc/passwd'), 'root:x:0:0::/root:/bin/sh\napp:x:1001:1002::/home/app:/bin/sh\n');
    await fs.writeFile(join(layer, 'etc/group'), 'app:x:1002:\nextra:x:1003:other,app\n');
    await fixture.boot();
    return fixture;
  }

  async boot(): Promise<void> {
    const { client, runtime, dir } = this;
    this.kubelet = await startKubelet({
      client,
      runtime,
      network: new SimulatedNetwork(),
      images: new OneImage(join(dir, 'layer')),
      nodeName: 'n1',
      nodeIP: '192.168.0.1',
      clock: systemClock,
      random: seededRandom(1),
      logger: silentLogger,
      machine: testMachine,
      rootDir: join(dir, 'root'),
      memoryDir: join(dir, 'memory'),
      clusterDns: ['10.96.0.10'],
      clusterDomain: 'cluster.local',
    });
  }

  async end(): Promise<void> {
    await this.kubelet.stop();
    await fs.rm(this.dir, { recursive: true, force: true });
  }

  async add<T extends KubeObject>(type: ResourceType<T>, name: string, rest: object): Promise<T> {
    return this.client.create(type, { metadata: { namespace: 'default', name }, ...rest } as unknown as T);
  }

  /** Follows the pod until `done` likes it. */
  until(name: string, done: (pod: Pod) => boolean): Promise<Pod> {
    return new Promise((resolve, reject) => {
      const subscription = this.client.watch(PODS, { sendInitialEvents: true }).subscribe({
        next: ({ type, object }) => {
          if (type === 'BOOKMARK' || object.metadata.name !== name || !done(object as Pod)) return;
          queueMicrotask(() => subscription.unsubscribe());
          resolve(object as Pod);
        },
        error: reject,
      });
    });
  }

  async run(name: string, spec: PodSpec, metadata: object = {}): Promise<Pod> {
    await this.client.create(PODS, {
      metadata: { namespace: 'default', name, ...metadata },
      spec: { nodeName: 'n1', ...spec },
      status: { phase: 'Pending' },
    });
    return this.until(name, (pod) => pod.status?.phase === 'Running');
  }

  /** The first event of that reason about the pod; events are written behind, so it may come a moment later. */
  event(name: string, reason: string): Promise<string> {
    return new Promise((resolve) => {
      const subscription = this.client.watch(Events, { sendInitialEvents: true }).subscribe(({ type, object }) => {
        const { involvedObject, reason: is, message } = object as Event;
        if (type === 'BOOKMARK' || involvedObject.name !== name || is !== reason) return;
        queueMicrotask(() => subscription.unsubscribe());
        resolve(message ?? '');
      });
    });
  }
}

describe('startKubelet', () => {
  let fixture: Fixture;
  beforeEach(async () => {
    fixture = await Fixture.start();
  });
  afterEach(() => fixture.end());

  test('asks the runtime for exactly the container the pod describes', async () => {
    await fixture.add(ConfigMaps, 'settings', { data: { COLOR: 'red', 'app.conf': 'x=1' } });
    await fixture.add(Secrets, 'keys', { data: { password: Buffer.from('s3cret').toString('base64') } });
    await fixture.add(Services, 'redis-leader', {
      spec: { clusterIP: '10.96.0.7', ports: [{ name: 'db', port: 6379 }] },
    });
    // The services' watch has told before the pod is there.
    await new Promise((resolve) => setImmediate(resolve));
    const pod = await fixture.run(
      'web',
      {
        hostname: 'web-0',
        subdomain: 'pods',
        securityContext: { fsGroup: 2000, sysctls: [{ name: 'net.ipv4.tcp_syncookies', value: '1' }] },
        hostAliases: [{ ip: '10.0.0.9', hostnames: ['legacy'] }],
        containers: [
          {
            name: 'main',
            image: 'web:1',
            args: ['--color=$(COLOR)', '--cost=$$5', '--node=$(NODE)', '--none=$(NONE)'],
            envFrom: [{ configMapRef: { name: 'settings' }, prefix: '' }],
            env: [
              { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
              { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
              { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'keys', key: 'password' } } },
              { name: 'MEMORY', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } } },
              { name: 'SHARD', value: 'a' },
            ],
            resources: { limits: { cpu: '500m', memory: '64Mi' }, requests: { cpu: '100m', memory: '32Mi' } },
            securityContext: {
              readOnlyRootFilesystem: true,
              allowPrivilegeEscalation: false,
              capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] },
            },
            volumeMounts: [
              { name: 'config', mountPath: '/etc/app', readOnly: true },
              { name: 'scratch', mountPath: '/data', subPathExpr: 'shard-$(SHARD)' },
              { name: 'fast', mountPath: '/fast' },
            ],
          },
        ],
        volumes: [
          {
            name: 'config',
            configMap: { name: 'settings', items: [{ key: 'app.conf', path: 'app.conf', mode: 0o400 }] },
          },
          { name: 'scratch', emptyDir: {} },
          { name: 'fast', emptyDir: { medium: 'Memory' } },
        ],
      },
      { labels: { app: 'web' } },
    );
    const uid = pod.metadata.uid!;
    const [sandbox] = fixture.runtime.sandboxes;
    expect(sandbox).toMatchObject({
      id: uid,
      hostname: 'web-0',
      cgroupPath: `kubepods/burstable/pod${uid}`,
      sysctls: { 'net.ipv4.tcp_syncookies': '1' },
      resources: { cpu: { shares: 102, quota: 50_000, period: 100_000 }, memory: { limit: 64 * 2 ** 20 } },
    });
    const [config] = fixture.runtime.started;
    const { process, linux, mounts, root } = config!.spec;
    expect(process.args).toEqual(['/entry', '--color=red', '--cost=$5', '--node=n1', '--none=$(NONE)']);
    expect(process.env).toEqual(
      expect.arrayContaining([
        'PATH=/bin',
        'A=image',
        'HOSTNAME=web-0',
        'HOME=/home/app',
        'COLOR=red',
        'app.conf=x=1',
        'IP=100.64.0.1',
        'PASSWORD=s3cret',
        'MEMORY=64',
        'REDIS_LEADER_SERVICE_HOST=10.96.0.7',
        'REDIS_LEADER_SERVICE_PORT_DB=6379',
        'REDIS_LEADER_PORT_6379_TCP_ADDR=10.96.0.7',
      ]),
    );
    expect(process).toMatchObject({
      cwd: '/srv',
      user: { uid: 1001, gid: 1002, additionalGids: [1002, 1003, 2000] },
      noNewPrivileges: true,
      oomScoreAdj: 997,
      capabilities: { bounding: ['CAP_NET_BIND_SERVICE'], inheritable: [], ambient: [] },
    });
    expect(root.readonly).toBe(true);
    expect(linux).toMatchObject({
      seccomp: { profile: 'runtime/default' },
      cgroupsPath: `kubepods/burstable/pod${uid}/main-0`,
      resources: { cpu: { shares: 102, quota: 50_000 }, memory: { limit: 64 * 2 ** 20, swap: 64 * 2 ** 20 } },
    });
    expect(linux.maskedPaths).toContain('/proc/kcore');
    expect(linux.readonlyPaths).toContain('/proc/sys');
    expect(linux.namespaces.map((n) => n.type).sort()).toEqual(['cgroup', 'ipc', 'mount', 'network', 'pid', 'uts']);
    const at = (destination: string) => mounts.find((m) => m.destination === destination)!;
    expect(at('/etc/app').options).toContain('ro');
    expect(await fs.readFile(join(at('/etc/app').source!, 'app.conf'), 'utf8')).toBe('x=1');
    expect((await fs.stat(join(at('/etc/app').source!, 'app.conf'))).mode & 0o777).toBe(0o440);
    expect((await fs.stat(join(fixture.dir, 'root/pods', uid, 'volumes/scratch'))).mode & 0o7777).toBe(0o2777);
    expect(await fs.readdir(join(fixture.dir, 'root/pods', uid, 'volumes/scratch'))).toEqual(['shard-a']);
    expect(at('/fast').source).toBe(join(fixture.dir, 'memory', uid, 'fast'));
    expect(at('/dev/shm').source).toBe(join(fixture.dir, 'memory', uid, '.shm'));
    expect(await fs.readFile(at('/etc/hosts').source!, 'utf8')).toContain(
      '100.64.0.1\tweb-0.pods.default.svc.cluster.local\tweb-0\n\n# Entries added by HostAliases.\n10.0.0.9\tlegacy\n',
    );
    const resolv = await fs.readFile(at('/etc/resolv.conf').source!, 'utf8');
    expect(resolv).toMatch(/^search default\.svc\.cluster\.local svc\.cluster\.local cluster\.local/);
    expect(resolv).toContain('nameserver 10.96.0.10\noptions ndots:5\n');
  });

  test('shows changes of config maps and labels to a running pod, and renews nothing else', async () => {
    const map = await fixture.add(ConfigMaps, 'settings', { data: { a: '1' } });
    const pod = await fixture.run(
      'web',
      {
        containers: [{ name: 'main', image: 'web:1', volumeMounts: [{ name: 'all', mountPath: '/all' }] }],
        volumes: [
          {
            name: 'all',
            projected: {
              sources: [
                { configMap: { name: 'settings' } },
                { serviceAccountToken: { path: 'token', expirationSeconds: 600 } },
                { downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
              ],
            },
          },
        ],
      },
      { labels: { app: 'web' } },
    );
    const directory = join(fixture.dir, 'memory', pod.metadata.uid!, 'all');
    const read = (name: string) => fs.readFile(join(directory, name), 'utf8');
    expect([await read('a'), await read('labels'), await read('token')]).toEqual([
      '1',
      'app="web"',
      expect.stringMatching(/^token-/),
    ]);
    const token = await read('token');
    const before = await fs.readlink(join(directory, '..data'));
    const switched = changed(directory);
    await fixture.client.update(ConfigMaps, { ...map, data: { a: '2', b: 'new' } });
    await switched;
    expect([await read('a'), await read('b'), await read('token')]).toEqual(['2', 'new', token]);
    expect(await fs.readlink(join(directory, '..data'))).not.toBe(before);
    expect((await fs.readdir(directory)).filter((name) => name.startsWith('..'))).toHaveLength(2);
    expect(fixture.client.log.filter((line) => line.startsWith('token serviceaccounts/default'))).toEqual([
      expect.stringContaining(
        `"boundObjectRef":{"apiVersion":"v1","kind":"Pod","name":"web","uid":"${pod.metadata.uid}"}`,
      ),
    ]);
  });

  test('waits for a missing secret and starts the moment it is there; leaves nothing behind', async () => {
    const starting = fixture.run('web', {
      containers: [{ name: 'main', image: 'web:1', volumeMounts: [{ name: 'keys', mountPath: '/keys' }] }],
      volumes: [{ name: 'keys', secret: { secretName: 'late' } }],
    });
    await fixture.until('web', (pod) => pod.status?.containerStatuses?.[0]?.state?.waiting !== undefined);
    await fixture.add(Secrets, 'late', { data: {} });
    const { metadata } = await starting;
    expect(await fixture.event('web', 'FailedMount')).toBe(
      'MountVolume.SetUp failed for volume "keys" : secret "late" not found',
    );
    await fixture.client.delete(PODS, { namespace: 'default', name: 'web' });
    await new Promise<void>((resolve) => {
      const subscription = fixture.client.watch(PODS, { sendInitialEvents: false }).subscribe(({ type }) => {
        if (type !== 'DELETED') return;
        queueMicrotask(() => subscription.unsubscribe());
        resolve();
      });
    });
    expect(await fs.readdir(join(fixture.dir, 'root/pods'))).toEqual([]);
    expect(await fs.readdir(join(fixture.dir, 'memory'))).not.toContain(metadata.uid);
  });

  test('removes what pods left behind that went while the node was down, and nothing else', async () => {
    const kept = await fixture.run('kept', { containers: [{ name: 'main', image: 'web:1' }] });
    await fixture.kubelet.stop();
    const below = (...path: string[]) => join(fixture.dir, ...path);
    for (const path of ['root/pods/gone/volumes/data', 'memory/gone/fast', 'root/logs/ns_web_gone/main']) {
      await fs.mkdir(below(path), { recursive: true });
    }
    await fixture.boot();
    const { uid } = kept.metadata;
    expect(await fs.readdir(below('memory'))).toEqual([uid]);
    expect(await fs.readdir(below('root/logs'))).toEqual([`default_kept_${uid}`]);
    await expect(fs.access(below('root/pods/gone'))).rejects.toThrow('ENOENT');
    expect(fixture.runtime.started).toHaveLength(1);
  });

  test('says which volume it cannot offer, and why', async () => {
    await fixture.client.create(PODS, {
      metadata: { namespace: 'default', name: 'web' },
      spec: {
        nodeName: 'n1',
        containers: [{ name: 'main', image: 'web:1' }],
        volumes: [{ name: 'disk', nfs: { server: 's', path: '/' } }],
      },
    });
    expect(await fixture.event('web', 'FailedMount')).toBe(
      'MountVolume.SetUp failed for volume "disk" : volumes of type nfs are not supported by this node; it offers emptyDir, hostPath, persistentVolumeClaim, ephemeral, image, configMap, secret, downwardAPI and projected',
    );
  });
});

/** Resolves when the volume's `..data` link has been switched. */
function changed(directory: string): Promise<void> {
  return new Promise((resolve) => {
    void (async () => {
      for await (const event of fs.watch(directory)) {
        // The last step of an update takes the old version away.
        if (
          event.eventType === 'rename' &&
          /^\.\.\d/.test(event.filename ?? '') &&
          (await gone(join(directory, event.filename!)))
        )
          break;
      }
      resolve();
    })();
  });
}

const gone = (path: string): Promise<boolean> =>
  fs.access(path).then(
    () => false,
    () => true,
  );
