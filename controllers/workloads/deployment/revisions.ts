import { controllerReference } from '@trimtab/framework';
import type { Deployment, ReplicaSet } from '@trimtab/machinery';
import { Deployments, ReplicaSets } from '@trimtab/machinery';
import { type Allowance, allowanceOf } from './strategy.js';
import { TEMPLATE_HASH_LABEL, templateHash } from './template-hash.js';

/** Revision numbers and the annotations that carry them (kubernetes: deployment_util). */
export const REVISION = 'deployment.kubernetes.io/revision';
export const REVISION_HISTORY = 'deployment.kubernetes.io/revision-history';
export const DESIRED_REPLICAS = 'deployment.kubernetes.io/desired-replicas';
export const MAX_REPLICAS = 'deployment.kubernetes.io/max-replicas';
const NOT_INHERITED = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  REVISION,
  REVISION_HISTORY,
  DESIRED_REPLICAS,
  MAX_REPLICAS,
  'deprecated.deployment.rollback.to',
]);
const HISTORY_LIMIT_CHARACTERS = 2000;

export function revisionOf(object: Deployment | ReplicaSet): number {
  const number = Number(object.metadata.annotations?.[REVISION] ?? '0');
  return Number.isSafeInteger(number) ? number : 0;
}

export const newestRevision = (replicaSets: readonly ReplicaSet[]): number =>
  Math.max(0, ...replicaSets.map(revisionOf));

/** The ReplicaSet as the current revision of its Deployment should be: its annotations, a new number when it was older. */
export function revised(replicaSet: ReplicaSet, deployment: Deployment, revision: number): ReplicaSet {
  const present = replicaSet.metadata.annotations ?? {};
  const annotations: Record<string, string> = { ...present, ...inherited(deployment) };
  const old = revisionOf(replicaSet);
  if (old < revision) {
    annotations[REVISION] = String(revision);
    if (old > 0) annotations[REVISION_HISTORY] = remembered(present[REVISION_HISTORY], String(old));
  }
  const { minReadySeconds } = deployment.spec ?? {};
  const sameSeconds = (replicaSet.spec?.minReadySeconds ?? 0) === (minReadySeconds ?? 0);
  return {
    ...replicaSet,
    metadata: { ...replicaSet.metadata, annotations },
    ...(sameSeconds || !replicaSet.spec ? {} : { spec: { ...replicaSet.spec, minReadySeconds } }),
  };
}

/** The ReplicaSet with another size, and what that size is a part of. */
export function resized(replicaSet: ReplicaSet, replicas: number, allowance: Allowance): ReplicaSet {
  const annotations = { ...replicaSet.metadata.annotations, ...sizeAnnotations(allowance) };
  return {
    ...replicaSet,
    metadata: { ...replicaSet.metadata, annotations },
    spec: { ...replicaSet.spec!, replicas },
  };
}

export const desiredOf = (replicaSet: ReplicaSet): number | undefined =>
  integer(replicaSet.metadata.annotations?.[DESIRED_REPLICAS]);

export const maxOf = (replicaSet: ReplicaSet): number | undefined =>
  integer(replicaSet.metadata.annotations?.[MAX_REPLICAS]);

/** The ReplicaSet for the Deployment's present template. */
export function newReplicaSet(deployment: Deployment, replicas: number, revision: number): ReplicaSet {
  const { template, selector, minReadySeconds } = deployment.spec!;
  const hash = templateHash(template, deployment.status?.collisionCount ?? 0);
  const labels = { ...template.metadata?.labels, [TEMPLATE_HASH_LABEL]: hash };
  return {
    apiVersion: 'apps/v1',
    kind: ReplicaSets.kind,
    metadata: {
      name: `${deployment.metadata.name}-${hash}`,
      namespace: deployment.metadata.namespace,
      labels,
      annotations: {
        ...inherited(deployment),
        ...sizeAnnotations(allowanceOf(deployment)),
        [REVISION]: String(revision),
      },
      ownerReferences: [controllerReference(Deployments, deployment)],
    },
    spec: {
      replicas,
      ...(minReadySeconds ? { minReadySeconds } : {}),
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [TEMPLATE_HASH_LABEL]: hash } },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  };
}

const sizeAnnotations = ({ wanted, maxSurge }: Allowance) => ({
  [DESIRED_REPLICAS]: String(wanted),
  [MAX_REPLICAS]: String(wanted + maxSurge),
});

const inherited = (deployment: Deployment): Record<string, string> =>
  Object.fromEntries(
    Object.entries(deployment.metadata.annotations ?? {}).filter(([name]) => !NOT_INHERITED.has(name)),
  );

/** Appends, forgetting the oldest beyond the limit. */
function remembered(history: string | undefined, revision: string): string {
  const revisions = [...(history ? history.split(',') : []), revision];
  while (revisions.length > 1 && revisions.join(',').length > HISTORY_LIMIT_CHARACTERS) revisions.shift();
  return revisions.join(',');
}

function integer(text: string | undefined): number | undefined {
  const number = Number(text);
  return text !== undefined && Number.isSafeInteger(number) ? number : undefined;
}
