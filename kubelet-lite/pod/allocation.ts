import type { Container, ResourceRequirements } from '@trimtab/machinery';
import { equalJson } from '@trimtab/machinery';
import { capacityOf, type NodeCapacity, shortOf } from './admission.js';
import type { Pod } from './api.js';
import { byContainers, type ContainerParts } from './by-containers.js';
import type { Beside } from './held.js';
import { containersOf } from './plan.js';
import { podRequest } from './qos.js';

/**
 * In-place resize (KEP-1287) knows four amounts: desired (the object), allocated (what the node has set aside, and what new
 * containers start with), actuated (what the runtime was last told) and actual. Here is what is pure of it.
 */

/** Resources by container name. */
export type Allocation = Readonly<Record<string, ResourceRequirements>>;

/** Why a resize has to wait (`Deferred`), or cannot be on this node (`Infeasible`): the reasons of PodResizePending. */
export interface ResizeRefusal {
  readonly reason: 'Deferred' | 'Infeasible';
  readonly message: string;
}

/** What of a pod's allocation outlives the kubelet. */
export interface SavedAllocation {
  readonly allocated: Allocation;
  readonly actuated: Allocation;
}

/** Those whose resources can be changed: init containers that end and ephemeral ones keep what they were made with. */
export function resizable(spec: ContainerParts): readonly Container[] {
  return [...(spec.initContainers ?? []).filter((c) => c.restartPolicy === 'Always'), ...spec.containers];
}

export const allocationOf = byContainers(
  (spec): Allocation => Object.fromEntries(resizable(spec).map((c) => [c.name, amounts(c.resources)])),
);

/** CPU and memory, which can be resized, and nothing else. */
function amounts({ requests, limits }: ResourceRequirements = {}): ResourceRequirements {
  return { ...(requests ? { requests } : {}), ...(limits ? { limits } : {}) };
}

/** The pod as the node has room for it: the object itself where that is what it asks for. */
export function withAllocation(pod: Pod, allocation: Allocation): Pod {
  const { spec } = pod;
  if (allocation === allocationOf(spec)) return pod;
  const changed = containersOf(spec).some((c) => differs(allocation[c.name], c.resources));
  if (!changed) return pod;
  const each = <C extends Container>(list: readonly C[]): readonly C[] =>
    list.map((c) => (differs(allocation[c.name], c.resources) ? { ...c, resources: allocation[c.name]! } : c));
  return {
    ...pod,
    spec: {
      ...spec,
      containers: each(spec.containers),
      ...(spec.initContainers ? { initContainers: each(spec.initContainers) } : {}),
    },
  };
}

const differs = (allocated: ResourceRequirements | undefined, asked: ResourceRequirements | undefined): boolean =>
  allocated !== undefined && !equalJson(allocated, amounts(asked));

export const sameAllocation = (a: Allocation, b: Allocation): boolean => equalJson(a, b);

/** The containers whose amounts differ, by name. */
export function changedIn(before: Allocation, after: Allocation): readonly string[] {
  if (before === after) return [];
  return Object.keys(after).filter((name) => !equalJson(before[name] ?? {}, after[name] ?? {}));
}

/** Whether a change of these amounts wants the container started anew (`resizePolicy`). */
export function wantsRestart(
  container: Container,
  before: ResourceRequirements = {},
  after: ResourceRequirements = {},
) {
  return (container.resizePolicy ?? []).some(
    ({ resourceName, restartPolicy }) =>
      restartPolicy === 'RestartContainer' &&
      (before.requests?.[resourceName] !== after.requests?.[resourceName] ||
        before.limits?.[resourceName] !== after.limits?.[resourceName]),
  );
}

/** Whether the node has room for the pod as it now wants to be. `others` as they are allocated. */
export function resizeRefusal(pod: Pod, node: NodeCapacity, others: Beside): ResizeRefusal | undefined {
  for (const resource of ['memory', 'cpu'] as const) {
    const capacity = capacityOf(node, resource);
    const requested = podRequest(pod.spec, resource);
    if (capacity === undefined || requested <= capacity) continue;
    const message = `Node didn't have enough capacity: ${resource}, requested: ${requested}, capacity: ${capacity}`;
    return { reason: 'Infeasible', message };
  }
  const short = shortOf(pod.spec, node, others);
  return short && { reason: 'Deferred', message: short.message };
}

/** Whether the pod asks for more than it is allocated: what does not is served first. */
export function growsRequests(desired: Pod, allocated: Pod): boolean {
  return (['cpu', 'memory'] as const).some((r) => podRequest(desired.spec, r) > podRequest(allocated.spec, r));
}

/** What the events of a resize carry. */
export function resizeText(pod: Pod, allocation: Allocation, error?: string): string {
  const containers = Object.entries(allocation).map(([name, resources]) => ({ name, resources }));
  const { generation } = pod.metadata;
  return JSON.stringify({ containers, ...(generation ? { generation } : {}), ...(error ? { error } : {}) });
}
