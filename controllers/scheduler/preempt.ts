import { matchesLabels, type PodDisruptionBudget, selectorFromObject } from '@trimtab/machinery';
import type { NodeInfo } from './node-info.js';
import type { Picture } from './picture.js';
import type { PodInfo } from './pod-info.js';
import type { Profile } from './profile.js';
import { countedReasons, type Failure, firstRefusal, prepareFilters } from './schedule.js';

/** Pods that make room on a node. */
export interface Preemption {
  readonly node: string;
  /** Most important first. */
  readonly victims: readonly PodInfo[];
}

interface Candidate extends Preemption {
  /** Victims whose disruption budget does not allow them to go. */
  readonly violations: number;
}

/**
 * Which pods of lower priority should go so that this one fits (kube-scheduler: DefaultPreemption). Pure: what it tries in
 * the picture it takes back. As few budgets as possible are broken, then the least important victims go, then as few as
 * possible, then those that started last.
 *
 * @returns the preemption, or in kube-scheduler's words why there is none.
 */
export function preempt(
  pod: PodInfo,
  picture: Picture,
  profile: Profile,
  failure: Failure,
  budgets: readonly PodDisruptionBudget[],
): Preemption | { readonly message: string } {
  const total = picture.nodes.length;
  const none = (counts: ReadonlyMap<string, number>) => ({
    message: `preemption: 0/${total} nodes are available: ${countedReasons(counts)}.`,
  });
  if (pod.pod.spec?.preemptionPolicy === 'Never')
    return { message: `preemption: not eligible due to preemptionPolicy=Never.` };
  const nominated = picture.nominationOf(pod.uid) ?? pod.pod.status?.nominatedNodeName;
  const leaving = nominated === undefined ? undefined : picture.node(nominated);
  if (leaving && [...leaving.pods()].some((other) => other.priority < pod.priority && isLeaving(other)))
    return { message: 'preemption: not eligible due to a terminating pod on the nominated node.' };
  const limit = Math.max(100, Math.floor(total / 10));
  const candidates: Candidate[] = [];
  let unhelpful = total - failure.preemptible.length;
  let victimless = 0;
  for (const node of failure.preemptible) {
    if (candidates.length >= limit) break;
    const candidate = victimsOn(pod, node, picture, profile, budgets);
    if (candidate === 'none') victimless++;
    else if (candidate === 'unhelpful') unhelpful++;
    else candidates.push(candidate);
  }
  if (candidates.length > 0) return candidates.reduce((a, b) => (compare(a, b) <= 0 ? a : b));
  const counts = new Map<string, number>();
  if (unhelpful > 0) counts.set('Preemption is not helpful for scheduling', unhelpful);
  if (victimless > 0) counts.set('No preemption victims found for incoming pod', victimless);
  return none(counts);
}

const isLeaving = ({ pod }: PodInfo): boolean => pod.metadata.deletionTimestamp !== undefined;

/** The smallest set of a node's lesser pods whose leaving lets the pod in. */
function victimsOn(
  pod: PodInfo,
  node: NodeInfo,
  picture: Picture,
  profile: Profile,
  budgets: readonly PodDisruptionBudget[],
): Candidate | 'none' | 'unhelpful' {
  const lesser = [...node.pods()].filter(({ priority }) => priority < pod.priority);
  if (lesser.length === 0) return 'none';
  const fitsWithout = (gone: readonly PodInfo[]) =>
    picture.trying(node, { remove: gone }, () => {
      const filters = prepareFilters(pod, picture, profile);
      return !('reasons' in filters) && firstRefusal(node, filters) === undefined;
    });
  if (!fitsWithout(lesser)) return 'unhelpful';
  const { violating, harmless } = splitByBudgets(lesser.sort(byImportance), budgets);
  let gone = lesser;
  let violations = 0;
  // The most important are let stay first, and of those the ones that a budget protects.
  for (const victim of violating) {
    const fewer = gone.filter((other) => other !== victim);
    if (fitsWithout(fewer)) gone = fewer;
    else violations++;
  }
  for (const victim of harmless) {
    const fewer = gone.filter((other) => other !== victim);
    if (fitsWithout(fewer)) gone = fewer;
  }
  return { node: node.name, victims: [...gone].sort(byImportance), violations };
}

/** Higher priority first, then the one that has run longer. */
function byImportance(a: PodInfo, b: PodInfo): number {
  return b.priority - a.priority || startOf(a).localeCompare(startOf(b));
}

const startOf = ({ pod }: PodInfo): string => pod.status?.startTime ?? pod.metadata.creationTimestamp ?? '';

/** Pods whose going a budget does not allow, each counted against what its budgets have left. */
function splitByBudgets(pods: readonly PodInfo[], budgets: readonly PodDisruptionBudget[]) {
  const left = budgets.map((budget) => ({ budget, allowed: budget.status?.disruptionsAllowed ?? 0 }));
  const violating: PodInfo[] = [];
  const harmless: PodInfo[] = [];
  for (const info of pods) {
    const { metadata } = info.pod;
    let violates = false;
    for (const entry of left) {
      const { budget } = entry;
      if (budget.metadata.namespace !== metadata.namespace || !metadata.labels) continue;
      if (!matchesLabels(selectorFromObject(budget.spec?.selector), metadata.labels)) continue;
      // The disruption controller has counted this one already.
      if (budget.status?.disruptedPods?.[metadata.name!] !== undefined) continue;
      entry.allowed--;
      if (entry.allowed < 0) violates = true;
    }
    (violates ? violating : harmless).push(info);
  }
  return { violating, harmless };
}

function compare(a: Candidate, b: Candidate): number {
  const highest = ({ victims }: Candidate) => victims[0]?.priority ?? Number.NEGATIVE_INFINITY;
  // As in kube-scheduler every priority is shifted to be positive, so that more victims weigh more.
  const sum = ({ victims }: Candidate) => victims.reduce((total, { priority }) => total + priority + 2 ** 31, 0);
  const earliest = ({ victims }: Candidate) =>
    victims
      .filter(({ priority }) => priority === victims[0]?.priority)
      .map(startOf)
      .reduce((x, y) => (x < y ? x : y), '9');
  return (
    a.violations - b.violations ||
    highest(a) - highest(b) ||
    sum(a) - sum(b) ||
    a.victims.length - b.victims.length ||
    earliest(b).localeCompare(earliest(a))
  );
}
