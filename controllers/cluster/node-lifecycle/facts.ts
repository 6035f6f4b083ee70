import { conditionOf, isDeleting, isTrue, type View } from '@trimtab/framework';
import { Leases, type Node, type Pod, Pods, type Taint } from '@trimtab/machinery';
import { evictionTime, isManaged, missingTaints } from './taints.js';

/** Where nodes keep their leases. */
export const LEASES = 'kube-node-lease';

/** What a kubelet tells of its node, and what is therefore unknown when it is silent. */
export const TOLD = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'];

export interface Listening {
  /** When this controller began to look: a lease that grew old while nobody looked says nothing. */
  readonly startedAt: number;
  /** Silence after which a node is unreachable. */
  readonly graceMs: number;
}

/** All that is done about a node that is there depends on. */
export interface NodeFacts {
  readonly node: Node;
  readonly silent: boolean;
  /** Everything a silent node had told has been marked unknown. */
  readonly markedUnknown: boolean;
  /** Pods that a silent node would still have Services send traffic to. */
  readonly readyPods: readonly Pod[];
  /** All it should have; undefined when it has them. */
  readonly taints: readonly Taint[] | undefined;
  readonly tainted: boolean;
  /** Pods that have to leave now. */
  readonly due: readonly Pod[];
  /** Until silence would begin, or the next pod has to leave, whichever is earlier; undefined when neither is ahead. */
  readonly nextInMs: number | undefined;
  readonly now: number;
}

export function nodeFacts(view: View<Node>, { startedAt, graceMs }: Listening): NodeFacts | undefined {
  const { object: node, now } = view;
  if (node === undefined) return undefined;
  const lease = view.get(Leases, { namespace: LEASES, name: view.key.name });
  const silentAt = Math.max(startedAt, Date.parse(lease?.spec?.renewTime ?? '') || 0) + graceMs;
  const silent = now >= silentAt;
  const present = node.spec?.taints ?? [];
  const evicting = present.filter(({ effect }) => effect === 'NoExecute');
  // Of a node that is well they need not be looked at, and there may be hundreds.
  const pods = silent || evicting.length > 0 ? view.byIndex(Pods, 'node', view.key.name) : [];
  const departures = departuresOf(pods, evicting, now);
  const ahead = [...departures.values(), ...(silent ? [] : [silentAt])].filter((time) => time > now);
  return {
    node,
    silent,
    markedUnknown: TOLD.every((type) => conditionOf(node.status?.conditions, type)?.status === 'Unknown'),
    readyPods: silent ? pods.filter((pod) => isTrue(pod.status?.conditions, 'Ready') && wasReadyBefore(pod, node)) : [],
    taints: missingTaints(node, silent, now),
    tainted: present.some(isManaged),
    due: pods.filter((pod) => (departures.get(pod) ?? Number.POSITIVE_INFINITY) <= now),
    nextInMs: ahead.length === 0 ? undefined : Math.min(...ahead) - now,
    now,
  };
}

/**
 * What became ready after its node was found silent has been heard of since: to say otherwise again would be to argue with a
 * kubelet that renews no lease, for ever (kubernetes marks pods once, when the node goes silent).
 */
function wasReadyBefore(pod: Pod, node: Node): boolean {
  const found = conditionOf(node.status?.conditions, 'Ready');
  if (found?.status !== 'Unknown') return true;
  const since = Date.parse(conditionOf(pod.status?.conditions, 'Ready')?.lastTransitionTime ?? '') || 0;
  return since < (Date.parse(found.lastTransitionTime ?? '') || 0);
}

/** Pods that do not tolerate these NoExecute taints for good, and when they have to leave; not those that are leaving. */
function departuresOf(pods: readonly Pod[], evicting: readonly Taint[], now: number): ReadonlyMap<Pod, number> {
  const departures = new Map<Pod, number>();
  if (evicting.length === 0) return departures;
  for (const pod of pods) {
    const time = isDeleting(pod) ? undefined : evictionTime(pod, evicting, now);
    if (time !== undefined) departures.set(pod, time);
  }
  return departures;
}
