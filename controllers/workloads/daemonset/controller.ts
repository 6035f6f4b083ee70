import { type ControllerDefinition, controller, controllerOf, index, type Reader, watch } from '@trimtab/framework';
import {
  ControllerRevisions,
  DaemonSets,
  equalJson,
  type KubeObject,
  matchesLabels,
  type Node,
  Nodes,
  type ObjectKey,
  type Pod,
  Pods,
} from '@trimtab/machinery';
import { workloadSelector } from '../claims.js';
import { daemonSetMachine } from './machine.js';

/** Keeps one pod on every node that its template fits (kubernetes: pkg/controller/daemon). */
export const daemonSetController: ControllerDefinition = controller({
  name: 'daemonset-controller',
  for: DaemonSets,
  owns: [Pods, ControllerRevisions],
  watches: [
    watch(Pods, adopters),
    watch(Nodes, (_, reader) => reader.list(DaemonSets).map(keyFor), { ignores: sameForPlacement }),
  ],
  indexes: [index(Pods, { uncontrolled }), index(ControllerRevisions, { uncontrolled })],
  machine: daemonSetMachine,
});

/** Heartbeats change neither labels nor taints, and nothing else decides. */
function sameForPlacement(before: Node, after: Node): boolean {
  return equalJson(before.metadata.labels, after.metadata.labels) && equalJson(before.spec?.taints, after.spec?.taints);
}

/** The DaemonSets that would take in a pod nobody controls. */
function adopters(pod: Pod, reader: Reader): readonly ObjectKey[] {
  if (controllerOf(pod)) return [];
  return reader
    .list(DaemonSets, pod.metadata.namespace)
    .filter((each) => matchesLabels(workloadSelector(each.spec?.selector), pod.metadata.labels))
    .map(keyFor);
}

function uncontrolled(object: KubeObject): readonly string[] {
  return controllerOf(object) ? [] : [object.metadata.namespace ?? ''];
}

const keyFor = ({ metadata }: KubeObject): ObjectKey => ({ namespace: metadata.namespace, name: metadata.name! });
