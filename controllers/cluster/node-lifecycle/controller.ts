import { type ControllerDefinition, conditionOf, controller, type Reader, watch } from '@trimtab/framework';
import { Leases, type Node, Nodes, type ObjectKey, type Pod, Pods } from '@trimtab/machinery';
import { type Existence, observeExistence } from './existence.js';
import { LEASES, type Listening } from './facts.js';
import { nodeMachine } from './machine.js';

export interface NodeLifecycleOptions extends Omit<Listening, 'graceMs'> {
  /** Default 40 s. */
  readonly graceMs?: number;
}

/**
 * Marks nodes that have gone silent, taints nodes by their conditions, and evicts pods that do not tolerate it (any
 * longer). A node is heard of through its lease.
 */
export const nodeLifecycleController = ({ startedAt, graceMs = 40_000 }: NodeLifecycleOptions): ControllerDefinition =>
  controller<Node, Existence>({
    name: 'node-lifecycle-controller',
    for: Nodes,
    watches: [
      watch(Leases, ({ metadata }) => (metadata.namespace === LEASES ? [{ name: metadata.name! }] : [])),
      watch(Pods, troubled),
    ],
    observe: observeExistence,
    machine: nodeMachine({ startedAt, graceMs }),
  });

/** A pod's change says something of its node only where that is gone, silent, or no place for every pod. */
function troubled({ spec }: Pod, reader: Reader): readonly ObjectKey[] {
  if (!spec?.nodeName) return [];
  const key = { name: spec.nodeName };
  const node = reader.get(Nodes, key);
  const well =
    node !== undefined &&
    conditionOf(node.status?.conditions, 'Ready')?.status !== 'Unknown' &&
    !node.spec?.taints?.some(({ effect }) => effect === 'NoExecute');
  return well ? [] : [key];
}
