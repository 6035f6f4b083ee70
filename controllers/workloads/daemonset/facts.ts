import { controllerOf, isDeleting, type View } from '@trimtab/framework';
import {
  type ControllerRevision,
  ControllerRevisions,
  type DaemonSet,
  DaemonSets,
  Nodes,
  type Pod,
  Pods,
} from '@trimtab/machinery';
import { type Claims, claim, workloadSelector } from '../claims.js';
import { type History, historyOf, REVISION_HASH } from '../controller-revisions.js';
import { availableIn, isReady, isTerminal } from '../pods.js';
import { FAILURES, type Failures, failuresOf } from './backoff.js';
import { eligibility, nodeOf } from './daemon-pod.js';
import { isOf, type Place, type Placement, placementOf } from './placement.js';
import { allowanceOf, isRolling, type Rollout, rolloutOf } from './rollout.js';

/** All that a DaemonSet's next step depends on. */
export interface DaemonSetFacts {
  readonly daemonSet: DaemonSet;
  readonly podClaims: Claims<Pod>;
  readonly revisionClaims: Claims<ControllerRevision>;
  readonly history: History;
  /** Of the present template; names its revision and its pods. */
  readonly hash: string;
  readonly placement: Placement;
  readonly rollout: Rollout;
  readonly failures: Failures;
  readonly status: NonNullable<DaemonSet['status']>;
  /** When the next ready pod becomes available, in milliseconds from now. */
  readonly nextAvailableIn: number | undefined;
  readonly now: number;
}

export function daemonSetFacts(view: View<DaemonSet>): DaemonSetFacts | undefined {
  const daemonSet = view.object;
  if (!daemonSet?.spec) return undefined;
  const { now } = view;
  const { namespace = '' } = daemonSet.metadata;
  const orphans = view.byIndex(Pods, 'uncontrolled', namespace).filter((pod) => controllerOf(pod) === undefined);
  const podClaims = claim(daemonSet, workloadSelector(daemonSet.spec.selector), [...view.owned(Pods), ...orphans]);
  const revisionClaims = claim(daemonSet, workloadSelector(daemonSet.spec.selector), [
    ...view.owned(ControllerRevisions),
    ...view.byIndex(ControllerRevisions, 'uncontrolled', namespace),
  ]);
  const history = historyOf(
    {
      type: DaemonSets,
      object: daemonSet,
      template: daemonSet.spec.template,
      collisionCount: daemonSet.status?.collisionCount ?? 0,
      hashLabel: REVISION_HASH,
      notInherited: [FAILURES],
    },
    revisionClaims.owned,
    (name) => view.get(ControllerRevisions, { namespace, name }) !== undefined,
  );
  const hash = (history.current ?? history.wanting).metadata.labels![REVISION_HASH]!;
  const places = placesOf(view, daemonSet, podClaims.owned);
  const desired = places.filter((place) => place.should).length;
  const allowance = allowanceOf(daemonSet, desired);
  const minReadySeconds = daemonSet.spec.minReadySeconds ?? 0;
  const isAvailable = (pod: Pod) => availableIn(pod, minReadySeconds, now) === 0;
  const failures = failuresOf(daemonSet, now);
  const surges = allowance.maxSurge > 0;
  const waits = podClaims.owned.map((pod) => availableIn(pod, minReadySeconds, now));
  const ahead = waits.filter((ms): ms is number => ms !== undefined && ms > 0);
  return {
    daemonSet,
    podClaims,
    revisionClaims,
    history,
    hash,
    placement: placementOf(places, { daemonSet, hash, surges, failures, now, isAvailable }),
    rollout: isRolling(daemonSet)
      ? rolloutOf(places, { ...allowance, hash, isAvailable })
      : { remove: [], surgeOn: [] },
    failures,
    status: statusOf(daemonSet, places, hash, isAvailable),
    nextAvailableIn: ahead.length > 0 ? Math.min(...ahead) : undefined,
    now,
  };
}

/** Every node, and where pods are meant for a node that is gone, that too. */
function placesOf(view: View<DaemonSet>, daemonSet: DaemonSet, pods: readonly Pod[]): readonly Place[] {
  const byNode = new Map<string, Pod[]>();
  for (const pod of [...pods].sort(byCreation)) {
    // One that has ended and is going already is as good as gone.
    if (isDeleting(pod) && isTerminal(pod)) continue;
    const node = nodeOf(pod) ?? '';
    byNode.set(node, [...(byNode.get(node) ?? []), pod]);
  }
  const places: Place[] = [];
  for (const node of view.list(Nodes)) {
    const name = node.metadata.name!;
    places.push({ node: name, pods: byNode.get(name) ?? [], ...eligibility(daemonSet, node) });
    byNode.delete(name);
  }
  // Bound pods of a lost node are the node lifecycle's; those never bound can only wait in vain.
  for (const [node, lost] of byNode) {
    const unbound = lost.filter((pod) => !pod.spec?.nodeName);
    if (unbound.length > 0) places.push({ node, pods: unbound, should: false, mayStay: false });
  }
  return places;
}

function byCreation(a: Pod, b: Pod): number {
  const assigned = Number(Boolean(b.spec?.nodeName)) - Number(Boolean(a.spec?.nodeName));
  const created = Date.parse(a.metadata.creationTimestamp ?? '') - Date.parse(b.metadata.creationTimestamp ?? '');
  return assigned || created || (a.metadata.name! < b.metadata.name! ? -1 : 1);
}

/** The oldest pod of a node speaks for it. */
function statusOf(
  daemonSet: DaemonSet,
  places: readonly Place[],
  hash: string,
  isAvailable: (pod: Pod) => boolean,
): NonNullable<DaemonSet['status']> {
  const should = places.filter((place) => place.should);
  const pods = should.flatMap(({ pods: [oldest] }) => (oldest ? [oldest] : []));
  const available = pods.filter(isAvailable).length;
  return {
    currentNumberScheduled: pods.length,
    numberMisscheduled: places.filter((place) => !place.should && place.pods.length > 0).length,
    desiredNumberScheduled: should.length,
    numberReady: pods.filter(isReady).length,
    observedGeneration: daemonSet.metadata.generation,
    updatedNumberScheduled: some(pods.filter((pod) => isOf(pod, hash)).length),
    numberAvailable: some(available),
    numberUnavailable: some(should.length - available),
  };
}

/** Zero is written by leaving it out, as Go does. */
const some = (count: number): number | undefined => (count === 0 ? undefined : count);
