import { isDeleting, type View } from '@trimtab/framework';
import type { PersistentVolume, PersistentVolumeClaim } from '@trimtab/machinery';
import { setup } from 'xstate';
import { reclaim, refuse, report, unbind } from './effects.js';
import { type VolumeFacts, volumeFacts } from './facts.js';

interface Context {
  readonly facts: VolumeFacts | undefined;
  readonly now: number;
}

const given =
  <R>(decide: (facts: VolumeFacts, now: number) => R) =>
  ({ context }: { readonly context: Context }): R =>
    decide(context.facts!, context.now);

/** Where a volume stands between claims (kubernetes: persistentvolume-binder, syncVolume). */
export const volumeMachine = setup({
  types: {
    context: {} as Context,
    input: {} as { readonly view: View<PersistentVolume>; readonly observed: PersistentVolumeClaim | undefined },
  },
  guards: {
    gone: ({ context }) => context.facts === undefined,
    unclaimed: given(({ volume, reserved }) => !volume.spec?.claimRef || reserved),
    bound: given(({ claim, volume }) => claim?.spec?.volumeName === volume.metadata.name),
    binding: given(({ claim }) => claim !== undefined && !claim.spec?.volumeName),
    // A volume made for a claim that has found another is of no use to anybody.
    jilted: given(({ claim, ours, foreign, boundByController }) =>
      Boolean(claim && !ours && !foreign && boundByController),
    ),
    kept: given(({ claim, ours }) => claim !== undefined && !ours),
    retained: given(({ policy, foreign }) => policy === 'Retain' || foreign),
    deleting: given(({ volume }) => isDeleting(volume)),
    deletable: given(({ policy, ours }) => policy === 'Delete' && ours),
  },
  actions: {
    available: given((facts, now) => report(facts, now, 'Available')),
    bound: given((facts, now) => report(facts, now, 'Bound')),
    released: given((facts, now) => report(facts, now, 'Released')),
    // Its protection ends with its being bound.
    letGo: given((facts, now) => (facts.phase === 'Bound' ? report(facts, now, 'Released') : [])),
    reclaim: given(reclaim),
    unbind: given(unbind),
    refuse: given(refuse),
  },
}).createMachine({
  id: 'persistentvolume',
  context: ({ input }) => ({ facts: volumeFacts(input.view, input.observed), now: input.view?.now ?? 0 }),
  initial: 'deciding',
  states: {
    deciding: {
      always: [
        { guard: 'gone', target: 'gone' },
        { guard: 'unclaimed', target: 'available' },
        { guard: 'bound', target: 'bound' },
        { guard: 'binding', target: 'binding' },
        { guard: 'jilted', target: 'unbinding' },
        { guard: 'kept', target: 'kept' },
        { guard: 'deleting', target: 'deleting' },
        { guard: 'retained', target: 'released' },
        { guard: 'deletable', target: 'reclaiming' },
        { target: 'failed' },
      ],
    },
    gone: {},
    available: { entry: 'available' },
    bound: { entry: 'bound' },
    binding: {},
    unbinding: { entry: 'unbind' },
    kept: {},
    deleting: { entry: 'letGo' },
    released: { entry: 'released' },
    reclaiming: { entry: 'reclaim' },
    failed: { entry: 'refuse' },
  },
});
