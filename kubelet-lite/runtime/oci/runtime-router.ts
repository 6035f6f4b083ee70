import type { Duplex } from 'node:stream';
import type { ProcessStreams } from '@trimtab/client';
import type { Observable } from 'rxjs';
import {
  type ContainerConfig,
  type ContainerStatus,
  type ExecConfig,
  type ExecResult,
  type ExecSyncConfig,
  HANDLER_ANNOTATION,
  type PodRuntime,
  RuntimeError,
  type RuntimeEvent,
  type SandboxConfig,
  type SandboxStats,
  type SandboxStatus,
} from '../runtime.js';
import type { VolumeMounts } from '../volume-mounts.js';
import type { OciRuntime } from './oci-runtime.js';

/** The node's runtimes as one: each pod goes to the handler its RuntimeClass names, pods without one to the native core. */
export class RuntimeRouter implements PodRuntime {
  readonly volumeMounts?: VolumeMounts;
  readonly #base: PodRuntime;
  readonly #handlers: ReadonlyMap<string, OciRuntime>;
  readonly #bySandbox = new Map<string, PodRuntime>();
  readonly #byContainer = new Map<string, PodRuntime>();

  constructor(base: PodRuntime, handlers: ReadonlyMap<string, OciRuntime>) {
    this.#base = base;
    if (base.volumeMounts) this.volumeMounts = base.volumeMounts;
    this.#handlers = handlers;
  }

  get events(): Observable<RuntimeEvent> {
    return this.#base.events;
  }

  async list(): Promise<readonly SandboxStatus[]> {
    const all = await this.#base.list();
    return Promise.all(all.map((sandbox) => this.#found(sandbox)));
  }

  async #found(sandbox: SandboxStatus): Promise<SandboxStatus> {
    const handler = this.#handlers.get(sandbox.annotations[HANDLER_ANNOTATION] ?? '');
    if (!handler) return sandbox;
    this.#bySandbox.set(sandbox.id, handler);
    for (const { id } of sandbox.containers) this.#byContainer.set(id, handler);
    return handler.adopt(sandbox);
  }

  async runSandbox(config: SandboxConfig): Promise<SandboxStatus> {
    const name = config.runtimeHandler ?? '';
    const handler = name === '' ? this.#base : this.#handlers.get(name);
    if (!handler) throw new RuntimeError('sandbox', 'ENOENT', name, `no runtime for "${name}" is configured`);
    this.#bySandbox.set(config.id, handler);
    return handler.runSandbox(config);
  }

  async removeSandbox(sandboxId: string): Promise<void> {
    await this.#of(sandboxId).removeSandbox(sandboxId);
    this.#bySandbox.delete(sandboxId);
    for (const id of this.#byContainer.keys()) if (id.startsWith(`${sandboxId}-`)) this.#byContainer.delete(id);
  }

  startContainer(sandboxId: string, config: ContainerConfig): Promise<ContainerStatus> {
    const runtime = this.#of(sandboxId);
    if (runtime !== this.#base) this.#byContainer.set(config.id, runtime);
    return runtime.startContainer(sandboxId, config);
  }

  signal(containerId: string, signal: string): Promise<void> {
    return this.#with(containerId).signal(containerId, signal);
  }

  removeContainer(containerId: string): Promise<void> {
    const runtime = this.#with(containerId);
    this.#byContainer.delete(containerId);
    return runtime.removeContainer(containerId);
  }

  updateSandbox(sandboxId: string, resources: object): Promise<void> {
    return this.#of(sandboxId).updateSandbox(sandboxId, resources);
  }

  updateContainer(containerId: string, resources: object): Promise<void> {
    return this.#with(containerId).updateContainer(containerId, resources);
  }

  exec(containerId: string, config: ExecConfig): Promise<ProcessStreams> {
    return this.#with(containerId).exec(containerId, config);
  }

  execSync(containerId: string, config: ExecSyncConfig): Promise<ExecResult> {
    return this.#with(containerId).execSync(containerId, config);
  }

  attach(containerId: string): Promise<ProcessStreams> {
    return this.#with(containerId).attach(containerId);
  }

  reopenLog(containerId: string): Promise<void> {
    return this.#with(containerId).reopenLog(containerId);
  }

  dial(sandboxId: string, host: string, port: number): Promise<Duplex> {
    return this.#of(sandboxId).dial(sandboxId, host, port);
  }

  stats(sandboxId: string): Promise<SandboxStats> {
    return this.#of(sandboxId).stats(sandboxId);
  }

  #of(sandboxId: string): PodRuntime {
    return this.#bySandbox.get(sandboxId) ?? this.#base;
  }

  #with(containerId: string): PodRuntime {
    return this.#byContainer.get(containerId) ?? this.#base;
  }
}
