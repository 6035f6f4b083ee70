import { isDeleting, type View } from '@trimtab/framework';
import type { PersistentVolume, PersistentVolumeClaim } from '@trimtab/machinery';
import { setup } from 'xstate';
import {
  askProvisioner,
  bind,
  reportLost,
  reportMisbound,
  tellClassMissing,
  tellMismatch,
  tellNoClass,
  tellTaken,
  tellUnprovisionable,
  tellWaiting,
} from './effects.js';
import { type ClaimFacts, claimFacts } from './facts.js';

interface Context {
  readonly facts: ClaimFacts | undefined;
  readonly now: number;
}

const given =
  <R>(decide: (facts: ClaimFacts, now: number) => R) =>
  ({ context }: { readonly context: Context }): R =>
    decide(context.facts!, context.now);

/** Where a claim stands on its way to a volume (kubernetes: persistentvolume-binder, syncClaim). */
export const claimMachine = setup({
  types: {
    context: {} as Context,
    input: {} as { readonly view: View<PersistentVolumeClaim>; readonly observed: PersistentVolume | undefined },
  },
  guards: {
    gone: ({ context }) => context.facts === undefined,
    lost: given(({ completed, volume }) => completed && !volume),
    misbound: given(({ completed, free }) => completed && !free),
    bound: given(({ completed }) => completed),
    deleting: given(({ claim }) => isDeleting(claim)),
    taken: given(({ volume, free }) => volume !== undefined && !free),
    mismatched: given(({ unfit }) => unfit !== undefined),
    found: given(({ volume }) => volume !== undefined),
    awaited: given(({ claim }) => Boolean(claim.spec?.volumeName)),
    waitsForConsumer: given(({ waitsForConsumer }) => waitsForConsumer),
    noClass: given(({ className }) => className === ''),
    classMissing: given(({ storageClass }) => storageClass === undefined),
    // What is not Kubernetes' own is a provisioner that runs somewhere.
    unprovisionable: given(({ storageClass }) => storageClass!.provisioner.startsWith('kubernetes.io/')),
  },
  actions: {
    bind: given(bind),
    reportLost: given(reportLost),
    reportMisbound: given(reportMisbound),
    tellTaken: given(tellTaken),
    tellMismatch: given(tellMismatch),
    tellWaiting: given(tellWaiting),
    tellNoClass: given(tellNoClass),
    tellClassMissing: given(tellClassMissing),
    tellUnprovisionable: given(tellUnprovisionable),
    askProvisioner: given(askProvisioner),
  },
}).createMachine({
  id: 'persistentvolumeclaim',
  context: ({ input }) => ({ facts: claimFacts(input.view, input.observed), now: input.view?.now ?? 0 }),
  initial: 'deciding',
  states: {
    deciding: {
      always: [
        { guard: 'gone', target: 'gone' },
        { guard: 'lost', target: 'lost' },
        { guard: 'misbound', target: 'misbound' },
        { guard: 'bound', target: 'bound' },
        { guard: 'deleting', target: 'deleting' },
        { guard: 'taken', target: 'taken' },
        { guard: 'mismatched', target: 'mismatched' },
        { guard: 'found', target: 'binding' },
        { guard: 'awaited', target: 'awaitingVolume' },
        { guard: 'waitsForConsumer', target: 'awaitingConsumer' },
        { guard: 'noClass', target: 'awaitingMatch' },
        { guard: 'classMissing', target: 'awaitingClass' },
        { guard: 'unprovisionable', target: 'unprovisionable' },
        { target: 'provisioning' },
      ],
    },
    gone: {},
    lost: { entry: 'reportLost' },
    misbound: { entry: 'reportMisbound' },
    bound: { entry: 'bind' },
    deleting: {},
    taken: { entry: 'tellTaken' },
    mismatched: { entry: 'tellMismatch' },
    binding: { entry: 'bind' },
    awaitingVolume: {},
    awaitingConsumer: { entry: 'tellWaiting' },
    awaitingMatch: { entry: 'tellNoClass' },
    awaitingClass: { entry: 'tellClassMissing' },
    unprovisionable: { entry: 'tellUnprovisionable' },
    provisioning: { entry: 'askProvisioner' },
  },
});
