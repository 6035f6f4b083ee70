import { change, changeStatus, type Effect, event } from '@trimtab/framework';
import { type PersistentVolumeClaim, PersistentVolumeClaims, PersistentVolumes, timestamp } from '@trimtab/machinery';
import {
  annotationOf,
  BETA_STORAGE_PROVISIONER,
  BIND_COMPLETED,
  BOUND_BY_CONTROLLER,
  STORAGE_PROVISIONER,
} from '../names.js';
import type { ClaimFacts } from './facts.js';

/** Volume first, then claim, as Kubernetes binds them: a crash in between is seen on the volume and carried on. */
export function bind({ claim, volume }: ClaimFacts, now: number): readonly Effect[] {
  const { metadata } = claim;
  const bound = volume!;
  return [
    ...change(PersistentVolumes, bound, (draft) => {
      const reference = bound.spec?.claimRef;
      if (reference?.uid === metadata.uid) return;
      draft.spec!.claimRef = {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        namespace: metadata.namespace,
        name: metadata.name,
        uid: metadata.uid,
        resourceVersion: metadata.resourceVersion,
      };
      if (!reference) draft.metadata.annotations = { ...bound.metadata.annotations, [BOUND_BY_CONTROLLER]: 'yes' };
    }),
    ...changeStatus(PersistentVolumes, bound, (draft) => {
      if (bound.status?.phase !== 'Bound')
        draft.status = { ...draft.status, phase: 'Bound', lastPhaseTransitionTime: timestamp(now) };
    }),
    ...change(PersistentVolumeClaims, claim, (draft) => {
      const annotations: Record<string, string> = { ...metadata.annotations, [BIND_COMPLETED]: 'yes' };
      if (!claim.spec?.volumeName) {
        draft.spec!.volumeName = bound.metadata.name!;
        annotations[BOUND_BY_CONTROLLER] = 'yes';
      }
      if (metadata.annotations?.[BIND_COMPLETED] === undefined) draft.metadata.annotations = annotations;
    }),
    ...changeStatus(PersistentVolumeClaims, claim, (draft) => {
      draft.status = {
        ...draft.status,
        phase: 'Bound',
        accessModes: [...(bound.spec?.accessModes ?? [])],
        capacity: { ...bound.spec?.capacity },
      };
    }),
  ];
}

const lose = (claim: PersistentVolumeClaim, reason: string, message: string): readonly Effect[] =>
  claim.status?.phase === 'Lost'
    ? []
    : [
        ...changeStatus(PersistentVolumeClaims, claim, (draft) => {
          draft.status = { ...draft.status, phase: 'Lost' };
        }),
        event(claim, 'Warning', reason, message),
      ];

export const reportLost = ({ claim }: ClaimFacts): readonly Effect[] =>
  lose(
    claim,
    'ClaimLost',
    claim.spec?.volumeName
      ? 'Bound claim has lost its PersistentVolume. Data on the volume is lost!'
      : 'Bound claim has lost reference to PersistentVolume. Data on the volume is lost!',
  );

export const reportMisbound = ({ claim }: ClaimFacts): readonly Effect[] =>
  lose(claim, 'ClaimMisbound', 'Two claims are bound to the same volume, this one is bound incorrectly');

export const tellTaken = ({ claim, volume }: ClaimFacts): readonly Effect[] => [
  event(claim, 'Warning', 'FailedBinding', `volume "${volume!.metadata.name}" already bound to a different claim.`),
];

export const tellMismatch = ({ claim, volume, unfit }: ClaimFacts): readonly Effect[] => [
  event(claim, 'Warning', 'VolumeMismatch', `Cannot bind to requested volume "${volume!.metadata.name}": ${unfit}`),
];

export const tellWaiting = ({ claim }: ClaimFacts): readonly Effect[] => [
  event(claim, 'Normal', 'WaitForFirstConsumer', 'waiting for first consumer to be created before binding'),
];

export const tellNoClass = ({ claim }: ClaimFacts): readonly Effect[] => [
  event(claim, 'Normal', 'FailedBinding', 'no persistent volumes available for this claim and no storage class is set'),
];

export const tellClassMissing = ({ claim, className }: ClaimFacts): readonly Effect[] => [
  event(claim, 'Warning', 'ProvisioningFailed', `storageclass.storage.k8s.io "${className}" not found`),
];

export const tellUnprovisionable = ({ claim, storageClass }: ClaimFacts): readonly Effect[] => [
  event(claim, 'Warning', 'ProvisioningFailed', `no volume plugin matched name: ${storageClass!.provisioner}`),
];

/** Hands the claim to the provisioner of its class. */
export function askProvisioner({ claim, storageClass }: ClaimFacts): readonly Effect[] {
  const provisioner = storageClass!.provisioner;
  if (annotationOf(claim, STORAGE_PROVISIONER) === provisioner) return [];
  return [
    ...change(PersistentVolumeClaims, claim, (draft) => {
      draft.metadata.annotations = {
        ...claim.metadata.annotations,
        [BETA_STORAGE_PROVISIONER]: provisioner,
        [STORAGE_PROVISIONER]: provisioner,
      };
    }),
    event(
      claim,
      'Normal',
      'ExternalProvisioning',
      `Waiting for a volume to be created either by the external provisioner '${provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.`,
    ),
  ];
}
