import { type Clock, sleep } from '@trimtab/machinery';
import type { Pod } from '../pod/api.js';
import type { ContainerConfig, ContainerStatus } from '../runtime/runtime.js';
import { isReadyAt, type Lifecycle, type Lifecycles, lifecycleOf } from './lifecycle.js';
import { SimulatedRuntime } from './simulated-runtime.js';

const SCRIPT = 'trimtab.dev/simulated-lifecycle';

/** What a Job's containers seem to work for: long enough to be seen running. */
const JOB_MS = 1_000;

/**
 * What a container that has a script is marked with. Without one, init containers end at once, those of a Job after a second,
 * and all others run until they are stopped.
 */
export function scriptOf(pod: Pod, name: string, lifecycles: Lifecycles): Readonly<Record<string, string>> {
  const init = pod.spec.initContainers?.find((container) => container.name === name);
  const container = init ?? pod.spec.containers.find((each) => each.name === name);
  const script = container && lifecycleOf(pod, container, lifecycles);
  const ends = { ...naturalEnd(pod, init?.restartPolicy, init !== undefined), ...script };
  return Object.keys(ends).length === 0 ? {} : { [SCRIPT]: JSON.stringify(ends) };
}

function naturalEnd(pod: Pod, restartPolicy: string | undefined, init: boolean): Lifecycle {
  if (init) return restartPolicy === 'Always' ? {} : { exitAfter: 0 };
  const ofJob = pod.metadata.ownerReferences?.some(({ kind, controller }) => kind === 'Job' && controller) ?? false;
  return ofJob ? { exitAfter: JOB_MS } : {};
}

const OOM_KILLED = 137;

/** Carries out what {@link scriptOf} says: starts late, ends by itself, and knows whether a probe would find it ready. */
export class ScriptedRuntime extends SimulatedRuntime {
  readonly #clock: Clock;
  readonly #ready = new Map<string, (now: number) => boolean>();

  constructor(clock: Clock) {
    super(clock);
    this.#clock = clock;
  }

  override async startContainer(sandboxId: string, config: ContainerConfig): Promise<ContainerStatus> {
    const text = config.annotations[SCRIPT];
    if (text === undefined) return super.startContainer(sandboxId, config);
    const script = JSON.parse(text) as Lifecycle;
    if (script.startDelay) await sleep(this.#clock, script.startDelay);
    const status = await super.startContainer(sandboxId, config);
    const { exitAfter, oomKilled = false, exitCode = oomKilled ? OOM_KILLED : 0 } = script;
    if (exitAfter !== undefined)
      this.#clock.after(exitAfter, () =>
        this.exit(config.id, exitCode, { oomKilled, ...(oomKilled ? { signal: 9 } : {}) }),
      );
    if (script.readyAfter || script.unreadyEvery)
      this.#ready.set(config.id, (now) => isReadyAt(script, now - (status.startedAt ?? now)));
    return status;
  }

  override async removeContainer(containerId: string): Promise<void> {
    this.#ready.delete(containerId);
    await super.removeContainer(containerId);
  }

  override async removeSandbox(sandboxId: string): Promise<void> {
    for (const { id, containers } of await this.list())
      if (id === sandboxId) for (const container of containers) this.#ready.delete(container.id);
    await super.removeSandbox(sandboxId);
  }

  /** What a readiness probe of the container finds now. */
  isReady(containerId: string): boolean {
    return this.#ready.get(containerId)?.(this.#clock.now()) ?? true;
  }
}
