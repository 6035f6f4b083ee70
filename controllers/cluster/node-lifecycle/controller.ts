import { type ControllerDefinition, controller, watch } from '@trimtab/framework';
import { Leases, type Node, Nodes, Pods } from '@trimtab/machinery';
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
      watch(Pods, ({ spec }) => (spec?.nodeName ? [{ name: spec.nodeName }] : [])),
    ],
    observe: observeExistence,
    machine: nodeMachine({ startedAt, graceMs }),
  });
