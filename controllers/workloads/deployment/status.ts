import { conditionOf } from '@trimtab/framework';
import { type DeploymentCondition, type DeploymentStatus, type ReplicaSet, timestamp } from '@trimtab/machinery';
import type { DeploymentFacts } from './facts.js';
import { availableOf, sizeOf } from './sizes.js';

/** `kubectl rollout status` reads these (kubernetes: pkg/controller/deployment progress.go, sync.go). */
type ConditionDraft = Pick<DeploymentCondition, 'type' | 'status' | 'reason' | 'message'>;

/** Kubernetes writes "no deadline" as the largest 32-bit number. */
const NO_DEADLINE = 2147483647;
const DEADLINE_SLACK_MS = 1_000;

export interface StatusPlan {
  /** Only what is there: no word on progress (paused, deleting, scaling). */
  readonly plain: boolean;
  /** The new ReplicaSet is created in this very step. */
  readonly creating: boolean;
}

export function statusOf(facts: DeploymentFacts, plan: StatusPlan): DeploymentStatus {
  const { deployment, current, old } = facts;
  const all = current ? [...old, current] : old;
  const sum = (of: (r: ReplicaSet) => number) => all.reduce((total, replicaSet) => total + of(replicaSet), 0);
  const counts = {
    replicas: some(sum((r) => r.status?.replicas ?? 0)),
    updatedReplicas: some(current?.status?.replicas ?? 0),
    readyReplicas: some(sum((r) => r.status?.readyReplicas ?? 0)),
    availableReplicas: some(sum(availableOf)),
    unavailableReplicas: some(Math.max(0, sum(sizeOf) - sum(availableOf))),
    observedGeneration: deployment.metadata.generation,
    ...(deployment.status?.collisionCount ? { collisionCount: deployment.status.collisionCount } : {}),
  };
  const status = { ...deployment.status, ...counts };
  return { ...status, conditions: conditionsOf(facts, plan, status) };
}

/** Milliseconds until the rollout is overdue; undefined when it is not on its way. */
export function overdueIn({ deployment, now }: DeploymentFacts, status: DeploymentStatus): number | undefined {
  const deadline = deadlineMs(deployment.spec?.progressDeadlineSeconds);
  const progressing = conditionOf(status.conditions, 'Progressing');
  if (deadline === undefined || !progressing || isComplete(deployment, status)) return undefined;
  if (progressing.reason === 'ProgressDeadlineExceeded') return undefined;
  const since = Date.parse(progressing.lastUpdateTime ?? progressing.lastTransitionTime ?? '');
  return Math.max(0, since + deadline - now) + DEADLINE_SLACK_MS;
}

