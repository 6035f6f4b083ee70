import { controllerOf, isDeleting, type View } from '@trimtab/framework';
import {
  type ControllerRevision,
  ControllerRevisions,
  type PersistentVolumeClaim,
  PersistentVolumeClaims,
  type Pod,
  Pods,
  type PodTemplateSpec,
  type StatefulSet,
  StatefulSets,
} from '@trimtab/machinery';
import { type Claims, claim, workloadSelector } from '../claims.js';
import { type History, historyOf, templateOf } from '../controller-revisions.js';
import { availableIn, isTerminal } from '../pods.js';
import { isStale } from './claim-retention.js';
import { claimsOf, isRolling, ordinalOf, partitionOf, podNameOf, revisionOf, startOf } from './identity.js';
import { isRunningAndReady, type Slot, type Step, stepOf } from './step.js';

const REVISION_LABEL = 'controller.kubernetes.io/hash';

/** All that a StatefulSet's next step depends on. */
export interface StatefulSetFacts {
  readonly set: StatefulSet;
  readonly podClaims: Claims<Pod>;
  readonly revisionClaims: Claims<ControllerRevision>;
  readonly history: History;
  /** What pods are made of by ordinal: below the partition, the revision before the update. */
  readonly templateFor: (ordinal: number) => { readonly template: PodTemplateSpec; readonly revision: string };
  readonly slots: readonly Slot[];
  readonly condemned: readonly Pod[];
  readonly step: Step;
  /** Claims that replicas about to be made, or waiting for them, still lack. */
  readonly missingClaims: readonly { readonly claim: PersistentVolumeClaim; readonly pod: string }[];
  /** Undefined when there is none. */
  readonly volumeClaim: (name: string) => PersistentVolumeClaim | undefined;
  readonly status: NonNullable<StatefulSet['status']>;
  /** When the next ready pod becomes available, in milliseconds from now. */
  readonly nextAvailableIn: number | undefined;
}

export function statefulSetFacts(view: View<StatefulSet>): StatefulSetFacts | undefined {
  const set = view.object;
  if (!set?.spec) return undefined;
  const { namespace = '' } = set.metadata;
  const orphans = view
    .byIndex(Pods, 'uncontrolled', namespace)
    .filter((pod) => controllerOf(pod) === undefined && ordinalOf(set, pod) !== undefined);
  const podClaims = claim(set, workloadSelector(set.spec.selector), [...view.owned(Pods), ...orphans]);
  const revisionClaims = claim(set, workloadSelector(set.spec.selector), [
    ...view.owned(ControllerRevisions),
    ...view.byIndex(ControllerRevisions, 'uncontrolled', namespace),
  ]);
  const history = historyOf(
    {
      type: StatefulSets,
      object: set,
      template: set.spec.template,
      collisionCount: set.status?.collisionCount ?? 0,
      hashLabel: REVISION_LABEL,
    },
    revisionClaims.owned,
    (name) => view.get(ControllerRevisions, { namespace, name }) !== undefined,
  );
  const update = history.current ?? history.wanting;
  const current = history.all.find(({ metadata }) => metadata.name === set.status?.currentRevision) ?? update;
  const volumeClaim = (name: string) => view.get(PersistentVolumeClaims, { namespace, name });
  const { slots, condemned } = placesOf(set, podClaims.owned, volumeClaim);
  const minReadySeconds = set.spec.minReadySeconds ?? 0;
  const isAvailable = (pod: Pod) => availableIn(pod, minReadySeconds, view.now) === 0;
  const updateRevision = update.metadata.name!;
  const step = stepOf({ set, slots, condemned, updateRevision, isAvailable });
  const waits = podClaims.owned.map((pod) => availableIn(pod, minReadySeconds, view.now));
  const ahead = waits.filter((ms): ms is number => ms !== undefined && ms > 0);
  return {
    set,
    podClaims,
    revisionClaims,
    history,
    templateFor: (ordinal) => templateFor(set, ordinal, current, update),
    slots,
    condemned,
    step,
    missingClaims: missingClaims(set, slots, step, volumeClaim),
    volumeClaim,
    status: statusOf(set, podClaims.owned, current.metadata.name!, updateRevision, condemned.length, isAvailable),
    nextAvailableIn: ahead.length > 0 ? Math.min(...ahead) : undefined,
  };
}

