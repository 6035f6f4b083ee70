import type { Pod } from '@trimtab/machinery';
import type { Picture } from './picture.js';
import { isRefusal } from './plugins/plugin.js';
import { type PodInfo, podInfo } from './pod-info.js';
import type { Profile } from './profile.js';

/** What every rule says of one node, and what would have to change for the pod to go there. */
export interface NodeVerdict {
  readonly node: string;
  /** Empty where the pod fits. */
  readonly refusals: readonly { readonly plugin: string; readonly reasons: readonly string[] }[];
  /** All of these together would do, each in words; each refusal has one at least. */
  readonly changes: readonly string[];
}

export interface Explanation {
  /** Nodes that will do first, then those where least is missing. */
  readonly nodes: readonly NodeVerdict[];
  /** The fewest changes that would place the pod; undefined where it fits somewhere or there is no node. */
  readonly smallestChange?: { readonly node: string; readonly changes: readonly string[] };
}

/**
 * Asks every rule about every node, where {@link schedule} stops at the first that refuses. Pure; for people, not for the
 * hot path.
 */
export function explain(pod: Pod, picture: Picture, profile: Profile): Explanation {
  const info = podInfo(pod);
  const nodes = picture.nodes
    .map((node) => verdictOn(info, node.name, picture, profile))
    .sort((a, b) => a.changes.length - b.changes.length || a.node.localeCompare(b.node));
  const nearest = nodes[0];
  if (!nearest || nearest.refusals.length === 0) return { nodes };
  return { nodes, smallestChange: { node: nearest.node, changes: nearest.changes } };
}

function verdictOn(pod: PodInfo, name: string, picture: Picture, profile: Profile): NodeVerdict {
  const node = picture.node(name)!;
  const found = profile.filters.flatMap((plugin) => {
    const prepared = plugin.prepareFilter?.(pod, picture);
    if (!prepared) return [];
    const refusal = isRefusal(prepared) ? prepared : prepared(node);
    if (!refusal) return [];
    const mends = isRefusal(prepared) ? refusal.reasons : (plugin.mend?.(pod, node, picture) ?? []);
    return [{ plugin: plugin.name, reasons: refusal.reasons, changes: mends.length > 0 ? mends : refusal.reasons }];
  });
  return {
    node: name,
    refusals: found.map(({ plugin, reasons }) => ({ plugin, reasons })),
    changes: found.flatMap(({ changes }) => changes),
  };
}
