import {
  type ControllerDefinition,
  change,
  controller,
  isDeleting,
  type LiveReader,
  type Reader,
  type View,
  watch,
} from '@trimtab/framework';
import {
  isReason,
  type Node,
  Nodes,
  type ObjectKey,
  type PersistentVolume,
  PersistentVolumes,
} from '@trimtab/machinery';
import { setup } from 'xstate';
import { LOCAL_VOLUME, PV_PROTECTION } from '../names.js';
import { hostnameOf } from '../provisioner/facts.js';
import { withFinalizer, withoutFinalizer } from './finalizers.js';

interface Facts {
  readonly volume: PersistentVolume;
  readonly protected: boolean;
  readonly bound: boolean;
  /** Its directory went with its node; no kubelet will come to remove it. */
  readonly nodeGone: boolean;
}

const holds = (volume: PersistentVolume, finalizer: string): boolean =>
  volume.metadata.finalizers?.includes(finalizer) ?? false;

async function observeNodeGone(view: View<PersistentVolume>, client: LiveReader): Promise<boolean> {
  const volume = view.object;
  if (!volume || !isDeleting(volume) || !holds(volume, LOCAL_VOLUME)) return false;
  const name = hostnameOf(volume);
  if (!name || view.get(Nodes, { name })) return false;
  try {
    await client.get(Nodes, { name });
    return false;
  } catch (error) {
    if (!isReason(error, 'NotFound')) throw error;
    return true;
  }
}

const facts = (volume: PersistentVolume | undefined, nodeGone: boolean): Facts | undefined =>
  volume && {
    volume,
    nodeGone,
    protected: holds(volume, PV_PROTECTION),
    bound: volume.status?.phase === 'Bound',
  };

type Context = { readonly facts: Facts | undefined };

const machine = setup({
  types: {
    context: {} as Context,
    input: {} as { readonly view: View<PersistentVolume>; readonly observed: boolean },
  },
  guards: {
    gone: ({ context: { facts: f } }) => !f,
    unprotected: ({ context: { facts: f } }) => !isDeleting(f!.volume) && !f!.protected,
    settled: ({ context: { facts: f } }) => !isDeleting(f!.volume) || (!f!.protected && !f!.nodeGone),
    bound: ({ context: { facts: f } }) => f!.bound,
    protected: ({ context: { facts: f } }) => f!.protected,
  },
  actions: {
    protect: ({ context: { facts: f } }) => change(PersistentVolumes, f!.volume, withFinalizer(PV_PROTECTION)),
    release: ({ context: { facts: f } }) => change(PersistentVolumes, f!.volume, withoutFinalizer(PV_PROTECTION)),
    abandon: ({ context: { facts: f } }) => change(PersistentVolumes, f!.volume, withoutFinalizer(LOCAL_VOLUME)),
  },
}).createMachine({
  id: 'pv-protection',
  context: ({ input }) => ({ facts: facts(input.view?.object, input.observed) }),
  initial: 'deciding',
  states: {
    deciding: {
      always: [
        { guard: 'gone', target: 'gone' },
        { guard: 'unprotected', target: 'protecting' },
        { guard: 'settled', target: 'settled' },
        { guard: 'bound', target: 'inUse' },
        { guard: 'protected', target: 'releasing' },
        { target: 'abandoning' },
      ],
    },
    gone: {},
    settled: {},
    protecting: { entry: 'protect' },
    inUse: {},
    releasing: { entry: 'release' },
    abandoning: { entry: 'abandon' },
  },
});

/** Keeps bound volumes from going (kubernetes: pkg/controller/volume/pvprotection), and lets go of those of lost nodes. */
export const volumeProtection: ControllerDefinition = controller({
  name: 'pv-protection-controller',
  for: PersistentVolumes,
  watches: [watch(Nodes, volumesOn, { on: ['deleted'] })],
  observe: observeNodeGone,
  machine,
});

function volumesOn(node: Node, reader: Reader): readonly ObjectKey[] {
  return reader
    .list(PersistentVolumes)
    .filter((volume) => hostnameOf(volume) === node.metadata.name)
    .map(({ metadata }) => ({ name: metadata.name! }));
}
