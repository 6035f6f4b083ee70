import type { NodeInfo } from './node-info.js';
import type { Picture } from './picture.js';
import { type Filter, isRefusal, type Plugin, type Refusal } from './plugins/plugin.js';
import type { PodInfo } from './pod-info.js';
import type { Profile } from './profile.js';

export type Decision =
  | {
      readonly node: string;
      /** Where the next decision begins to look. */
      readonly next: number;
      /** The nodes that were as good, that one among them. */
      readonly equals: readonly NodeInfo[];
    }
  | { readonly failure: Failure };

/** Why no node will do. */
export interface Failure {
  /** In kube-scheduler's words: `0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable.` */
  readonly message: string;
  /** The rules that refused, whose wake reasons tell when to try again. */
  readonly plugins: ReadonlySet<Plugin>;
  /** Nodes on which other pods' leaving might help. */
  readonly preemptible: readonly NodeInfo[];
}

export interface ScheduleOptions {
  /** Decides between equally good nodes; in [0, 1). */
  readonly chance: number;
  /** Index of the node to look at first; see {@link Decision}. */
  readonly from?: number;
}

/** A plugin's filter, ready for one pod. */
export interface PreparedFilter {
  readonly plugin: Plugin;
  readonly filter: Filter;
}

/**
 * Chooses a node: filters, then scores. In large clusters it stops looking once it has found enough nodes that will do
 * (kube-scheduler: percentageOfNodesToScore), and the next decision goes on where this one stopped.
 */
export function schedule(pod: PodInfo, picture: Picture, profile: Profile, options: ScheduleOptions): Decision {
  const { nodes } = picture;
  const refused = (message: string, plugin?: Plugin): Decision => ({
    failure: { message, plugins: new Set(plugin ? [plugin] : profile.filters), preemptible: [] },
  });
  if (nodes.length === 0) return refused('no nodes available to schedule pods');
  const filters = prepareFilters(pod, picture, profile);
  if ('reasons' in filters)
    return refused(`0/${nodes.length} nodes are available: ${filters.reasons.join(', ')}.`, filters.plugin);
  const enough = enoughNodes(nodes.length);
  const feasible: NodeInfo[] = [];
  const refusals = new Map<NodeInfo, PluginRefusal>();
  const nominated = pod.pod.status?.nominatedNodeName ?? picture.nominationOf(pod.uid);
  // Room that was made for this pod is looked at first, and taken if it will do.
  const promised = nominated === undefined ? undefined : picture.node(nominated);
  if (promised && !refusalOf(pod, promised, filters, picture, profile))
    return { node: promised.name, next: options.from ?? 0, equals: [promised] };
  const start = (options.from ?? 0) % nodes.length;
  let looked = 0;
  for (; looked < nodes.length && feasible.length < enough; looked++) {
    const node = nodes[(start + looked) % nodes.length]!;
    const refusal = refusalOf(pod, node, filters, picture, profile);
    if (refusal) refusals.set(node, refusal);
    else feasible.push(node);
  }
  if (feasible.length === 0) return { failure: failureOf(nodes.length, refusals) };
  const equals = best(pod, feasible, picture, profile);
  const { name } = equals[Math.floor(options.chance * equals.length)]!;
  return { node: name, next: (start + looked) % nodes.length, equals };
}

type PluginRefusal = Refusal & { readonly plugin: Plugin };

export function prepareFilters(
  pod: PodInfo,
  picture: Picture,
  { filters }: Profile,
): readonly PreparedFilter[] | PluginRefusal {
  const prepared: PreparedFilter[] = [];
  for (const plugin of filters) {
    const filter = plugin.prepareFilter?.(pod, picture);
    if (filter === undefined) continue;
    if (isRefusal(filter)) return { ...filter, plugin };
    prepared.push({ plugin, filter });
  }
  return prepared;
}

/**
 * Why the node will not do. Room promised to pods that matter as much counts as taken, but a pod must not lean on one that
 * may never come: so both pictures must allow it.
 */
export function refusalOf(
  pod: PodInfo,
  node: NodeInfo,
  filters: readonly PreparedFilter[],
  picture: Picture,
  profile: Profile,
): PluginRefusal | undefined {
  const alone = firstRefusal(node, filters);
  if (alone) return alone;
  const promised = [...picture.nominatedTo(node.name)].filter(
    (other) => other.uid !== pod.uid && other.priority >= pod.priority && !node.has(other.uid),
  );
  if (promised.length === 0) return undefined;
  return picture.trying(node, { add: promised }, () => {
    const again = prepareFilters(pod, picture, profile);
    return 'reasons' in again ? again : firstRefusal(node, again);
  });
}

export function firstRefusal(node: NodeInfo, filters: readonly PreparedFilter[]): PluginRefusal | undefined {
  for (const { plugin, filter } of filters) {
    const refusal = filter(node);
    if (refusal) return { ...refusal, plugin };
  }
  return undefined;
}

const MIN_FEASIBLE = 100;

/** All of 100 nodes, 42 % of 1,000, 10 % of 5,000, never less than 5 %. */
export function enoughNodes(nodes: number): number {
  if (nodes < MIN_FEASIBLE) return nodes;
  const percent = Math.max(5, Math.floor(50 - nodes / 125));
  return Math.max(MIN_FEASIBLE, Math.floor((nodes * percent) / 100));
}

function failureOf(total: number, refusals: ReadonlyMap<NodeInfo, PluginRefusal>): Failure {
  const counts = new Map<string, number>();
  const plugins = new Set<Plugin>();
  const preemptible: NodeInfo[] = [];
  for (const [node, { reasons, plugin, unresolvable }] of refusals) {
    plugins.add(plugin);
    if (!unresolvable) preemptible.push(node);
    for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  return { message: `0/${total} nodes are available: ${countedReasons(counts)}.`, plugins, preemptible };
}

export const countedReasons = (counts: ReadonlyMap<string, number>): string =>
  [...counts]
    .map(([reason, count]) => `${count} ${reason}`)
    .sort()
    .join(', ');

function best(pod: PodInfo, nodes: readonly NodeInfo[], picture: Picture, { scores }: Profile): readonly NodeInfo[] {
  if (nodes.length === 1) return nodes;
  const totals = new Float64Array(nodes.length);
  const values = new Float64Array(nodes.length);
  for (const { plugin, weight } of scores) {
    const score = plugin.prepareScore?.(pod, nodes, picture);
    if (!score) continue;
    for (let i = 0; i < nodes.length; i++) values[i] = score.of(nodes[i]!);
    score.normalize?.(values, nodes);
    for (let i = 0; i < nodes.length; i++) totals[i] = totals[i]! + weight * values[i]!;
  }
  const most = totals.reduce((a, b) => Math.max(a, b));
  return nodes.filter((_, i) => totals[i] === most);
}
