import type { Duplex } from 'node:stream';
import type { ProcessStreams } from '@trimtab/client';
import { type Observable, Subject } from 'rxjs';
import {
  type ContainerConfig,
  type ContainerStatus,
  type ExecConfig,
  type ExecResult,
  type ExecSyncConfig,
  type PodRuntime,
  RuntimeError,
  type RuntimeEvent,
  type SandboxConfig,
  type SandboxStats,
  type SandboxStatus,
} from '../runtime.js';
import { Connection, type CoreEvent } from './connection.js';
import { type CoreOptions, connectCore } from './core.js';
import { CoreMounts } from './core-mounts.js';
import { openDial, openProcessStreams } from './process-streams.js';

/** Operations of the node core for those who share it (the network plugin); failures are `RuntimeError`s. */
export interface CoreClient {
  request<T = unknown>(op: string, params?: object): Promise<T>;
}

export interface NativeRuntime extends PodRuntime {
  readonly core: CoreClient;
  /** Lets go of all connections. The node core and the pods live on. */
  close(): void;
}

/** How a container's standard streams were set up; the native side remembers it for adopters. */
interface Streams {
  readonly tty: boolean;
  readonly stdin: boolean;
}

/** What the native side says of a sandbox; `socket` is not part of the runtime's interface. */
interface NativeSandbox extends SandboxStatus {
  readonly socket: string;
  readonly containers: readonly (ContainerStatus & Streams)[];
}

interface Pod {
  readonly id: string;
  readonly socket: string;
  /** Undefined once the pod process is gone. */
  connection: Connection | undefined;
  /** Its death has been told. */
  dead: boolean;
}

interface Known {
  readonly pod: Pod;
  readonly streams: Streams;
}

const RECONNECT_MS = 100;
/** Much more than a pod process ever takes to pass a signal on. */
const UNANSWERED_MS = 10_000;

/**
 * The runtime that runs real pods through `trimtab-core`. Starts the node core when none answers, connects to every pod
 * that lives already, and reports exits and deaths, each once. A lost node core is started again without touching pods.
 */
export async function nativeRuntime(options: CoreOptions): Promise<NativeRuntime> {
  const runtime = new Runtime(options);
  await runtime.connect();
  return runtime;
}

class Runtime implements NativeRuntime {
  readonly #options: CoreOptions;
  readonly #events = new Subject<RuntimeEvent>();
  readonly #pods = new Map<string, Pod>();
  readonly #containers = new Map<string, Known>();
  readonly #exited = new Set<string>();
  #core: Promise<Connection> | undefined;
  #closed = false;

  constructor(options: CoreOptions) {
    this.#options = options;
  }

