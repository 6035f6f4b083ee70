import type { Deployment, Pod, ReplicaSet } from '@trimtab/machinery';
import { isReady } from '../objects/pod-ready.js';
import { troubleOf } from '../objects/why-pods.js';

/** What is known of the workloads being waited for. */
export interface Workloads {
  readonly deployments: readonly Deployment[];
  readonly replicaSets: readonly ReplicaSet[];
  readonly pods: readonly Pod[];
}

/** Every replica of the newest template is available, and the controller has seen the newest spec. */
export function isRolledOut({ metadata, spec, status = {} }: Deployment): boolean {
  const wanted = spec?.replicas ?? 1;
  return (
    (status.observedGeneration ?? 0) >= (metadata.generation ?? 0) &&
    (status.updatedReplicas ?? 0) === wanted &&
    (status.availableReplicas ?? 0) === wanted &&
    (status.replicas ?? 0) === wanted
  );
}

/** The tree people watch: each deployment, and below it the pods that are not there yet with what they wait for. */
export function rolloutTree({ deployments, replicaSets, pods }: Workloads, colour: boolean): readonly string[] {
  const paint = (code: number, text: string): string => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  return [...deployments]
    .sort((a, b) => (a.metadata.name! < b.metadata.name! ? -1 : 1))
    .flatMap((deployment) => {
      const done = isRolledOut(deployment);
      const { name } = deployment.metadata;
      const available = `${deployment.status?.availableReplicas ?? 0}/${deployment.spec?.replicas ?? 1}`;
      const head = `${done ? paint(32, '✔') : paint(33, '…')} ${name} ${available}`;
      if (done) return [head];
      const sets = new Set(replicaSets.filter((set) => ownedBy(set, deployment)).map((set) => set.metadata.uid));
      const own = pods.filter((pod) => pod.metadata.ownerReferences?.some(({ uid }) => sets.has(uid)));
      return [
        head,
        ...own.filter((pod) => !isReady(pod)).map((pod) => `    ${pod.metadata.name} ${troubleOf(pod) ?? 'has ended'}`),
      ];
    });
}

const ownedBy = (object: ReplicaSet, owner: Deployment): boolean =>
  object.metadata.ownerReferences?.some(({ uid }) => uid === owner.metadata.uid) ?? false;
