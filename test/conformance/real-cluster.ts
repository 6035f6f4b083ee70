import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Client, NodeStreams } from '@trimtab/client';
import { type Controllers, startControllers } from '@trimtab/controllers';
import {
  ConfigMaps,
  type Container,
  type Event,
  Events,
  Jobs,
  type KubeObject,
  Namespaces,
  type ObjectKey,
  type Pod,
  type PodSpec,
  Pods,
  ReplicaSets,
  ReplicationControllers,
  type ResourceType,
  ServiceAccounts,
  StatefulSets,
  silentLogger,
  sleep,
  systemClock,
  systemRandom,
} from '@trimtab/machinery';
import { componentUsers } from '@trimtab/server';
import { type ControlPlane, startControlPlane } from '../../cli/up/control-plane.js';
import { identitiesOf } from '../../cli/up/identities.js';
import { checkOptions } from '../../cli/up/options.js';
import { type Image, type ImageConfig, ImageError } from '../../kubelet-lite/images/image-store.js';
import { type Kubelet, startKubelet } from '../../kubelet-lite/kubelet.js';
import { readMachine } from '../../kubelet-lite/node/machine-info.js';
import { type TestPods, testPods, whyNoPods } from '../../kubelet-lite/runtime/native/test-pods.js';
import { parseHandler, withHandlers } from '../../kubelet-lite/runtime/oci/index.js';
import { SimulatedImages } from '../../kubelet-lite/simulated/simulated-node.js';
import { leftOvers } from './leftovers.js';
import { LoopbackNetwork } from './loopback-network.js';

/**
 * A whole cluster in this process, with real containers of a busybox image: the API server as `trimtab up` makes it, every
 * controller, the scheduler, and a kubelet over the native core. Only the pod network is missing. Made once for a file; needs
 * root.
 */
export interface RealCluster {
  readonly client: Client;
  readonly streams: NodeStreams;
  /** Below it: `root` (the kubelet's), `volumes` (persistent ones), `scratch` (the test's own). */
  readonly directory: string;
  readonly pods: TestPods;
  readonly plane: ControlPlane;
  /** Of the running test. */
  readonly ns: string;
  /** Layers by reference, topmost first, of images beside busybox; a reference with `missing` in it cannot be pulled. */
  readonly images: Map<string, readonly string[]>;
  /** What images say of how they are run, by reference. */
  readonly configs: Map<string, ImageConfig>;
  create<T extends KubeObject>(type: ResourceType<T>, object: object): Promise<T>;
  /** A pod with one container `main` that runs a script of the shell. */
  pod(name: string, script: string, container?: Partial<Container>, spec?: Partial<PodSpec>): Promise<Pod>;
  until<T extends KubeObject>(type: ResourceType<T>, name: string, good: (object: T) => boolean): Promise<T>;
  running(name: string): Promise<Pod>;
  /** The output of a pod that runs to its end; throws with it when the pod fails. */
  output(name: string, container?: string): Promise<string>;
  logs(name: string, container?: string, previous?: boolean): Promise<string>;
  /** Resolves once a container's log has this text. */
  said(name: string, text: string, container?: string): Promise<void>;
  /** What a command prints within a container, both streams, and its exit code. */
  exec(name: string, command: readonly string[], container?: string): Promise<Executed>;
  /** The first object that is as wanted, whatever its name. */
  find<T extends KubeObject>(type: ResourceType<T>, good: (object: T) => boolean): Promise<T>;
  /** Resolves once there is no object of that name, whoever deletes it. */
  absent(type: ResourceType, name: string): Promise<void>;
  /** Deletes; resolves once the object is gone. */
  gone(type: ResourceType, name: string, graceSeconds?: number): Promise<void>;
  /** The first event about an object with this reason whose message fits. */
  event(name: string, reason: string, message?: RegExp): Promise<Event>;
  /** The kubelet ends, with its pods left running, and another one takes over. */
  restartKubelet(between?: () => Promise<void>): Promise<void>;
}

export interface Executed {
  readonly text: string;
  readonly code: number;
}

export const whyNotReal = whyNoPods();
/** Says why real containers cannot be had here, where they cannot. */
export const describeReal: jest.Describe = whyNotReal ? describe.skip : describe;

