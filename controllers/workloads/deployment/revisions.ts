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

const INT64_MAX = 2n ** 63n - 1n;

/** An int64, which a JavaScript number does not hold; 0 of what is none. */
export function revisionOf(object: Deployment | ReplicaSet): bigint {
  const text = object.metadata.annotations?.[REVISION] ?? '';
  const number = /^\d{1,19}$/.test(text) ? BigInt(text) : 0n;
  return number <= INT64_MAX ? number : 0n;
}

export const newestRevision = (replicaSets: readonly ReplicaSet[]): bigint =>
  greater(0n, ...replicaSets.map(revisionOf));

export const greater = (...revisions: readonly bigint[]): bigint =>
  revisions.reduce((most, each) => (each > most ? each : most));

/** The ReplicaSet as the current revision of its Deployment should be: its annotations, a new number when it was older. */
export function revised(replicaSet: ReplicaSet, deployment: Deployment, revision: bigint): ReplicaSet {
  const present = replicaSet.metadata.annotations ?? {};
  const annotations: Record<string, string> = { ...present, ...inherited(deployment) };
  const old = revisionOf(replicaSet);
  if (old < revision) {
    annotations[REVISION] = String(revision);
    if (old > 0n) annotations[REVISION_HISTORY] = remembered(present[REVISION_HISTORY], String(old));
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
export function newReplicaSet(deployment: Deployment, replicas: number, revision: bigint): ReplicaSet {
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
