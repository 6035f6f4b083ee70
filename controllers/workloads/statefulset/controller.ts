import { type ControllerDefinition, controller, controllerOf, index, type Reader, watch } from '@trimtab/framework';
import {
  ControllerRevisions,
  type KubeObject,
  matchesLabels,
  type ObjectKey,
  type PersistentVolumeClaim,
  PersistentVolumeClaims,
  type Pod,
  Pods,
  StatefulSets,
} from '@trimtab/machinery';
import { workloadSelector } from '../claims.js';
import { statefulSetMachine } from './machine.js';

/** Keeps numbered pods that keep their names and their storage (kubernetes: pkg/controller/statefulset). */
export const statefulSetController: ControllerDefinition = controller({
  name: 'statefulset-controller',
  for: StatefulSets,
  owns: [Pods, ControllerRevisions],
  watches: [watch(Pods, adopters), watch(PersistentVolumeClaims, users)],
  indexes: [index(Pods, { uncontrolled }), index(ControllerRevisions, { uncontrolled })],
  machine: statefulSetMachine,
});

/** The StatefulSets that would take in a pod nobody controls. */
function adopters(pod: Pod, reader: Reader): readonly ObjectKey[] {
  if (controllerOf(pod)) return [];
  return reader
    .list(StatefulSets, pod.metadata.namespace)
    .filter((each) => matchesLabels(workloadSelector(each.spec?.selector), pod.metadata.labels))
    .map(keyFor);
}

/** Claims have no reference to their set; their names tell. */
function users({ metadata }: PersistentVolumeClaim, reader: Reader): readonly ObjectKey[] {
  return reader
    .list(StatefulSets, metadata.namespace)
    .filter((set) =>
      set.spec?.volumeClaimTemplates?.some((template) =>
        metadata.name?.startsWith(`${template.metadata.name}-${set.metadata.name}-`),
      ),
    )
    .map(keyFor);
}

function uncontrolled(object: KubeObject): readonly string[] {
  return controllerOf(object) ? [] : [object.metadata.namespace ?? ''];
}

const keyFor = ({ metadata }: KubeObject): ObjectKey => ({ namespace: metadata.namespace, name: metadata.name! });
