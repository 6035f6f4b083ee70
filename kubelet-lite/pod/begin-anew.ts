import type { ContainerWorker } from '../container/container-worker.js';
import type { ContainerContext } from '../container/machine-types.js';
import { shouldRestart } from '../container/restart.js';
import type { PodRuntime } from '../runtime/runtime.js';
import { type Pod, restartPolicyOf } from './api.js';
import type { ContainerFacts } from './plan.js';

/** Of the event that tells of a new sandbox. */
export const SANDBOX_CHANGED = ['SandboxChanged', 'Pod sandbox changed, it will be killed and re-created.'] as const;
/** The exit code of what is killed with its sandbox. */
const LOST = 137;

/** A main container that has ended for good, or would if it ended now as one that is killed: a new sandbox runs it no more. */
function endsForGood(pod: Pod, { context, facts }: { context: ContainerContext; facts: ContainerFacts }): boolean {
  if (context.kind !== 'main') return false;
  if (facts.state === 'finished') return true;
  return context.running !== undefined && !comesBack(pod, context);
}

function comesBack(pod: Pod, { kind, container }: ContainerContext): boolean {
  return shouldRestart(kind, restartPolicyOf(pod.spec), container, LOST);
}

const seen = (c: ContainerWorker) => ({ context: c.context, facts: c.facts() });

/**
 * What the death of a pod's sandbox means: which containers have ended with it, and whether the pod is made anew. A pod of
 * restart policy Never that has begun is not, unless a container's own policy asks for it; one that is being ended never is.
 */
export function deathOfSandbox(
  pod: Pod,
  containers: readonly ContainerWorker[],
  living: boolean,
): { readonly lost: readonly ContainerWorker[]; readonly anew: boolean } {
  const running = containers.filter((c) => c.containerId);
  const begun = containers.some((c) => c.context.containerID);
  const again = running.some((c) => c.context.kind === 'main' && comesBack(pod, c.context));
  const anew = living && (restartPolicyOf(pod.spec) !== 'Never' || !begun || again);
  return { lost: anew ? running.filter((c) => endsForGood(pod, seen(c))) : running, anew };
}

/** The sandbox is gone, and all that ran with it: what has not ended for good waits for its turn again. */
export function resetForNewSandbox(pod: Pod, containers: Iterable<ContainerWorker>): void {
  for (const c of containers) if (!endsForGood(pod, seen(c))) c.reset();
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