  readonly core: CoreClient = {
    request: async <T>(op: string, params?: object): Promise<T> => (await this.#connectCore()).request<T>(op, params),
  };

  readonly volumeMounts = new CoreMounts(this.core);

  get events(): Observable<RuntimeEvent> {
    return this.#events;
  }

  async connect(): Promise<void> {
    await this.list();
  }

  close(): void {
    this.#closed = true;
    for (const pod of this.#pods.values()) pod.connection?.close();
    this.#core?.then(
      (connection) => connection.close(),
      () => {},
    );
    this.#events.complete();
  }

  async list(): Promise<readonly SandboxStatus[]> {
    const { pods } = await this.core.request<{ pods: NativeSandbox[] }>('pod.list');
    return Promise.all(
      pods.map(async (saved) => {
        if (saved.state === 'dead') return publicStatus(saved);
        try {
          return publicStatus(await this.#adopt(saved.id, saved.socket));
        } catch {
          // It died between the two questions: the node core will say so.
          return publicStatus({ ...saved, state: 'dead' });
        }
      }),
    );
  }

  async runSandbox(config: SandboxConfig): Promise<SandboxStatus> {
    const sandbox = await this.core.request<NativeSandbox>('pod.run', config);
    if (sandbox.containers.length > 0) return publicStatus(await this.#adopt(config.id, sandbox.socket));
    // A new one has nothing more to say. Asked all the same, ahead of whatever comes next, because that subscribes to its events.
    const pod = await this.#connect(config.id, sandbox.socket);
    this.#ask(pod, 'pod.status', {}).catch(() => {});
    return publicStatus(sandbox);
  }

  async removeSandbox(sandboxId: string): Promise<void> {
    await this.core.request('pod.remove', { id: sandboxId });
    this.#forget(sandboxId);
  }

  async startContainer(sandboxId: string, config: ContainerConfig): Promise<ContainerStatus> {
    const pod = this.#pods.get(sandboxId);
    if (!pod) throw new RuntimeError('sandbox', 'ENOENT', sandboxId);
    this.#containers.set(config.id, { pod, streams: config });
    return this.#ask<ContainerStatus>(pod, 'container.start', config);
  }

  async signal(containerId: string, signal: string): Promise<void> {
    const known = this.#containers.get(containerId);
    if (!known?.pod.connection) return;
    const { clock, unansweredMs = UNANSWERED_MS } = this.#options;
    const answered = clock.after(unansweredMs, () => void this.#hangs(known.pod));
    await this.#ask(known.pod, 'container.signal', { id: containerId, signal }).finally(answered);
  }

  async removeContainer(containerId: string): Promise<void> {
    const known = this.#containers.get(containerId);
    if (known?.pod.connection) await this.#ask(known.pod, 'container.remove', { id: containerId });
    this.#containers.delete(containerId);
    this.#exited.delete(containerId);
  }

  async updateSandbox(sandboxId: string, resources: object): Promise<void> {
    const pod = this.#pods.get(sandboxId);
    if (!pod) throw new RuntimeError('sandbox', 'ENOENT', sandboxId);
    await this.#ask(pod, 'pod.update', { resources });
  }

  async updateContainer(containerId: string, resources: object): Promise<void> {
    await this.#ask(this.#podOf(containerId), 'container.update', { id: containerId, resources });
  }

  async exec(containerId: string, config: ExecConfig): Promise<ProcessStreams> {
    const { socket } = this.#podOf(containerId);
    return openProcessStreams(
      socket,
      'stream.exec',
      { id: containerId, ...config },
      {
        stdin: config.stdin,
        stdout: config.stdout || config.tty,
        stderr: config.stderr && !config.tty,
      },
    );
  }

  async execSync(containerId: string, config: ExecSyncConfig): Promise<ExecResult> {
    try {
      return await this.#ask<ExecResult>(this.#podOf(containerId), 'container.execSync', {
        id: containerId,
        ...config,
      });
    } catch (error) {
      if (error instanceof RuntimeError && error.stage === 'exec' && error.errno === 'ETIMEDOUT')
        throw Object.assign(
          new RuntimeError('exec', 'ETIMEDOUT', error.object, `command timed out after ${config.timeoutMs} ms`),
          { code: 'Timeout' },
        );
      throw error;
    }
  }

  async attach(containerId: string): Promise<ProcessStreams> {
    const { socket } = this.#podOf(containerId);
    const streams = this.#containers.get(containerId)?.streams;
    return openProcessStreams(
      socket,
      'stream.attach',
      { id: containerId },
      { stdin: streams?.stdin ?? false, stdout: true, stderr: !streams?.tty },
    );
  }

  async reopenLog(containerId: string): Promise<void> {
    await this.#ask(this.#podOf(containerId), 'container.reopenLog', { id: containerId });
  }

  async dial(sandboxId: string, host: string, port: number): Promise<Duplex> {
    const pod = this.#pods.get(sandboxId);
    if (!pod) throw new RuntimeError('sandbox', 'ENOENT', sandboxId);
    return openDial(pod.socket, host, port);
  }

  async stats(sandboxId: string): Promise<SandboxStats> {
    const pod = this.#pods.get(sandboxId);
    if (!pod) throw new RuntimeError('sandbox', 'ENOENT', sandboxId);
    return this.#ask<SandboxStats>(pod, 'pod.stats', {});
  }

  #podOf(containerId: string): Pod {
    const known = this.#containers.get(containerId);
    if (!known) throw new RuntimeError('container', 'ENOENT', containerId);
    return known.pod;
  }

  async #ask<T>(pod: Pod, op: string, params: object): Promise<T> {
    if (!pod.connection) throw new RuntimeError('sandbox', 'ENOENT', pod.id);
    return pod.connection.request<T>(op, params);
  }

