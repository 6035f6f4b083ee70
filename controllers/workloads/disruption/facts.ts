import { conditionOf, controllerOf, isDeleting, refersTo, type View, withCondition } from '@trimtab/framework';
import {
  type Condition,
  Deployments,
  matchesLabels,
  type ObjectKey,
  type Pod,
  type PodDisruptionBudget,
  Pods,
  ReplicaSets,
  ReplicationControllers,
  StatefulSets,
  selectorFromObject,
} from '@trimtab/machinery';
import { intOrPercent } from '../int-or-percent.js';
import { isReady, isTerminal } from '../pods.js';

/** An eviction that was allowed and did not happen counts for this long (kubernetes: DeletionTimeout). */
const DELETION_TIMEOUT_MS = 120_000;
/** A pod marked as a disruption's target that stays loses the mark after this long (kubernetes: StalePodDisruptionTimeout). */
const STALE_MARK_MS = 120_000;

export interface BudgetFacts {
  readonly budget: PodDisruptionBudget;
  readonly status: NonNullable<PodDisruptionBudget['status']>;
  /** Why the number of expected pods cannot be told. */
  readonly failure?: string;
  /** Pods whose mark as a disruption's target has come to nothing. */
  readonly stale: readonly Pod[];
  /** When to look again although nothing changes, in milliseconds from now. */
  readonly again?: number;
  readonly noPods: boolean;
}

export function budgetFacts(view: View<PodDisruptionBudget>): BudgetFacts | undefined {
  const budget = view.object;
  if (!budget || isDeleting(budget)) return undefined;
  const selector = selectorFromObject(budget.spec?.selector);
  const pods = view
    .list(Pods, budget.metadata.namespace)
    .filter((pod) => !isTerminal(pod) && matchesLabels(selector, pod.metadata.labels));
  const expectation = expected(view, budget, pods);
  const { disruptedPods, nextExpiry } = stillDisrupted(budget, pods, view.now);
  const marks = pods.flatMap((pod) => markAge(pod, view.now) ?? []);
  const stale = marks.filter(({ ageMs }) => ageMs >= STALE_MARK_MS).map(({ pod }) => pod);
  const waits = [
    ...(nextExpiry === undefined ? [] : [nextExpiry]),
    ...marks.filter(({ ageMs }) => ageMs < STALE_MARK_MS).map(({ ageMs }) => STALE_MARK_MS - ageMs),
  ];
  const again = waits.length > 0 ? { again: Math.min(...waits) } : {};
  if ('failure' in expectation) {
    const { failure } = expectation;
    const conditions = disruptionAllowed(budget, view.now, 'False', 'SyncFailed', failure);
    // Nothing may be disrupted while nobody knows how much would be too much.
    const status = { ...budget.status, disruptionsAllowed: 0, conditions } as BudgetFacts['status'];
    return { budget, status, failure, stale, noPods: false, ...again };
  }
  const healthy = pods.filter(
    (pod) => !isDeleting(pod) && disruptedPods[pod.metadata.name!] === undefined && isReady(pod),
  ).length;
  const { expectedPods, desiredHealthy } = expectation;
  const allowed = expectedPods <= 0 ? 0 : Math.max(0, healthy - desiredHealthy);
  return {
    budget,
    stale,
    noPods: pods.length === 0,
    ...again,
    status: {
      currentHealthy: healthy,
      desiredHealthy,
      expectedPods,
      disruptionsAllowed: allowed,
      observedGeneration: budget.metadata.generation,
      ...(Object.keys(disruptedPods).length > 0 ? { disruptedPods } : {}),
      conditions:
        allowed > 0
          ? disruptionAllowed(budget, view.now, 'True', 'SufficientPods', '')
          : disruptionAllowed(budget, view.now, 'False', 'InsufficientPods', ''),
    },
  };
}

const disruptionAllowed = (
  budget: PodDisruptionBudget,
  now: number,
  status: string,
  reason: string,
  message: string,
): readonly Condition[] =>
  withCondition(
    budget.status?.conditions as readonly Condition[] | undefined,
    { type: 'DisruptionAllowed', status, reason, message, observedGeneration: budget.metadata.generation } as Condition,
    now,
  );

