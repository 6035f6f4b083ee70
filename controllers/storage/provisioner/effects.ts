import { change, create, type Effect, event } from '@trimtab/framework';
import { type PersistentVolume, PersistentVolumeClaims, PersistentVolumes } from '@trimtab/machinery';
import {
  annotationOf,
  LOCAL_PROVISIONER,
  LOCAL_VOLUME,
  LOCAL_VOLUMES_DIR,
  PROVISIONED_BY,
  SELECTED_NODE,
  volumeNameFor,
} from '../names.js';
import type { ProvisionFacts } from './facts.js';

export const provision = (facts: ProvisionFacts): readonly Effect[] => {
  const { claim } = facts;
  const { namespace, name } = claim.metadata;
  return [
    event(
      claim,
      'Normal',
      'Provisioning',
      `External provisioner is provisioning volume for claim "${namespace}/${name}"`,
    ),
    create(PersistentVolumes, volumeFor(facts), {
      regarding: claim,
      done: { reason: 'ProvisioningSucceeded', message: 'Successfully provisioned volume {name}' },
      failed: { reason: 'ProvisioningFailed', message: `${failing(facts)}: {error}` },
    }),
  ];
};

export const tellRefusal = (facts: ProvisionFacts): readonly Effect[] => [
  event(facts.claim, 'Warning', 'ProvisioningFailed', `${failing(facts)}: ${facts.refusal}`),
];

/** Directories have room for what the node has; the claim's own status follows the volume's. */
export const resize = ({ claim, outgrown }: ProvisionFacts): readonly Effect[] => [
  ...change(PersistentVolumes, outgrown!, (draft) => {
    draft.spec!.capacity = { ...draft.spec!.capacity, storage: claim.spec!.resources!.requests!.storage! };
  }),
  event(claim, 'Normal', 'VolumeResizeSuccessful', 'Resize volume succeeded'),
];

/** Gives the claim back to the scheduler, which picks a node that is there. */
export const reschedule = (facts: ProvisionFacts): readonly Effect[] => {
  const { claim } = facts;
  const why = `failed to get target node: nodes "${annotationOf(claim, SELECTED_NODE)}" not found`;
  return [
    ...change(PersistentVolumeClaims, claim, (draft) => {
      delete draft.metadata.annotations?.[SELECTED_NODE];
    }),
    event(claim, 'Warning', 'ProvisioningFailed', why),
  ];
};

const failing = ({ storageClass }: ProvisionFacts): string =>
  `failed to provision volume with StorageClass "${storageClass!.metadata.name}"`;

/** A directory of the node's, which its kubelet makes when it is first mounted and removes when the object goes. */
function volumeFor({ claim, storageClass, node }: ProvisionFacts): PersistentVolume {
  const { namespace, name, uid } = claim.metadata;
  const hostname = node!.metadata.labels?.['kubernetes.io/hostname'] ?? node!.metadata.name!;
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: {
      name: volumeNameFor(claim),
      annotations: { [PROVISIONED_BY]: LOCAL_PROVISIONER },
      finalizers: [LOCAL_VOLUME],
    },
    spec: {
      accessModes: claim.spec?.accessModes ?? [],
      capacity: { storage: claim.spec?.resources?.requests?.storage ?? '0' },
      claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid },
      local: { path: `${annotationOf(node!, LOCAL_VOLUMES_DIR)}/${namespace}_${name}_${uid}` },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [hostname] }] },
          ],
        },
      },
      persistentVolumeReclaimPolicy: storageClass!.reclaimPolicy ?? 'Delete',
      storageClassName: storageClass!.metadata.name!,
      volumeMode: 'Filesystem',
    },
  };
}
