import { change, changeStatus, type Effect, event, remove } from '@trimtab/framework';
import { PersistentVolumes, timestamp } from '@trimtab/machinery';
import { BOUND_BY_CONTROLLER } from '../names.js';
import type { VolumeFacts } from './facts.js';

export function report({ volume }: VolumeFacts, now: number, phase: string, message?: string): readonly Effect[] {
  if (volume.status?.phase === phase && volume.status.message === message) return [];
  return changeStatus(PersistentVolumes, volume, (draft) => {
    draft.status = { phase, ...(message ? { message } : {}), lastPhaseTransitionTime: timestamp(now) };
  });
}

/** The API object goes; its finalizers keep it until the node that has the data has removed it. */
export const reclaim = (facts: VolumeFacts, now: number): readonly Effect[] => [
  ...report(facts, now, 'Released'),
  remove(PersistentVolumes, facts.volume),
];

/** Lets go of a claim that has gone to another volume. */
export const unbind = (facts: VolumeFacts, now: number): readonly Effect[] => [
  ...change(PersistentVolumes, facts.volume, (draft) => {
    delete draft.spec!.claimRef;
    delete draft.metadata.annotations?.[BOUND_BY_CONTROLLER];
  }),
  ...report(facts, now, 'Available'),
];

/** Nobody here knows how to empty such a volume: told once, in the phase and in an event. */
export function refuse(facts: VolumeFacts, now: number): readonly Effect[] {
  const { volume, policy, phase } = facts;
  const recycling = policy === 'Recycle';
  const message = recycling
    ? 'no recyclable volume plugin matched'
    : `error getting deleter volume plugin for volume "${volume.metadata.name}": no deletable volume plugin matched`;
  return [
    ...report(facts, now, 'Failed', message),
    ...(phase === 'Failed'
      ? []
      : [event(volume, 'Warning', recycling ? 'VolumeFailedRecycle' : 'VolumeFailedDelete', message)]),
  ];
}