export const IMAGE = 'busybox:1';
const NODE = 'node-a';
/** The OCI runtimes of this machine, by the names RuntimeClasses call them. */
export const HANDLERS = ['crun=/usr/bin/crun', 'runc=/usr/sbin/runc']
  .map(parseHandler)
  .filter(({ binary }) => existsSync(binary));
const FROM_START = { sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' } as const;

const ignoreGone = (error: { status?: { code?: number } }): void => {
  if (error.status?.code !== 404) throw error;
};

class Cluster implements RealCluster {
  ns = '';
  readonly images = new Map<string, readonly string[]>();
  readonly configs = new Map<string, ImageConfig>();
  plane!: ControlPlane;
  pods!: TestPods;
  client!: Client;
  directory!: string;
  #controllers: Controllers | undefined;
  #kubelet: Kubelet | undefined;
  readonly #connections: { close(): void }[] = [];
  /** Of every pod there ever was. */
  readonly #uids = new Set<string>();
  #tests = 0;

  get streams(): NodeStreams {
    return this.#kubelet!.streams;
  }

  async start(): Promise<void> {
    const ambient = { clock: systemClock, random: systemRandom, logger: silentLogger };
    this.pods = await testPods();
    this.directory = await mkdtemp(join(tmpdir(), 'trimtab-real-'));
    const options = checkOptions(
      {
        dataDir: this.directory,
        port: 0,
        bind: '127.0.0.1',
        nodeName: NODE,
        podCidr: '10.244.0.0/24',
        serviceCidr: '10.96.0.0/16',
        dnsDomain: 'cluster.local',
        node: true,
        simulatedNodes: 0,
        set: [],
        logLevel: 'error',
        output: 'json',
      },
      true,
    );
    this.plane = await startControlPlane(options, ambient, {
      nodeStreams: (name) => (name === NODE ? this.#kubelet?.streams : undefined),
      notReady: () => [],
    });
    this.client = this.plane.client(componentUsers.apiServer);
    const seen = this.client.watch(Pods, FROM_START).subscribe({
      next: ({ type, object }) => type !== 'BOOKMARK' && this.#uids.add(object.metadata.uid ?? ''),
      error: () => {},
    });
    this.#connections.push({ close: () => seen.unsubscribe() });
    this.#controllers = await startControllers({
      ...ambient,
      client: this.plane.client(componentUsers.controllerManager),
      caCertificate: this.plane.pki.caCertificate,
      identities: identitiesOf(this.plane),
    });
    await this.#boot();
  }

  async #boot(runtime = this.pods.runtime): Promise<void> {
    const { layer } = this.pods;
    const { images, configs } = this;
    class Busybox extends SimulatedImages {
      override async find(reference: string): Promise<Image> {
        if (reference.includes('missing')) throw new ImageError('ErrImagePull', reference, 'manifest unknown');
        const layers = images.get(reference) ?? [layer];
        const config = { Env: ['PATH=/bin'], ...configs.get(reference) };
        return { ...(await super.find(reference)), layers, config };
      }
    }
    this.#kubelet = await startKubelet({
      client: this.plane.client(componentUsers.node(NODE)),
      runtime: withHandlers(runtime, HANDLERS, { stateDir: join(this.directory, 'oci'), clock: systemClock }),
      network: new LoopbackNetwork(runtime),
      images: new Busybox(),
      nodeName: NODE,
      nodeIP: '127.0.0.1',
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      // Pods that are still ending hold what they asked for; tests must not depend on how many cores are left beside them.
      machine: { ...(await readMachine(this.directory)), cpus: 8 },
      rootDir: join(this.directory, 'root'),
      volumesDir: join(this.directory, 'volumes'),
      memoryDir: this.#memoryDir,
      clusterDns: ['10.96.0.10'],
      clusterDomain: 'cluster.local',
    });
  }

  get #memoryDir(): string {
    return join('/dev/shm', this.directory.replaceAll('/', '_'));
  }

  async restartKubelet(between: () => Promise<void> = async () => {}): Promise<void> {
    await this.#kubelet?.stop();
    await between();
    const runtime = await this.pods.connect();
    this.#connections.push(runtime);
    await this.#boot(runtime);
  }

  async namespace(): Promise<void> {
    this.ns = `real-${++this.#tests}`;
    await this.client.create(Namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: this.ns } });
    await this.until(ServiceAccounts, 'default', () => true);
    await this.until(ConfigMaps, 'kube-root-ca.crt', () => true);
  }

  /** Pods end at once, and with them who would make them anew; the namespace is left to its controller. */
  async endNamespace(): Promise<void> {
    const scope = { namespace: this.ns };
    for (const type of [Jobs, StatefulSets, ReplicaSets, ReplicationControllers])
      await this.client.deleteCollection(type as ResourceType, { ...scope, propagationPolicy: 'Background' });
    for (;;) {
      const { items } = await this.client.list(Pods, scope);
      if (items.length === 0) return;
      await Promise.all(items.map(({ metadata }) => this.gone(Pods, metadata.name!, 0).catch(ignoreGone)));
    }
  }

  async stop(): Promise<void> {
    // A pod deleted without grace is out of the API before it is off the node.
    const pods = join(this.directory, 'root/pods');
    for (let left = 6_000; left > 0 && (await readdir(pods)).length > 0; left--) await sleep(systemClock, 10);
    await this.#kubelet?.stop();
    for (const connection of this.#connections) connection.close();
    await this.#controllers?.stop();
    await this.plane?.close();
    await this.pods?.close();
    await rm(this.directory, { recursive: true, force: true });
    await rm(this.#memoryDir, { recursive: true, force: true });
    await this.#expectNoTrace();
  }

  /** Whatever was tried in the file: nothing of it is left on the machine. */
  async #expectNoTrace(): Promise<void> {
    const marks = [...this.#uids, ...[this.directory, this.pods.dir].map((path) => basename(path))];
    let left = leftOvers(marks);
    // The kernel takes its time over some of it.
    for (let tries = 0; left.length > 0 && tries < 2_400; tries++) {
      await sleep(systemClock, 25);
      left = leftOvers(marks);
    }
    if (left.length > 0) throw new Error(`left over on this machine:\n${left.join('\n')}`);
  }

  async create<T extends KubeObject>(type: ResourceType<T>, object: object): Promise<T> {
    const { metadata = {}, ...rest } = object as { metadata?: object };
    const namespace = type.namespaced ? { namespace: this.ns } : {};
    const apiVersion = type.group ? `${type.group}/${type.version}` : type.version;
    return this.client.create(type, {
      apiVersion,
      kind: type.kind,
      metadata: { ...namespace, ...metadata },
      ...rest,
    } as unknown as T);
  }

  pod(name: string, script: string, container: Partial<Container> = {}, spec: Partial<PodSpec> = {}): Promise<Pod> {
    const main = { name: 'main', image: IMAGE, command: ['sh', '-c', script], ...container };
    return this.create(Pods, {
      metadata: { name },
      spec: { restartPolicy: 'Never', terminationGracePeriodSeconds: 1, containers: [main], ...spec },
    });
  }

  until<T extends KubeObject>(type: ResourceType<T>, name: string, good: (object: T) => boolean): Promise<T> {
    const options = { ...FROM_START, ...(type.namespaced ? { namespace: this.ns } : {}) };
    return this.#watch(type, options, (event, object) => {
      if (object.metadata.name !== name) return undefined;
      return event !== 'DELETED' && good(object) ? object : undefined;
    });
  }

  find<T extends KubeObject>(type: ResourceType<T>, good: (object: T) => boolean): Promise<T> {
    const options = { ...FROM_START, ...(type.namespaced ? { namespace: this.ns } : {}) };
    return this.#watch(type, options, (event, object) => (event !== 'DELETED' && good(object) ? object : undefined));
  }

  running(name: string): Promise<Pod> {
    return this.until(Pods, name, ({ status }) => {
      if (status?.phase === 'Failed') throw new Error(`pod ${name} failed: ${JSON.stringify(status)}`);
      return status?.phase === 'Running';
    });
  }

  async output(name: string, container?: string): Promise<string> {
    const { status } = await this.until(Pods, name, (pod) => ['Succeeded', 'Failed'].includes(pod.status?.phase ?? ''));
    const text = await this.logs(name, container);
    if (status?.phase === 'Failed') throw new Error(`pod ${name} failed: ${text}\n${JSON.stringify(status)}`);
    return text;
  }

  async logs(name: string, container = 'main', previous = false): Promise<string> {
    const pod = await this.#reference(name);
    const stream = await this.streams.logs(pod, { container, previous }, new AbortController().signal);
    const parts: Buffer[] = [];
    for await (const part of stream) parts.push(part as Buffer);
    return Buffer.concat(parts).toString();
  }

  async said(name: string, text: string, container = 'main'): Promise<void> {
    await this.running(name);
    const ended = new AbortController();
    const stream = await this.streams.logs(await this.#reference(name), { container, follow: true }, ended.signal);
    let seen = '';
    for await (const part of stream) {
      seen += String(part);
      if (seen.includes(text)) break;
    }
    ended.abort();
    if (!seen.includes(text)) throw new Error(`${name} never said ${text}: ${seen}`);
  }

  async exec(name: string, command: readonly string[], container = 'main'): Promise<Executed> {
    const options = { container, stdin: false, stdout: true, stderr: true, tty: false, command };
    const running = await this.streams.exec(await this.#reference(name), options);
    const parts: Buffer[] = [];
    const read = async (stream: AsyncIterable<unknown> | undefined): Promise<void> => {
      for await (const part of stream ?? []) parts.push(part as Buffer);
    };
    const [code] = await Promise.all([running.exit, read(running.stdout), read(running.stderr)]);
    return { text: Buffer.concat(parts).toString(), code };
  }

  async gone(type: ResourceType, name: string, graceSeconds?: number): Promise<void> {
    const key = this.#key(type, name);
    const { metadata } = await this.client.get(type, key);
    const scope = type.namespaced ? { namespace: this.ns } : {};
    const gone = this.#watch(type, { ...scope, resourceVersion: metadata.resourceVersion! }, (event, object) =>
      event === 'DELETED' && object.metadata.uid === metadata.uid ? true : undefined,
    );
    await this.client.delete(type, key, graceSeconds === undefined ? {} : { gracePeriodSeconds: graceSeconds });
    await gone;
  }

  async absent(type: ResourceType, name: string): Promise<void> {
    const scope = type.namespaced ? { namespace: this.ns } : {};
    const { items, metadata } = await this.client.list(type, scope);
    if (!items.some((item) => item.metadata.name === name)) return;
    await this.#watch(type, { ...scope, resourceVersion: metadata.resourceVersion! }, (event, object) =>
      event === 'DELETED' && object.metadata.name === name ? true : undefined,
    );
  }

  event(name: string, reason: string, message = /(?:)/): Promise<Event> {
    return this.#watch(Events, { namespace: this.ns, ...FROM_START }, (_, event) =>
      event.involvedObject.name === name && event.reason === reason && message.test(event.message ?? '')
        ? event
        : undefined,
    );
  }

  #watch<T extends KubeObject, R>(
    type: ResourceType<T>,
    options: Parameters<Client['watch']>[1],
    found: (event: string, object: T) => R | undefined,
  ): Promise<R> {
    return new Promise((resolve, reject) => {
      const subscription = this.client.watch(type, options).subscribe({
        next: (event) => {
          if (event.type === 'BOOKMARK') return;
          try {
            const result = found(event.type, event.object as T);
            if (result === undefined) return;
            resolve(result);
          } catch (error) {
            reject(error);
          }
          queueMicrotask(() => subscription.unsubscribe());
        },
        error: reject,
      });
    });
  }

  async #reference(name: string): Promise<{ namespace: string; name: string; uid: string }> {
    const { metadata } = await this.client.get(Pods, this.#key(Pods, name));
    return { namespace: this.ns, name, uid: metadata.uid ?? '' };
  }

  #key(type: ResourceType, name: string): ObjectKey {
    return type.namespaced ? { namespace: this.ns, name } : { name };
  }
}

/** Within a `describe`: makes the cluster before all tests, a namespace before each, and leaves nothing behind. */
export function useRealCluster(): RealCluster {
  const cluster = new Cluster();
  beforeAll(() => cluster.start());
  beforeEach(() => cluster.namespace());
  afterEach(() => cluster.endNamespace());
  afterAll(() => cluster.stop());
  return cluster;
}
