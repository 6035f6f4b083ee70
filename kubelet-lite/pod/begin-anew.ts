import type { ContainerWorker } from '../container/container-worker.js';
import type { PodRuntime } from '../runtime/runtime.js';
import { type Pod, restartPolicyOf } from './api.js';

/** Under OnFailure what has succeeded is not run again, not even in a new sandbox. */
function hasSucceeded(pod: Pod, c: ContainerWorker): boolean {
  const { state, exitCode } = c.facts();
  const main = c.context.kind === 'main';
  return main && restartPolicyOf(pod.spec) === 'OnFailure' && state === 'finished' && exitCode === 0;
}

/** The sandbox is gone, and all that ran with it: what is not done already waits for its turn again. */
export function resetForNewSandbox(pod: Pod, containers: Iterable<ContainerWorker>): void {
  for (const c of containers) if (!hasSucceeded(pod, c)) c.reset();
}

/** Ends whatever runs, without grace, and has every container but the ephemeral ones wait for its turn again. */
export async function resetInPlace(runtime: PodRuntime, containers: Iterable<ContainerWorker>): Promise<void> {
  // The one whose end asked for it is yet to be told of it.
  await Promise.resolve();
  const all = [...containers].filter((c) => c.context.kind !== 'ephemeral');
  const ids = all.flatMap((c) => c.context.containerID ?? []);
  for (const c of all) c.reset();
  for (const id of ids) await runtime.removeContainer(id);
}
