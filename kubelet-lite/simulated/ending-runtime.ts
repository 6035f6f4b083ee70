import type { Clock, Container } from '@trimtab/machinery';
import type { Pod } from '../pod/api.js';
import type { ContainerConfig, ContainerStatus } from '../runtime/runtime.js';
import { SimulatedRuntime } from './simulated-runtime.js';

const ENDS_AFTER = 'trimtab.dev/simulated-end-ms';

/** What a Job's containers seem to work for: long enough to be seen running. */
const JOB_MS = 1_000;

/**
 * What a container that is meant to end is marked with: init containers end at once, those of a Job after a second, all others
 * run until they are stopped.
 */
export function endOf(pod: Pod, { name }: Container): Readonly<Record<string, string>> {
  const init = pod.spec.initContainers?.find((container) => container.name === name);
  if (init) return init.restartPolicy === 'Always' ? {} : { [ENDS_AFTER]: '0' };
  const ofJob = pod.metadata.ownerReferences?.some(({ kind, controller }) => kind === 'Job' && controller) ?? false;
  return ofJob ? { [ENDS_AFTER]: String(JOB_MS) } : {};
}

/** Ends, with success, the containers that {@link endOf} has marked. */
export class EndingRuntime extends SimulatedRuntime {
  readonly #clock: Clock;

  constructor(clock: Clock) {
    super(clock);
    this.#clock = clock;
  }

  override async startContainer(sandboxId: string, config: ContainerConfig): Promise<ContainerStatus> {
    const status = await super.startContainer(sandboxId, config);
    const after = config.annotations[ENDS_AFTER];
    if (after !== undefined) this.#clock.after(Number(after), () => this.exit(config.id, 0));
    return status;
  }
}
