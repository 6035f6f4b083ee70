import { changeTo, create, type Effect, event, remove, requeueAfter } from '@trimtab/framework';
import { Deployments, type ReplicaSet, ReplicaSets } from '@trimtab/machinery';
import { claimEffects } from '../claims.js';
import { type DeploymentFacts, forgettable } from './facts.js';
import { REVISION, resized, revised } from './revisions.js';
import { type Resize, sizeOf } from './sizes.js';
import { overdueIn, type StatusPlan, statusOf } from './status.js';

export const claimReplicaSets = ({ deployment, claims }: DeploymentFacts): readonly Effect[] =>
  claimEffects(Deployments, deployment, ReplicaSets, claims);

export const createCurrent = ({ deployment, wanting }: DeploymentFacts): readonly Effect[] => [
  create(ReplicaSets, wanting, {
    regarding: deployment,
    ...(sizeOf(wanting) > 0
      ? { done: { reason: 'ScalingReplicaSet', message: scaledMessage('{name}', 0, sizeOf(wanting)) } }
      : {}),
    failed: { reason: 'ReplicaSetCreateError', message: 'Failed to create new replica set: {error}' },
  }),
];

/** The next hash gives another name. */
export const countCollision = ({ deployment }: DeploymentFacts): readonly Effect[] => {
  const collisionCount = (deployment.status?.collisionCount ?? 0) + 1;
  const wanted = { ...deployment, status: { ...deployment.status, collisionCount } };
  return changeTo(Deployments, deployment, wanted, { subresource: 'status' });
};

export const growCurrent = (facts: DeploymentFacts): readonly Effect[] =>
  resize(facts, [{ replicaSet: facts.current!, to: facts.currentSize }]);

export const shrinkOthers = (facts: DeploymentFacts): readonly Effect[] => [
  ...resize(facts, []),
  ...resize(facts, facts.shrinking),
];

export const keepProportions = (facts: DeploymentFacts): readonly Effect[] => resize(facts, facts.proportions);

/** Brings the current ReplicaSet's annotations up to date and leaves sizes alone. */
export const revise = (facts: DeploymentFacts): readonly Effect[] => resize(facts, []);

/**
 * One write a ReplicaSet: its size, and for the current one revision and inherited annotations too; then the Deployment's
 * own revision.
 */
function resize(facts: DeploymentFacts, resizes: readonly Resize[]): readonly Effect[] {
  const { deployment, current, revision, allowance } = facts;
  const others = resizes.filter(({ replicaSet }) => replicaSet !== current);
  const own = resizes.find(({ replicaSet }) => replicaSet === current);
  const write = (replicaSet: ReplicaSet, base: ReplicaSet, to: number | undefined) => {
    const from = sizeOf(replicaSet);
    const wanted = to === undefined ? base : resized(base, to, allowance);
    const done = { reason: 'ScalingReplicaSet', message: scaledMessage('{name}', from, to ?? from) };
    const announce = to !== undefined && to !== from ? { announce: { regarding: deployment, done } } : {};
    return changeTo(ReplicaSets, replicaSet, wanted, announce);
  };
  return [
    ...(current ? write(current, revised(current, deployment, revision), own?.to) : []),
    ...(current ? noteRevision(facts) : []),
    ...others.flatMap(({ replicaSet, to }) => write(replicaSet, replicaSet, to)),
  ];
}

export const noteRevision = ({ deployment, revision }: DeploymentFacts): readonly Effect[] => {
  const annotations = { ...deployment.metadata.annotations, [REVISION]: String(revision) };
  return changeTo(Deployments, deployment, { ...deployment, metadata: { ...deployment.metadata, annotations } });
};

/** Old revisions beyond the limit go, once nothing of them can still be running. */
export const forgetOld = (facts: DeploymentFacts): readonly Effect[] =>
  forgettable(facts).map((replicaSet) => remove(ReplicaSets, replicaSet));

export const report = (facts: DeploymentFacts, plan: StatusPlan): readonly Effect[] => {
  const { deployment } = facts;
  const status = statusOf(facts, plan);
  const overdue = plan.plain ? undefined : overdueIn(facts, status);
  return [
    ...changeTo(Deployments, deployment, { ...deployment, status }, { subresource: 'status' }),
    ...(overdue === undefined ? [] : [requeueAfter(overdue)]),
  ];
};

export const refuseSelectingAll = ({ deployment }: DeploymentFacts): readonly Effect[] => {
  const message = 'This deployment is selecting all pods. A non-empty selector is required.';
  const status = { ...deployment.status, observedGeneration: deployment.metadata.generation };
  return [
    event(deployment, 'Warning', 'SelectingAll', message),
    ...changeTo(Deployments, deployment, { ...deployment, status }, { subresource: 'status' }),
  ];
};

const scaledMessage = (name: string, from: number, to: number): string =>
  `Scaled ${to > from ? 'up' : 'down'} replica set ${name} from ${from} to ${to}`;
