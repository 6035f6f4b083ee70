import type { NodeInfo } from './node-info.js';
import type { Picture } from './picture.js';
import { type PodInfo, verdictKey } from './pod-info.js';
import type { Profile } from './profile.js';
import { prepareFilters, refusalOf } from './schedule.js';

/** Nodes that were all equally good, as they were then. */
interface Tie {
  readonly improvements: number;
  readonly nodes: NodeInfo[];
  readonly generations: number[];
}

const MOST_KINDS = 1_000;
const ZONE = 'topology.kubernetes.io/zone';

/**
 * What a decision found out for the pods alike that come after it: all nodes that were as good as the one taken. Placing a pod
 * makes no other node worse in a way that matters among these, and no node better; so until some node may have become
 * better ({@link Picture.improvements}), or one of these has changed itself, the next pod of the kind may have any of them
 * without all nodes being looked at again (KEP-5598 has the idea). Every filter is asked of the node all the same.
 */
export class Ties {
  readonly #byKind = new Map<string, Tie>();

  /** The node for the next pod of the kind; undefined where all have to be looked at. `chance` in [0, 1). */
  take(pod: PodInfo, picture: Picture, profile: Profile, chance: number): NodeInfo | undefined {
    const kind = kindOf(pod);
    const tie = kind === undefined ? undefined : this.#byKind.get(kind);
    if (tie === undefined) return undefined;
    if (tie.improvements !== picture.improvements) {
      this.#byKind.delete(kind!);
      return undefined;
    }
    const filters = prepareFilters(pod, picture, profile);
    if ('reasons' in filters) return undefined;
    while (tie.nodes.length > 0) {
      const node = drawn(tie, Math.floor(chance * tie.nodes.length));
      if (node && !refusalOf(pod, node, filters, picture, profile)) {
        leaveZone(tie, node);
        return node;
      }
    }
    this.#byKind.delete(kind!);
    return undefined;
  }

  /** `equals`: the nodes that were as good as `taken`, before it was. */
  keep(pod: PodInfo, picture: Picture, equals: readonly NodeInfo[], taken: string): void {
    const kind = kindOf(pod);
    if (kind === undefined || equals.length < 2) return;
    if (this.#byKind.size >= MOST_KINDS) this.#byKind.clear();
    const nodes = equals.filter(({ name }) => name !== taken);
    const tie = { improvements: picture.improvements, nodes, generations: nodes.map(({ generation }) => generation) };
    const node = picture.node(taken);
    if (node) leaveZone(tie, node);
    this.#byKind.set(kind, tie);
  }
}

/** Takes one out, in any order; undefined when it has changed since. */
function drawn({ nodes, generations }: Tie, at: number): NodeInfo | undefined {
  const [node, generation] = [nodes[at]!, generations[at]!];
  const [last, lastGeneration] = [nodes.pop()!, generations.pop()!];
  if (at < nodes.length) {
    nodes[at] = last;
    generations[at] = lastGeneration;
  }
  return node.generation === generation ? node : undefined;
}

/** One more pod in a zone makes the others of that zone a little worse. */
function leaveZone(tie: Tie, taken: NodeInfo): void {
  const zone = taken.labels[ZONE];
  if (zone === undefined) return;
  for (let i = tie.nodes.length - 1; i >= 0; i--) if (tie.nodes[i]!.labels[ZONE] === zone) drawn(tie, i);
}

/** Undefined for pods whose place bears on where their kin may go in other ways than the count on a node. */
function kindOf(pod: PodInfo): string | undefined {
  const { spec, status } = pod.pod;
  const { affinity, antiAffinity, preferredAffinity, preferredAntiAffinity } = pod.terms;
  const related = affinity.length + antiAffinity.length + preferredAffinity.length + preferredAntiAffinity.length > 0;
  const spread = (spec?.topologySpreadConstraints ?? []).length > 0;
  if (related || spread || pod.claims.length > 0 || status?.nominatedNodeName) return undefined;
  return `${verdictKey(pod)}\n${pod.facts.images}`;
}