function placesOf(
  set: StatefulSet,
  pods: readonly Pod[],
  volumeClaim: (name: string) => PersistentVolumeClaim | undefined,
): { readonly slots: readonly Slot[]; readonly condemned: readonly Pod[] } {
  const start = startOf(set);
  const end = start + (set.spec?.replicas ?? 1);
  const byOrdinal = new Map(pods.map((pod) => [ordinalOf(set, pod), pod]));
  const slots: Slot[] = [];
  for (let ordinal = start; ordinal < end; ordinal++) {
    const pod = byOrdinal.get(ordinal);
    const name = podNameOf(set, ordinal);
    const blocked =
      !pod &&
      claimsOf(set, ordinal).some(({ metadata }) => {
        const present = volumeClaim(metadata.name!);
        return present !== undefined && isStale(present, name);
      });
    slots.push({ ordinal, pod, blocked });
  }
  const condemned = [...byOrdinal]
    .filter(([ordinal]) => ordinal !== undefined && (ordinal < start || ordinal >= end))
    .sort(([a], [b]) => b! - a!)
    .map(([, pod]) => pod);
  return { slots, condemned };
}

function templateFor(
  set: StatefulSet,
  ordinal: number,
  current: ControllerRevision,
  update: ControllerRevision,
): { readonly template: PodTemplateSpec; readonly revision: string } {
  const keeps = isRolling(set) && ordinal < startOf(set) + partitionOf(set);
  const template = keeps ? templateOf(current) : undefined;
  return template
    ? { template, revision: current.metadata.name! }
    : { template: set.spec!.template, revision: update.metadata.name! };
}

function missingClaims(
  set: StatefulSet,
  slots: readonly Slot[],
  step: Step,
  volumeClaim: (name: string) => PersistentVolumeClaim | undefined,
): StatefulSetFacts['missingClaims'] {
  if (!set.spec?.volumeClaimTemplates?.length) return [];
  const waiting = slots.filter(({ pod }) => pod && !isDeleting(pod) && (pod.status?.phase ?? 'Pending') === 'Pending');
  return [...step.make, ...waiting.map(({ ordinal }) => ordinal)].flatMap((ordinal) =>
    claimsOf(set, ordinal)
      .filter(({ metadata }) => volumeClaim(metadata.name!) === undefined)
      .map((each) => ({ claim: each, pod: podNameOf(set, ordinal) })),
  );
}

/** An update is over when every wanted pod is of it and ready: what was the update is then what is current. */
function statusOf(
  set: StatefulSet,
  pods: readonly Pod[],
  currentRevision: string,
  updateRevision: string,
  condemned: number,
  isAvailable: (pod: Pod) => boolean,
): NonNullable<StatefulSet['status']> {
  const present = pods.filter((pod) => ordinalOf(set, pod) !== undefined);
  const ready = present.filter(isRunningAndReady);
  const staying = present.filter((pod) => !isDeleting(pod) && !isTerminal(pod));
  const of = (revision: string) => staying.filter((pod) => revisionOf(pod) === revision).length;
  const wanted = set.spec?.replicas ?? 1;
  const updatedReplicas = of(updateRevision);
  const done =
    isRolling(set) &&
    condemned === 0 &&
    updatedReplicas === wanted &&
    ready.length === wanted &&
    present.length === wanted;
  return {
    replicas: present.length,
    readyReplicas: some(ready.length),
    availableReplicas: ready.filter(isAvailable).length,
    currentReplicas: some(done ? updatedReplicas : of(currentRevision)),
    updatedReplicas: some(updatedReplicas),
    currentRevision: done ? updateRevision : currentRevision,
    updateRevision,
    collisionCount: set.status?.collisionCount ?? 0,
    observedGeneration: set.metadata.generation,
  };
}

/** Zero is written by leaving it out, as Go does. */
const some = (count: number): number | undefined => (count === 0 ? undefined : count);
