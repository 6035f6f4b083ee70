import {
  type ControllerDefinition,
  change,
  controller,
  index,
  isDeleting,
  type LiveReader,
  type View,
  watch,
} from '@trimtab/framework';
import { type ObjectKey, type PersistentVolumeClaim, PersistentVolumeClaims, type Pod, Pods } from '@trimtab/machinery';
import { setup } from 'xstate';
import { claimsOf, PVC_PROTECTION } from '../names.js';
import { withFinalizer, withoutFinalizer } from './finalizers.js';

interface Facts {
  readonly claim: PersistentVolumeClaim;
  readonly protected: boolean;
  readonly used: boolean;
}

/** Only what has a node counts: a kubelet starts nothing on a claim that is being deleted. Ended pods count too. */
const uses = (pod: Pod, name: string): boolean =>
  Boolean(pod.spec?.nodeName) && claimsOf(pod).some(({ claim }) => claim === name);

const cachedUse = (view: View<PersistentVolumeClaim>): boolean =>
  view.byIndex(Pods, 'claim', `${view.key.namespace}/${view.key.name}`).some((pod) => uses(pod, view.key.name));

/** Asks the server once the cache shows no user: one that was bound a moment ago must not lose its volume. */
async function observeUse(view: View<PersistentVolumeClaim>, client: LiveReader): Promise<boolean> {
  const claim = view.object;
  if (!claim || !isDeleting(claim) || !claim.metadata.finalizers?.includes(PVC_PROTECTION)) return false;
  if (cachedUse(view)) return true;
  const { items } = await client.list(Pods, { namespace: view.key.namespace });
  return items.some((pod) => uses(pod, view.key.name));
}

const facts = (claim: PersistentVolumeClaim | undefined, used: boolean): Facts | undefined =>
  claim && { claim, used, protected: claim.metadata.finalizers?.includes(PVC_PROTECTION) ?? false };

type Context = { readonly facts: Facts | undefined };

const machine = setup({
  types: {
    context: {} as Context,
    input: {} as { readonly view: View<PersistentVolumeClaim>; readonly observed: boolean },
  },
  guards: {
    settled: ({ context: { facts: f } }) => !f || isDeleting(f.claim) !== f.protected,
    present: ({ context: { facts: f } }) => !isDeleting(f!.claim),
    used: ({ context: { facts: f } }) => f!.used,
  },
  actions: {
    protect: ({ context: { facts: f } }) => change(PersistentVolumeClaims, f!.claim, withFinalizer(PVC_PROTECTION)),
    release: ({ context: { facts: f } }) => change(PersistentVolumeClaims, f!.claim, withoutFinalizer(PVC_PROTECTION)),
  },
}).createMachine({
  id: 'pvc-protection',
  context: ({ input }) => ({ facts: facts(input.view?.object, input.observed) }),
  initial: 'deciding',
  states: {
    deciding: {
      always: [
        { guard: 'settled', target: 'settled' },
        { guard: 'present', target: 'protecting' },
        { guard: 'used', target: 'inUse' },
        { target: 'releasing' },
      ],
    },
    settled: {},
    protecting: { entry: 'protect' },
    inUse: {},
    releasing: { entry: 'release' },
  },
});

/** Keeps claims that pods use from going (kubernetes: pkg/controller/volume/pvcprotection). */
export const claimProtection: ControllerDefinition = controller({
  name: 'pvc-protection-controller',
  for: PersistentVolumeClaims,
  watches: [watch(Pods, claimKeys, { ignores: (a, b) => a.spec?.nodeName === b.spec?.nodeName })],
  indexes: [index(Pods, { claim: (pod) => claimsOf(pod).map(({ claim }) => `${pod.metadata.namespace}/${claim}`) })],
  observe: observeUse,
  machine,
});

function claimKeys(pod: Pod): readonly ObjectKey[] {
  return claimsOf(pod).map(({ claim }) => ({ namespace: pod.metadata.namespace, name: claim }));
}
