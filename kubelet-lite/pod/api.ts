import type { Pod as ApiPod, ObjectMeta, PodSpec, ResourceType } from '@trimtab/machinery';
import { Pods } from '@trimtab/machinery';

/** A pod as a node sees it: there is always a spec. */
export interface Pod extends ApiPod {
  readonly spec: PodSpec;
}

export const PODS = Pods as ResourceType<Pod>;

export type RestartPolicy = 'Always' | 'OnFailure' | 'Never';
export type PodPhase = 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown';

/** A pod as the kubelet's messages name it: `name_namespace(uid)`. */
export function formatPod(pod: { readonly metadata: ObjectMeta }): string {
  return `${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})`;
}

export function uidOf(pod: { readonly metadata: ObjectMeta }): string {
  return pod.metadata.uid ?? '';
}

/** Kubernetes' default where a manifest says nothing. */
export const DEFAULT_GRACE_SECONDS = 30;

/** How long the pod's containers have to end: what its deletion gives them, else what it asks for. */
export function graceMsOf({ metadata, spec }: Pod): number {
  const seconds = metadata.deletionGracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS;
  return Math.max(seconds, 0) * 1_000;
}

export function restartPolicyOf(spec: PodSpec): RestartPolicy {
  return (spec.restartPolicy ?? 'Always') as RestartPolicy;
}

/** True once the pod's phase can no longer change. */
export function isTerminal(phase: string | undefined): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}
