import { Duplex, PassThrough } from 'node:stream';
import type { ProcessStreams } from '@trimtab/client';
import type { Clock } from '@trimtab/machinery';
import { type Observable, Subject } from 'rxjs';
import {
  type ContainerConfig,
  type ContainerStatus,
  type ExecResult,
  type ExecSyncConfig,
  type PodRuntime,
  RuntimeError,
  type RuntimeEvent,
  type SandboxConfig,
  type SandboxStats,
  type SandboxStatus,
} from '../runtime/runtime.js';

interface Sandbox {
  status: Omit<SandboxStatus, 'containers'>;
  readonly containers: Map<string, ContainerStatus>;
}

/** A runtime that runs nothing: it only remembers what was started. What real processes would do is told to it. */
export class SimulatedRuntime implements PodRuntime {
  readonly #clock: Clock;
  readonly #sandboxes = new Map<string, Sandbox>();
  readonly #homes = new Map<string, string>();
  readonly #events = new Subject<RuntimeEvent>();
  #nextPid = 1_000;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get events(): Observable<RuntimeEvent> {
    return this.#events;
  }

  async list(): Promise<readonly SandboxStatus[]> {
    return [...this.#sandboxes.values()].map(describe);
  }

  async runSandbox(config: SandboxConfig): Promise<SandboxStatus> {
    const known = this.#sandboxes.get(config.id);
    if (known?.status.state === 'ready') return describe(known);
    const sandbox: Sandbox = {
      status: {
        id: config.id,
        state: 'ready',
        pid: this.#nextPid++,
        netns: config.hostNetwork ? '' : `simulated:${config.id}`,
        createdAt: this.#clock.now(),
        annotations: config.annotations,
      },
      containers: new Map(),
    };
    this.#sandboxes.set(config.id, sandbox);
    return describe(sandbox);
  }

  async removeSandbox(sandboxId: string): Promise<void> {
    for (const id of this.#sandboxes.get(sandboxId)?.containers.keys() ?? []) this.#homes.delete(id);
    this.#sandboxes.delete(sandboxId);
  }

  async startContainer(sandboxId: string, config: ContainerConfig): Promise<ContainerStatus> {
    const sandbox = this.#sandboxes.get(sandboxId);
    if (sandbox?.status.state !== 'ready') throw new RuntimeError('sandbox', 'ESRCH', sandboxId);
    const known = sandbox.containers.get(config.id);
    if (known) return known;
    const status: ContainerStatus = {
      id: config.id,
      name: config.name,
      state: 'running',
      pid: this.#nextPid++,
      startedAt: this.#clock.now(),
      logPath: config.logPath,
      annotations: config.annotations,
    };
    sandbox.containers.set(config.id, status);
    this.#homes.set(config.id, sandboxId);
    return status;
  }

  /** Every signal that ends a process by default ends it here. */
  async signal(containerId: string, signal: string): Promise<void> {
    this.exit(containerId, signal === 'SIGKILL' ? 137 : 143);
  }

  async removeContainer(containerId: string): Promise<void> {
    this.#sandboxOf(containerId)?.containers.delete(containerId);
    this.#homes.delete(containerId);
  }

  async updateSandbox(_sandboxId: string, _resources: object): Promise<void> {}

  async updateContainer(_containerId: string, _resources: object): Promise<void> {}

  async exec(): Promise<ProcessStreams> {
    throw new RuntimeError('exec', 'ENOSYS', 'this node is simulated: there is no process to run a command in');
  }

  async execSync(_containerId: string, _config: ExecSyncConfig): Promise<ExecResult> {
    return { exitCode: 0, stdout: '', stderr: '' };
  }

  async attach(containerId: string): Promise<ProcessStreams> {
    throw new RuntimeError('attach', 'ENOSYS', containerId, 'this node is simulated: there is no process to attach to');
  }

  async reopenLog(): Promise<void> {}

  async dial(_sandboxId: string, _host: string, _port: number): Promise<Duplex> {
    return Duplex.from({ readable: new PassThrough().end(), writable: new PassThrough() });
  }

  async stats(sandboxId: string): Promise<SandboxStats> {
    const names = [...(this.#sandboxes.get(sandboxId)?.containers.values() ?? [])].map((c) => c.name);
    const none = { cpuNanos: 0, memoryBytes: 0 };
    return { ...none, containers: Object.fromEntries(names.map((name) => [name, none])) };
  }

  /** A container's process ends; nothing happens when it has already. `signal` is 0 for an exit of its own. */
  exit(containerId: string, exitCode: number, how: { signal?: number; oomKilled?: boolean } = {}): void {
    const sandboxId = this.#homes.get(containerId);
    const sandbox = this.#sandboxOf(containerId);
    const running = sandbox?.containers.get(containerId);
    if (!sandboxId || !sandbox || running?.state !== 'running') return;
    const container: ContainerStatus = {
      ...running,
      state: 'exited',
      finishedAt: this.#clock.now(),
      exitCode,
      signal: how.signal ?? 0,
      oomKilled: how.oomKilled ?? false,
    };
    sandbox.containers.set(containerId, container);
    this.#events.next({ type: 'containerExited', sandboxId, container });
  }

  /** The pod's network container dies and takes everything in the pod with it. */
  killSandbox(sandboxId: string): void {
    const sandbox = this.#sandboxes.get(sandboxId);
    if (!sandbox) return;
    sandbox.status = { ...sandbox.status, state: 'dead' };
    this.#events.next({ type: 'sandboxDied', sandboxId });
  }

  #sandboxOf(containerId: string): Sandbox | undefined {
    const id = this.#homes.get(containerId);
    return id === undefined ? undefined : this.#sandboxes.get(id);
  }
}

const describe = (sandbox: Sandbox): SandboxStatus => ({
  ...sandbox.status,
  containers: [...sandbox.containers.values()],
});
