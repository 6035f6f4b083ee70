import type { Pod } from '@trimtab/machinery';
import { claimsOf } from '../storage/names.js';
import { filterNode, unsupportedRequirements } from './filter.js';
import type { NodeState } from './node-state.js';
import { scoreNodes } from './score.js';
import { claimsRefusal, planVolumes, type StorageView, type VolumePlan } from './volumes.js';

export type Placement =
  /** `volumes`: what its claims need first, where it has any. */
  | { readonly node: string; readonly volumes?: VolumePlan }
  /** In kube-scheduler's words: `0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable.` */
  | { readonly unschedulable: string };

/** Chooses a node for a pod: filters, then scores; `chance` in [0, 1) decides between the best. Pure. */
export function schedule(pod: Pod, nodes: readonly NodeState[], chance: number, storage?: StorageView): Placement {
  const unsupported = unsupportedRequirements(pod);
  if (unsupported.length > 0) return { unschedulable: unsupported.join('; ') };
  if (nodes.length === 0) return { unschedulable: 'no nodes available to schedule pods' };
  const needed = claimsOf(pod).length > 0 ? storage : undefined;
  const refusal = needed && claimsRefusal(pod, needed);
  if (refusal) return { unschedulable: `0/${nodes.length} nodes are available: ${refusal}.` };
  const plans = new Map<NodeState, VolumePlan>();
  const reasons = new Map<string, number>();
  const feasible: NodeState[] = [];
  for (const state of nodes) {
    let refusals = filterNode(pod, state);
    if (refusals.length === 0 && needed) {
      const plan = planVolumes(pod, state.node, needed);
      if ('refusal' in plan) refusals = [plan.refusal];
      else plans.set(state, plan);
    }
    if (refusals.length === 0) feasible.push(state);
    for (const reason of refusals) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  if (feasible.length === 0) {
    const counted = [...reasons].map(([reason, count]) => `${count} ${reason}`).sort();
    return { unschedulable: `0/${nodes.length} nodes are available: ${counted.join(', ')}.` };
  }
  const scores = scoreNodes(pod, feasible);
  const best = Math.max(...scores);
  const winners = feasible.filter((_, i) => scores[i] === best);
  const winner = winners[Math.floor(chance * winners.length)]!;
  const volumes = plans.get(winner);
  return { node: winner.node.metadata.name!, ...(volumes ? { volumes } : {}) };
}
