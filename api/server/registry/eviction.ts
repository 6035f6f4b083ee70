import {
  type KubeObject,
  type LabelSelectorObject,
  matchesLabels,
  StatusError,
  selectorFromObject,
  timestamp,
  tooManyRequests,
} from '@trimtab/machinery';
import { admit } from './admit.js';
import type { Registry, RequestContext, Target } from './context.js';
import { type DeleteRequest, deleteObject } from './delete.js';
import { getObject } from './read.js';
import { updateObject } from './update.js';

interface Pod extends KubeObject {
  readonly status?: {
    readonly phase?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}
interface Budget extends KubeObject {
  readonly spec?: { readonly selector?: LabelSelectorObject; readonly unhealthyPodEvictionPolicy?: string };
  readonly status?: {
    readonly disruptionsAllowed?: number;
    readonly observedGeneration?: number;
    readonly currentHealthy?: number;
    readonly desiredHealthy?: number;
    readonly disruptedPods?: Readonly<Record<string, string>>;
  };
}

const blocked = "Cannot evict pod as it would violate the pod's disruption budget.";

/**
 * Deletes a pod if its disruption budget allows one more disruption, which it then uses up; 429 with cause
 * DisruptionBudget otherwise (kubernetes: registry/core/pod storage, EvictionREST).
 */
export async function evictPod(
  registry: Registry,
  context: RequestContext,
  target: Target,
  options: DeleteRequest,
): Promise<void> {
  const pod = (await getObject(registry, target)) as Pod;
  const { namespace, name } = target;
  const eviction = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { namespace, name } };
  const asked: Target = { ...target, subresource: 'eviction' };
  await admit(registry, context, asked, { operation: 'CREATE', object: eviction, dryRun: options.dryRun ?? false });
  const finished =
    ['Succeeded', 'Failed', 'Pending'].includes(pod.status?.phase ?? '') || pod.metadata.deletionTimestamp;
  if (!finished) await useBudget(registry, context, target, pod, options.dryRun ?? false);
  const uid = options.preconditions?.uid ?? pod.metadata.uid;
  if (!options.dryRun) await markDisrupted(registry, context, target);
  await deleteObject(registry, context, target, { ...options, preconditions: { ...options.preconditions, uid } });
}

async function useBudget(
  registry: Registry,
  context: RequestContext,
  target: Target,
  pod: Pod,
  dryRun: boolean,
): Promise<void> {
  const kind = registry.kinds.find('policy', 'v1', 'poddisruptionbudgets');
  if (!kind) return;
  const scope = { resource: kind.storage.resource, namespace: target.namespace };
  const budgets = [...registry.store.snapshot().range(scope)]
    .map((e) => e.object as Budget)
    .filter((b) => b.spec?.selector && matchesLabels(selectorFromObject(b.spec.selector), pod.metadata.labels));
  if (budgets.length > 1)
    throw new StatusError({
      code: 500,
      reason: 'InternalError',
      message: 'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
    });
  const found = budgets[0];
  if (!found) return;
  const ready = pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ?? false;
  const place: Target = { kind, namespace: target.namespace, name: found.metadata.name ?? '', subresource: 'status' };
  await updateObject(
    registry,
    context,
    place,
    (old) => {
      const budget = old as Budget;
      const { status = {} } = budget;
      const name = budget.metadata.name ?? '';
      if (!ready && budget.spec?.unhealthyPodEvictionPolicy === 'AlwaysAllow') return budget;
      if (!ready && (status.currentHealthy ?? 0) >= (status.desiredHealthy ?? 0) && (status.desiredHealthy ?? 0) > 0)
        return budget;
      if ((status.observedGeneration ?? 0) < (budget.metadata.generation ?? 0))
        throw refusal(`The disruption budget ${name} is still being processed by the server.`, 10);
      const allowed = status.disruptionsAllowed ?? 0;
      if (allowed <= 0)
        throw refusal(
          `The disruption budget ${name} needs ${status.desiredHealthy ?? 0} healthy pods and has ${status.currentHealthy ?? 0} currently`,
          0,
        );
      const disrupted = { ...status.disruptedPods, [target.name]: timestamp(registry.clock.now()) };
      return { ...budget, status: { ...status, disruptionsAllowed: allowed - 1, disruptedPods: disrupted } } as Budget;
    },
    { dryRun },
  );
}

function refusal(message: string, retryAfterSeconds: number): StatusError {
  return tooManyRequests(blocked, retryAfterSeconds, [{ reason: 'DisruptionBudget', message }]);
}

async function markDisrupted(registry: Registry, context: RequestContext, target: Target): Promise<void> {
  const condition = {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'EvictionByEvictionAPI',
    message: 'Eviction API: evicting',
    lastProbeTime: null,
    lastTransitionTime: timestamp(registry.clock.now()),
  };
  await updateObject(registry, context, { ...target, subresource: 'status' }, (old) => {
    const pod = old as Pod;
    const others = (pod.status?.conditions ?? []).filter((c) => c.type !== condition.type);
    return { ...pod, status: { ...pod.status, conditions: [...others, condition] } } as Pod;
  });
}
