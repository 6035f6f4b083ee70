import { isDeleting } from '@trimtab/framework';
import type { DaemonSet, Pod } from '@trimtab/machinery';
import { REVISION_HASH } from '../controller-revisions.js';
import { isReady, isTerminal } from '../pods.js';
import { type Failures, waitFor } from './backoff.js';
import type { Eligibility } from './daemon-pod.js';

/** A node, and the DaemonSet's pods that are on it or meant for it, oldest first. */
export interface Place extends Eligibility {
  readonly node: string;
  readonly pods: readonly Pod[];
}

/** Which pods there are to be, by node, whatever template they are of (kubernetes: daemon_controller manage). */
export interface Placement {
  readonly nodes: readonly string[];
  readonly surplus: readonly Pod[];
  readonly failed: readonly Pod[];
  readonly succeeded: readonly Pod[];
  /** Milliseconds until a failed pod that is left alone for now is due. */
  readonly dueIn: number | undefined;
}

export interface PlacementRules {
  readonly daemonSet: DaemonSet;
  readonly hash: string;
  readonly surges: boolean;
  readonly failures: Failures;
  readonly now: number;
  readonly isAvailable: (pod: Pod) => boolean;
}

export const isOf = (pod: Pod, hash: string): boolean => pod.metadata.labels?.[REVISION_HASH] === hash;

export function placementOf(places: readonly Place[], rules: PlacementRules): Placement {
  const each = places.map((place) => placeOn(place, rules));
  const dues = each.flatMap(({ dueIn }) => (dueIn === undefined ? [] : [dueIn]));
  return {
    nodes: each.flatMap(({ nodes }) => nodes),
    surplus: each.flatMap(({ surplus }) => surplus),
    failed: each.flatMap(({ failed }) => failed),
    succeeded: each.flatMap(({ succeeded }) => succeeded),
    dueIn: dues.length > 0 ? Math.min(...dues) : undefined,
  };
}

const NOTHING: Placement = { nodes: [], surplus: [], failed: [], succeeded: [], dueIn: undefined };

function placeOn({ node, pods, should, mayStay }: Place, rules: PlacementRules): Placement {
  if (should && pods.length === 0) return { ...NOTHING, nodes: [node] };
  const present = pods.filter((pod) => !isDeleting(pod));
  if (!mayStay) return { ...NOTHING, surplus: present };
  const running = present.filter((pod) => !isTerminal(pod));
  const failed = present.filter((pod) => pod.status?.phase === 'Failed');
  const wait = failed.length > 0 ? waitFor(rules.failures[node], rules.now) : 0;
  const ended = {
    succeeded: present.filter((pod) => pod.status?.phase === 'Succeeded'),
    failed: wait > 0 ? [] : failed,
    dueIn: wait > 0 ? wait : undefined,
  };
  if (!rules.surges) return { ...NOTHING, ...ended, surplus: running.slice(1) };
  if (running.length <= 1) return { ...NOTHING, ...ended, nodes: running.length === 0 && should ? [node] : [] };
  return { ...NOTHING, ...ended, surplus: surplusOfSurge(running, rules) };
}

/** One old and one new pod may be there at a time; the old one goes once the new one is available, or it is not ready. */
function surplusOfSurge(running: readonly Pod[], { hash, isAvailable }: PlacementRules): readonly Pod[] {
  const current = running.find((pod) => isOf(pod, hash));
  const old = running.find((pod) => !isOf(pod, hash));
  const others = running.filter((pod) => pod !== current && pod !== old);
  return current && old && (!isReady(old) || isAvailable(current)) ? [...others, old] : others;
}