/** How many pods there should be, and how many of them must stay healthy. */
function expected(
  view: View<PodDisruptionBudget>,
  { spec }: PodDisruptionBudget,
  pods: readonly Pod[],
): { readonly expectedPods: number; readonly desiredHealthy: number } | { readonly failure: string } {
  if (spec?.maxUnavailable !== undefined) {
    const scale = scaleOfControllers(view, pods);
    if (typeof scale !== 'number') return scale;
    // kubernetes rounds maxUnavailable up, too: one of three at 30 %.
    const unavailable = intOrPercent(spec.maxUnavailable, scale, Math.ceil);
    return { expectedPods: scale, desiredHealthy: Math.max(0, scale - unavailable) };
  }
  const minAvailable = spec?.minAvailable ?? 0;
  if (typeof minAvailable === 'number') return { expectedPods: pods.length, desiredHealthy: minAvailable };
  const scale = scaleOfControllers(view, pods);
  if (typeof scale !== 'number') return scale;
  return { expectedPods: scale, desiredHealthy: intOrPercent(minAvailable, scale, Math.ceil) };
}

/** The replicas that the controllers of the pods are told to keep, each controller once. */
function scaleOfControllers(
  view: View<PodDisruptionBudget>,
  pods: readonly Pod[],
): number | { readonly failure: string } {
  const replicas = new Map<string, number>();
  for (const pod of pods) {
    const owner = controllerOf(pod);
    if (!owner) return { failure: `found no controller ref for pod "${pod.metadata.name}"` };
    if (replicas.has(owner.uid)) continue;
    const key = { namespace: pod.metadata.namespace, name: owner.name };
    const scale = scaleOf(view, owner, key);
    if (scale === undefined)
      return {
        failure: `cannot tell how many pods ${owner.kind} "${owner.name}" of ${owner.apiVersion} should have; a percentage or maxUnavailable needs pods of a Deployment, ReplicaSet, StatefulSet or ReplicationController`,
      };
    replicas.set(scale.uid, scale.replicas);
  }
  return [...replicas.values()].reduce((sum, each) => sum + each, 0);
}

function scaleOf(
  view: View<PodDisruptionBudget>,
  owner: { readonly apiVersion: string; readonly kind: string; readonly name: string; readonly uid: string },
  key: ObjectKey,
): { readonly uid: string; readonly replicas: number } | undefined {
  for (const type of [ReplicaSets, StatefulSets, ReplicationControllers] as const) {
    if (!refersTo(owner, type)) continue;
    const set = view.get(type as typeof ReplicaSets, key);
    if (set?.metadata.uid !== owner.uid) return { uid: owner.uid, replicas: 0 };
    const above = controllerOf(set);
    const deployment =
      above && refersTo(above, Deployments) ? view.get(Deployments, { ...key, name: above.name }) : undefined;
    const scaled = deployment && deployment.metadata.uid === above?.uid ? deployment : set;
    return { uid: scaled.metadata.uid!, replicas: scaled.spec?.replicas ?? 1 };
  }
  return undefined;
}

/** Allowed evictions whose pods are still there; an old one is taken to have failed. */
function stillDisrupted(budget: PodDisruptionBudget, pods: readonly Pod[], now: number) {
  const disruptedPods: Record<string, string> = {};
  let nextExpiry: number | undefined;
  for (const { metadata } of pods) {
    const since = budget.status?.disruptedPods?.[metadata.name!];
    if (since === undefined || metadata.deletionTimestamp) continue;
    const left = Date.parse(since) + DELETION_TIMEOUT_MS - now;
    if (left <= 0) continue;
    disruptedPods[metadata.name!] = since;
    nextExpiry = Math.min(nextExpiry ?? left, left);
  }
  return { disruptedPods, nextExpiry };
}

function markAge(pod: Pod, now: number): { readonly pod: Pod; readonly ageMs: number } | undefined {
  const mark = conditionOf(pod.status?.conditions, 'DisruptionTarget');
  if (mark?.status !== 'True' || isDeleting(pod) || !mark.lastTransitionTime) return undefined;
  return { pod, ageMs: now - Date.parse(mark.lastTransitionTime) };
}