  /** A pod process that does not answer is as good as dead: it goes with everything in it, which is told as its death. */
  async #hangs(pod: Pod): Promise<void> {
    if (this.#closed) return;
    const { logger } = this.#options;
    logger.error({ pod: pod.id }, 'pod process does not answer: killed');
    try {
      await this.core.request('pod.remove', { id: pod.id });
      this.#coreEvent({ event: 'podDied', id: pod.id });
    } catch (error) {
      logger.error({ pod: pod.id, error: String(error) }, 'pod process that does not answer cannot be killed');
    }
  }

  /** Connects to a pod process unless that is done. */
  async #connect(id: string, socket: string): Promise<Pod> {
    const known = this.#pods.get(id);
    if (known?.connection && !known.connection.closed) return known;
    const fresh: Pod = { id, socket, connection: undefined, dead: false };
    const connection = await Connection.open(
      socket,
      (event) => this.#podEvent(fresh, event),
      () => {
        fresh.connection = undefined;
      },
    );
    // Another caller may have connected meanwhile; one connection is enough.
    const pod = this.#pods.get(id);
    if (pod?.connection) {
      connection.close();
      return pod;
    }
    fresh.connection = connection;
    this.#pods.set(id, fresh);
    return fresh;
  }

  /** Connects, and learns what it holds. */
  async #adopt(id: string, socket: string): Promise<NativeSandbox> {
    const pod = await this.#connect(id, socket);
    const status = await this.#ask<NativeSandbox>(pod, 'pod.status', {});
    for (const container of status.containers) {
      this.#containers.set(container.id, { pod, streams: container });
      if (container.state === 'exited') this.#exited.add(container.id);
    }
    return status;
  }

  #podEvent(pod: Pod, event: CoreEvent): void {
    if (event.event !== 'exited') return;
    const container = event.container as ContainerStatus;
    if (this.#exited.has(container.id)) return;
    this.#exited.add(container.id);
    this.#events.next({ type: 'containerExited', sandboxId: pod.id, container });
  }

  #forget(sandboxId: string): void {
    this.#pods.get(sandboxId)?.connection?.close();
    this.#pods.delete(sandboxId);
    for (const [id, known] of this.#containers) {
      if (known.pod.id !== sandboxId) continue;
      this.#containers.delete(id);
      this.#exited.delete(id);
    }
  }

  #connectCore(): Promise<Connection> {
    if (this.#closed) return Promise.reject(new RuntimeError('connection', 'ESHUTDOWN', 'the runtime is closed'));
    this.#core ??= connectCore(
      this.#options,
      (event) => this.#coreEvent(event),
      () => this.#coreLost(),
    ).catch((error) => {
      this.#core = undefined;
      throw error;
    });
    return this.#core;
  }

  #coreEvent(event: CoreEvent): void {
    if (event.event !== 'podDied') return;
    const sandboxId = String(event.id);
    const pod = this.#pods.get(sandboxId);
    if (pod?.dead) return;
    if (pod) Object.assign(pod, { connection: undefined, dead: true });
    this.#events.next({ type: 'sandboxDied', sandboxId });
  }

  /** Pods do not depend on the node core, so its loss only means that deaths would go unnoticed until it is back. */
  #coreLost(): void {
    this.#core = undefined;
    if (this.#closed) return;
    this.#options.logger.warn({}, 'node core lost; starting it again');
    const retry = () => {
      if (this.#closed) return;
      // Those too that lost their connection meanwhile: nobody has told of their death.
      const before = [...this.#pods.values()].filter((pod) => !pod.dead);
      this.list().then(
        (sandboxes) => {
          const living = new Set(sandboxes.filter((s) => s.state === 'ready').map((s) => s.id));
          for (const pod of before) if (!living.has(pod.id)) this.#coreEvent({ event: 'podDied', id: pod.id });
        },
        (error: unknown) => {
          this.#options.logger.error({ error: String(error) }, 'node core cannot be started');
          this.#options.clock.after(RECONNECT_MS * 10, retry);
        },
      );
    };
    this.#options.clock.after(RECONNECT_MS, retry);
  }
}

function publicStatus(sandbox: NativeSandbox): SandboxStatus {
  return {
    id: sandbox.id,
    state: sandbox.state,
    pid: sandbox.pid,
    netns: sandbox.netns,
    createdAt: sandbox.createdAt,
    annotations: sandbox.annotations,
    containers: sandbox.containers,
  };
}
