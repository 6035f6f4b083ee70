import { type ControllerDefinition, controller, index, type Reader, watch } from '@trimtab/framework';
import {
  type Node,
  Nodes,
  type ObjectKey,
  PersistentVolumeClaims,
  PersistentVolumes,
  StorageClasses,
} from '@trimtab/machinery';
import { annotationOf, LOCAL_PROVISIONER, LOCAL_VOLUMES_DIR, STORAGE_PROVISIONER } from '../names.js';
import { provisionerMachine } from './machine.js';

/**
 * Makes volumes for classes of provisioner `trimtab.dev/local`: each a directory of one node, where all pods that use the
 * claim are then kept, so that every access mode holds. The size asked for is recorded and not enforced.
 */
export const localProvisioner: ControllerDefinition = controller({
  name: LOCAL_PROVISIONER,
  for: PersistentVolumeClaims,
  watches: [watch(Nodes, waiting, { ignores: (a, b) => directoryOf(a) === directoryOf(b) })],
  reads: [PersistentVolumes, StorageClasses],
  indexes: [
    index(PersistentVolumeClaims, {
      toProvision: (claim) =>
        claim.spec?.volumeName ? [] : [annotationOf(claim, STORAGE_PROVISIONER) ?? ''].filter(Boolean),
    }),
  ],
  machine: provisionerMachine,
});

function directoryOf(node: Node): string {
  return `${annotationOf(node, LOCAL_VOLUMES_DIR)} ${node.status?.conditions?.find((c) => c.type === 'Ready')?.status}`;
}

function waiting(_node: Node, reader: Reader): readonly ObjectKey[] {
  return reader
    .byIndex(PersistentVolumeClaims, 'toProvision', LOCAL_PROVISIONER)
    .map(({ metadata }) => ({ namespace: metadata.namespace, name: metadata.name! }));
}
