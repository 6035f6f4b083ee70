import {
  type ControllerDefinition,
  controller,
  controllerReference,
  create,
  event,
  index,
  isControlledBy,
  isDeleting,
  type View,
  watch,
} from '@trimtab/framework';
import {
  type ObjectKey,
  type PersistentVolumeClaim,
  PersistentVolumeClaims,
  type Pod,
  Pods,
  type Volume,
} from '@trimtab/machinery';
import { setup } from 'xstate';

interface Facts {
  readonly pod: Pod;
  readonly missing: readonly Volume[];
  /** Claims of the volumes' names that are not the pod's. */
  readonly foreign: readonly PersistentVolumeClaim[];
}

function ephemeralFacts(view: View<Pod>): Facts | undefined {
  const pod = view.object;
  if (!pod) return undefined;
  const found = ephemeralVolumes(pod)
    .filter((volume) => volume.ephemeral?.volumeClaimTemplate)
    .map((volume) => ({
      volume,
      claim: view.get(PersistentVolumeClaims, { namespace: pod.metadata.namespace, name: claimName(pod, volume) }),
    }));
  return {
    pod,
    missing: found.filter(({ claim }) => !claim).map(({ volume }) => volume),
    foreign: found.flatMap(({ claim }) => (claim && !isControlledBy(claim, pod) ? [claim] : [])),
  };
}

const NO_VOLUMES: readonly Volume[] = [];
const ephemeralVolumes = ({ spec }: Pod): readonly Volume[] =>
  spec?.volumes?.filter((volume) => volume.ephemeral) ?? NO_VOLUMES;

const claimName = (pod: Pod, volume: Volume): string => `${pod.metadata.name}-${volume.name}`;

/** Owned by the pod: the garbage collector takes it away with the pod. */
function claimFor(pod: Pod, volume: Volume): PersistentVolumeClaim {
  const { metadata, spec } = volume.ephemeral!.volumeClaimTemplate!;
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      namespace: pod.metadata.namespace,
      name: claimName(pod, volume),
      ...(metadata?.labels ? { labels: metadata.labels } : {}),
      ...(metadata?.annotations ? { annotations: metadata.annotations } : {}),
      ownerReferences: [controllerReference(Pods, pod)],
    },
    spec,
  };
}

type Context = { readonly facts: Facts | undefined };

const machine = setup({
  types: { context: {} as Context, input: {} as { readonly view: View<Pod> } },
  guards: {
    ending: ({ context: { facts } }) =>
      !facts || isDeleting(facts.pod) || ['Succeeded', 'Failed'].includes(facts.pod.status?.phase ?? ''),
    complete: ({ context: { facts } }) => facts!.missing.length + facts!.foreign.length === 0,
  },
  actions: {
    make: ({ context: { facts } }) =>
      facts!.missing.map((volume) =>
        create(PersistentVolumeClaims, claimFor(facts!.pod, volume), {
          regarding: facts!.pod,
          failed: { reason: 'EphemeralBindingFailed', message: `ephemeral volume ${volume.name}: create PVC {error}` },
        }),
      ),
    refuse: ({ context: { facts } }) =>
      facts!.foreign.map(({ metadata }) =>
        event(
          facts!.pod,
          'Warning',
          'EphemeralBindingFailed',
          `PVC ${metadata.namespace}/${metadata.name} was not created for pod ${facts!.pod.metadata.namespace}/${facts!.pod.metadata.name} (pod is not owner)`,
        ),
      ),
  },
}).createMachine({
  id: 'ephemeral-volume',
  context: ({ input }) => ({ facts: input.view && ephemeralFacts(input.view) }),
  initial: 'deciding',
  states: {
    deciding: {
      always: [{ guard: 'ending', target: 'ending' }, { guard: 'complete', target: 'complete' }, { target: 'making' }],
    },
    ending: {},
    complete: {},
    making: { entry: ['refuse', 'make'] },
  },
});

/** Makes the claims of generic ephemeral volumes (kubernetes: pkg/controller/volume/ephemeral). */
export const ephemeralVolumeController: ControllerDefinition = controller({
  name: 'ephemeral-volume-controller',
  for: Pods,
  // What a pod is made of does not change, and hardly any pod has one.
  where: ({ object }) => ephemeralVolumes(object).length > 0,
  watches: [watch(PersistentVolumeClaims, podsOf, { on: ['deleted'] })],
  indexes: [
    index(Pods, {
      ephemeralClaim: (pod) =>
        ephemeralVolumes(pod).map((volume) => `${pod.metadata.namespace}/${claimName(pod, volume)}`),
    }),
  ],
  machine,
});

function podsOf({ metadata }: PersistentVolumeClaim, reader: { byIndex: View['byIndex'] }): readonly ObjectKey[] {
  return reader
    .byIndex(Pods, 'ephemeralClaim', `${metadata.namespace}/${metadata.name}`)
    .map((pod) => ({ namespace: pod.metadata.namespace, name: pod.metadata.name! }));
}
