import { controllerOf, type Failure, isDeleting, type View } from '@trimtab/framework';
import { type Deployment, isReason, Pods, type ReplicaSet, ReplicaSets } from '@trimtab/machinery';
import { type Claims, claim, workloadSelector } from '../claims.js';
import { isTerminal } from '../pods.js';
import { desiredOf, greater, newestRevision, newReplicaSet, revisionOf } from './revisions.js';
import { byCreation, newSize, proportionally, type Resize, shrinkOld, sizeOf } from './sizes.js';
import { type Allowance, allowanceOf, isRolling } from './strategy.js';
import { sameTemplate } from './template-hash.js';

/** All that a Deployment's next step depends on. */
export interface DeploymentFacts {
  readonly deployment: Deployment;
  readonly claims: Claims<ReplicaSet>;
  readonly allowance: Allowance;
  /** The ReplicaSet of the present template, where there is one. */
  readonly current: ReplicaSet | undefined;
  readonly old: readonly ReplicaSet[];
  /** The number the current ReplicaSet has, or will get. */
  readonly revision: bigint;
  /** What to create when there is no current one. */
  readonly wanting: ReplicaSet;
  /** Somebody else's ReplicaSet has the name the new one would get. */
  readonly collides: boolean;
  readonly currentSize: number;
  readonly shrinking: readonly Resize[];
  /** Sizes that follow from a changed number of replicas alone. */
  readonly proportions: readonly Resize[];
  readonly resizedByUser: boolean;
  readonly oldPodsRun: boolean;
  readonly now: number;
  /** Why the new ReplicaSet could not be made, last time. */
  readonly creationFailure: Error | undefined;
}

export function deploymentFacts(view: View<Deployment>): DeploymentFacts | undefined {
  const deployment = view.object;
  if (!deployment?.spec) return undefined;
  const rolling = isRolling(deployment);
  const namespace = deployment.metadata.namespace ?? '';
  const orphans = view.byIndex(ReplicaSets, 'uncontrolled', namespace);
  const claims = claim(deployment, workloadSelector(deployment.spec.selector), [
    ...view.owned(ReplicaSets),
    ...orphans,
  ]);
  const all = [...claims.owned].sort(byCreation);
  const current = all.find((replicaSet) => sameTemplate(replicaSet.spec?.template, deployment.spec!.template));
  const old = all.filter((replicaSet) => replicaSet !== current);
  const allowance = allowanceOf(deployment);
  const revision = greater(newestRevision(old) + 1n, current ? revisionOf(current) : 0n);
  const currentSize = newSize(sizeOf(current), all, rolling, allowance);
  const wanting = newReplicaSet(deployment, currentSize, revision);
  const proportions = proportionally(current, old, rolling, allowance, deployment.status?.replicas ?? 0);
  const occupant = current ? undefined : view.get(ReplicaSets, { namespace, name: wanting.metadata.name! });
  return {
    deployment,
    claims,
    allowance,
    current,
    old,
    revision,
    wanting,
    collides: occupant !== undefined,
    currentSize,
    shrinking: rolling ? shrinkOld(current, old, allowance) : toZero(old),
    proportions,
    resizedByUser: proportions.length > 0 && all.some((each) => isOutdated(each, allowance)),
    oldPodsRun: !rolling && oldPodsRun(view, old),
    now: view.now,
    creationFailure: current ? undefined : creationFailure(view.failure),
  };
}

/** A name that is taken is no failure: either the cache is behind, or the names collide, which it will show. */
function creationFailure(failure: Failure | undefined): Error | undefined {
  return failure?.effect?.type === 'create' && !isReason(failure.error, 'AlreadyExists') ? failure.error : undefined;
}

const toZero = (old: readonly ReplicaSet[]): readonly Resize[] =>
  old.filter((replicaSet) => sizeOf(replicaSet) > 0).map((replicaSet) => ({ replicaSet, to: 0 }));

/** Recreate waits for pods that are still being terminated, too. */
function oldPodsRun(view: View<Deployment>, old: readonly ReplicaSet[]): boolean {
  return old.some((replicaSet) =>
    view
      .byIndex(Pods, 'owner', replicaSet.metadata.uid!)
      .some((pod) => controllerOf(pod)?.uid === replicaSet.metadata.uid && !isTerminal(pod)),
  );
}

/** Sized as a part of another number of replicas than is wanted now. */
function isOutdated(replicaSet: ReplicaSet, { wanted }: Allowance): boolean {
  const desired = desiredOf(replicaSet);
  return sizeOf(replicaSet) > 0 && desired !== undefined && desired !== wanted;
}

/** Old ReplicaSets beyond the history limit, oldest revision first; never one that may still have pods. */
export function forgettable({ deployment, old }: DeploymentFacts): readonly ReplicaSet[] {
  const limit = deployment.spec?.revisionHistoryLimit ?? 10;
  const alive = old.filter((replicaSet) => !isDeleting(replicaSet));
  const surplus = alive.length - limit;
  if (surplus <= 0) return [];
  return [...alive]
    .sort((a, b) => Number(revisionOf(a) - revisionOf(b)) || byCreation(a, b))
    .slice(0, surplus)
    .filter(
      ({ spec, status, metadata }) =>
        (spec?.replicas ?? 0) === 0 &&
        (status?.replicas ?? 0) === 0 &&
        (metadata.generation ?? 0) <= (status?.observedGeneration ?? 0),
    );
}