export function isComplete(deployment: DeploymentFacts['deployment'], status: DeploymentStatus | undefined): boolean {
  const wanted = deployment.spec?.replicas ?? 1;
  return (
    (status?.updatedReplicas ?? 0) === wanted &&
    (status?.replicas ?? 0) === wanted &&
    (status?.availableReplicas ?? 0) === wanted &&
    (status?.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  );
}

function conditionsOf(
  facts: DeploymentFacts,
  plan: StatusPlan,
  status: DeploymentStatus,
): readonly DeploymentCondition[] | undefined {
  const { deployment, allowance, current, wanting, creationFailure, now } = facts;
  const conditions = new Conditions(deployment.status?.conditions ?? [], now);
  const enough = (status.availableReplicas ?? 0) >= allowance.wanted - allowance.maxUnavailable;
  conditions.set({
    type: 'Available',
    status: enough ? 'True' : 'False',
    reason: enough ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
    message: enough ? 'Deployment has minimum availability.' : 'Deployment does not have minimum availability.',
  });
  if (deadlineMs(deployment.spec?.progressDeadlineSeconds) === undefined) conditions.remove('Progressing');
  else {
    notePause(facts, conditions);
    const name = current?.metadata.name ?? wanting.metadata.name;
    if (creationFailure) conditions.set(progress('False', 'ReplicaSetCreateError', creationFailure.message));
    else if (plan.creating)
      conditions.set(progress('True', 'NewReplicaSetCreated', `Created new replica set "${name}"`));
    else if (current && !conditions.get('Progressing'))
      conditions.set(progress('True', 'FoundNewReplicaSet', `Found new replica set "${name}"`));
    if (!plan.plain) noteProgress(facts, conditions, status);
  }
  const broken = [...(current ? [current] : []), ...facts.old]
    .map((replicaSet) => conditionOf(replicaSet.status?.conditions, 'ReplicaFailure'))
    .find((condition) => condition?.status === 'True');
  if (broken)
    conditions.set({ type: 'ReplicaFailure', status: 'True', reason: broken.reason, message: broken.message });
  else conditions.remove('ReplicaFailure');
  return conditions.list.length > 0 ? conditions.list : undefined;
}

function notePause({ deployment }: DeploymentFacts, conditions: Conditions): void {
  const present = conditions.get('Progressing');
  if (present?.reason === 'ProgressDeadlineExceeded') return;
  const noted = present?.reason === 'DeploymentPaused';
  if (deployment.spec?.paused && !noted)
    conditions.set(progress('Unknown', 'DeploymentPaused', 'Deployment is paused'));
  else if (!deployment.spec?.paused && noted)
    conditions.set(progress('Unknown', 'DeploymentResumed', 'Deployment is resumed'));
}

function noteProgress(facts: DeploymentFacts, conditions: Conditions, status: DeploymentStatus): void {
  const { deployment, current, now } = facts;
  const before = deployment.status ?? {};
  const present = conditions.get('Progressing');
  const settled =
    (status.replicas ?? 0) === (status.updatedReplicas ?? 0) && present?.reason === 'NewReplicaSetAvailable';
  if (settled) return;
  const subject = current ? `ReplicaSet "${current.metadata.name}"` : `Deployment "${deployment.metadata.name}"`;
  if (isComplete(deployment, status)) {
    conditions.set(progress('True', 'NewReplicaSetAvailable', `${subject} has successfully progressed.`));
  } else if (progressed(before, status)) {
    conditions.touch(progress('True', 'ReplicaSetUpdated', `${subject} is progressing.`));
  } else if (timedOut(deployment.spec?.progressDeadlineSeconds, present, now)) {
    conditions.set(progress('False', 'ProgressDeadlineExceeded', `${subject} has timed out progressing.`));
  }
}

function progressed(before: DeploymentStatus, after: DeploymentStatus): boolean {
  const old = (s: DeploymentStatus) => (s.replicas ?? 0) - (s.updatedReplicas ?? 0);
  return (
    (after.updatedReplicas ?? 0) > (before.updatedReplicas ?? 0) ||
    old(after) < old(before) ||
    (after.readyReplicas ?? 0) > (before.readyReplicas ?? 0) ||
    (after.availableReplicas ?? 0) > (before.availableReplicas ?? 0)
  );
}

function timedOut(deadlineSeconds: number | undefined, present: DeploymentCondition | undefined, now: number): boolean {
  const deadline = deadlineMs(deadlineSeconds);
  if (!present || deadline === undefined || present.reason === 'NewReplicaSetAvailable') return false;
  if (present.reason === 'ProgressDeadlineExceeded') return true;
  return Date.parse(present.lastUpdateTime ?? present.lastTransitionTime ?? '') + deadline < now;
}

const deadlineMs = (seconds = 600): number | undefined => (seconds === NO_DEADLINE ? undefined : seconds * 1000);
const some = (count: number): number | undefined => (count === 0 ? undefined : count);
const progress = (status: string, reason: string, message: string): ConditionDraft => ({
  type: 'Progressing',
  status,
  reason,
  message,
});

/** A condition of the same status and reason stays as it is; only a change moves its times. */
class Conditions {
  list: readonly DeploymentCondition[];
  readonly #time: string;

  constructor(present: readonly DeploymentCondition[], now: number) {
    this.list = present;
    this.#time = timestamp(now);
  }

  get(type: string): DeploymentCondition | undefined {
    return conditionOf(this.list, type);
  }

  set(draft: ConditionDraft): void {
    const old = this.get(draft.type);
    if (old?.status !== draft.status || old.reason !== draft.reason) this.touch(draft);
  }

  /** Sets it with a new `lastUpdateTime` in any case. */
  touch(draft: ConditionDraft): void {
    const old = this.get(draft.type);
    const lastTransitionTime = old?.status === draft.status ? old.lastTransitionTime : this.#time;
    const next = { ...draft, lastUpdateTime: this.#time, lastTransitionTime };
    this.list = [...this.list.filter((condition) => condition.type !== draft.type), next];
  }

  remove(type: string): void {
    if (this.get(type)) this.list = this.list.filter((condition) => condition.type !== type);
  }
}
