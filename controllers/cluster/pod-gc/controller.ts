import { type ControllerDefinition, controller, index, isDeleting, watch } from '@trimtab/framework';
import { type Node, Nodes, type Pod, Pods } from '@trimtab/machinery';
import { isTerminal } from '../../workloads/pods.js';
import { ENDED, ENDED_INDEX, OUT_OF_SERVICE } from './facts.js';
import { podGcMachine } from './machine.js';

export interface PodGcOptions {
  /** Pods that have ended and may stay; 0: all of them. Default 12,500 (kube-controller-manager: terminated-pod-gc-threshold). */
  readonly terminatedPodThreshold?: number;
}

/** Takes away pods that nobody else will: too many that have ended, and those whose kubelet will never say a word. */
export const podGarbageCollector = ({ terminatedPodThreshold = 12_500 }: PodGcOptions = {}): ControllerDefinition =>
  controller<Pod>({
    name: 'pod-garbage-collector',
    for: Pods,
    where: ({ object }) => isDeleting(object),
    watches: [
      watch(Pods, (pod) => (isTerminal(pod) ? [ENDED] : []), {
        ignores: (before, after) => isTerminal(before) === isTerminal(after),
      }),
      watch(Nodes, (node, reader) =>
        isOff(node)
          ? reader
              .byIndex(Pods, 'node', node.metadata.name!)
              .filter(isDeleting)
              .map(({ metadata }) => ({ namespace: metadata.namespace, name: metadata.name! }))
          : [],
      ),
    ],
    indexes: [index(Pods, { [ENDED_INDEX]: (pod) => (isTerminal(pod) ? [''] : []) })],
    machine: podGcMachine(terminatedPodThreshold),
  });

const isOff = ({ spec }: Node): boolean => spec?.taints?.some(({ key }) => key === OUT_OF_SERVICE) ?? false;
