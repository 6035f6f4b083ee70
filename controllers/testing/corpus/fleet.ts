import {
  changeStatus,
  controller,
  controllerOf,
  controllerReference,
  create,
  type Effect,
  isDeleting,
  remove,
  requeueAfter,
  type View,
} from '@trimtab/framework';
import { type KubeObject, type Pod, Pods, timestamp } from '@trimtab/machinery';
import type { World } from '../world/world.js';
import { kindOf, must, mutantsOf, type Subject } from './mutant.js';

export interface Fleet extends KubeObject {
  readonly spec: { readonly size: number };
  readonly status?: { readonly size?: number; readonly observedGeneration?: number; readonly checked?: string };
}
export const Fleets = kindOf<Fleet>('Fleet');

interface Parts {
  readonly owns: boolean;
  pods(view: View<Fleet>, fleet: Fleet): readonly Pod[];
  counts(pod: Pod): boolean;
  wanted(fleet: Fleet): number;
  podFor(fleet: Fleet, index: number): Pod;
  surplus(pods: readonly Pod[], wanted: number): readonly Pod[];
  remove(pod: Pod): Effect;
  status(fleet: Fleet, size: number, now: number): Fleet['status'];
  order(change: readonly Effect[], report: readonly Effect[], fleet: Fleet): readonly Effect[];
}

const right: Parts = {
  owns: true,
  pods: (view) => view.owned(Pods),
  counts: (pod) => !isDeleting(pod) && pod.status?.phase !== 'Failed' && pod.status?.phase !== 'Succeeded',
  wanted: (fleet) => fleet.spec.size,
  podFor: (fleet) => ({
    metadata: {
      generateName: `${fleet.metadata.name}-`,
      namespace: fleet.metadata.namespace,
      labels: { fleet: fleet.metadata.name! },
      ownerReferences: [controllerReference(Fleets, fleet)],
    },
    spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] },
  }),
  surplus: (pods, wanted) => pods.slice(wanted),
  remove: (pod) => remove(Pods, pod),
  status: (fleet, size) => ({ size, observedGeneration: fleet.metadata.generation }),
  order: (change, report) => [...change, ...report],
};

const key = { namespace: 'ns', name: 'web' };
const fleet = (size: number): Fleet => ({ metadata: key, spec: { size } });
const bystander: Pod = {
  metadata: { name: 'web-by', namespace: 'ns', labels: { fleet: 'web' } },
  spec: { containers: [{ name: 'c', image: 'i' }] },
};

const running = async (w: World) => (await w.list(Pods, 'ns')).filter((pod) => controllerOf(pod) && right.counts(pod));

async function workload(w: World): Promise<void> {
  await w.create(Pods, bystander);
  await w.create(Fleets, fleet(2));
  await w.settle();
  const [first, second] = (await w.list(Pods, 'ns')).filter((pod) => controllerOf(pod));
  await w.remove(Pods, { namespace: 'ns', name: first?.metadata.name ?? 'none' });
  await w.settle();
  if (second) w.kubelet.exit({ namespace: 'ns', name: second.metadata.name! }, 1);
  await w.settle();
  must((await running(w)).length === 2, 'a pod that ended is not replaced');
  await w.patch(Fleets, key, { spec: { size: 0 } });
  await w.settle();
  must((await running(w)).length === 0, 'pods of an empty fleet run');
  await w.patch(Fleets, key, { spec: { size: 2 } });
  await w.settle();
  await w.remove(Fleets, key);
  await w.create(Fleets, fleet(2));
  await w.settle();
}

async function finally_(w: World): Promise<void> {
  const { metadata, spec, status } = await w.get(Fleets, key);
  const pods = (await w.list(Pods, 'ns')).filter((pod) => controllerOf(pod)?.uid === metadata.uid && right.counts(pod));
  must(pods.length === spec.size, `${pods.length} pods of the fleet run, wanted ${spec.size}`);
  must(status?.size === spec.size, `status.size is ${status?.size}, wanted ${spec.size}`);
  must(status?.observedGeneration === metadata.generation, 'the status is of another generation');
  // The garbage collector's part, last: a late view may have had pods of the fleet that is gone removed before.
  for (const pod of await w.list(Pods, 'ns')) {
    const owner = controllerOf(pod);
    if (owner && owner.uid !== metadata.uid) await w.remove(Pods, { namespace: 'ns', name: pod.metadata.name! });
  }
}

/** So many pods, no more and no less. */
export const fleetSubject: Subject<Parts> = {
  name: 'fleet',
  make: (wrong) => () => {
    const parts = { ...right, ...wrong?.() };
    return controller<Fleet>({
      name: 'fleet',
      for: Fleets,
      ...(parts.owns ? { owns: [Pods] } : { reads: [Pods] }),
      reconcile(view) {
        const { object, now } = view;
        if (!object) return [];
        const alive = parts.pods(view, object).filter(parts.counts);
        const wanted = parts.wanted(object);
        const missing = Math.max(0, wanted - alive.length);
        return parts.order(
          [
            ...Array.from({ length: missing }, (_, i) => create(Pods, parts.podFor(object, alive.length + i))),
            ...parts.surplus(alive, wanted).map(parts.remove),
          ],
          changeStatus(Fleets, object, (draft) => {
            draft.status = parts.status(object, alive.length, now)!;
          }),
          object,
        );
      },
    });
  },
  scenario: (source) => ({
    world: { kinds: [Fleets], kubelet: true, controllers: [source] },
    workload,
    mostWrites: 150,
    finally: finally_,
  }),
};

const unchanged = (fleet: Fleet): boolean => fleet.status?.observedGeneration === fleet.metadata.generation;

export const fleetMutants = mutantsOf(fleetSubject, {
  'counts pods by label, not by owner': [
    'identity',
    () => ({
      pods: (view, { metadata }) =>
        view.list(Pods, metadata.namespace).filter((p) => p.metadata.labels?.fleet === metadata.name),
    }),
  ],
  'takes an owner of its name for itself': [
    'identity',
    () => ({
      pods: (view, { metadata }) =>
        view.list(Pods, metadata.namespace).filter((p) => controllerOf(p)?.name === metadata.name),
    }),
  ],
  'sets no owner reference': [
    'identity',
    () => ({
      podFor: (fleet, i) => {
        const pod = right.podFor(fleet, i);
        return { ...pod, metadata: { ...pod.metadata, ownerReferences: [] } };
      },
    }),
  ],
  'does not watch its pods': ['unobserved-state', () => ({ owns: false })],
  'counts ended pods as running': ['misoperation', () => ({ counts: (pod) => !isDeleting(pod) })],
  'acts once a generation, status told first': [
    'intermediate-state',
    () => ({ order: (change, report, fleet) => (unchanged(fleet) ? report : [...report, ...change]) }),
  ],
  'acts once a generation, status told last': [
    'unobserved-state',
    () => ({ order: (change, report, fleet) => (unchanged(fleet) ? report : [...change, ...report]) }),
  ],
  'takes none for the default': ['misoperation', () => ({ wanted: ({ spec }) => spec.size || 1 })],
  'keeps one too many': ['misoperation', () => ({ surplus: (pods, wanted) => pods.slice(wanted + 1) })],
  'never scales down': ['misoperation', () => ({ surplus: () => [] })],
  'remembers in memory how many it made': [
    'memory',
    () => {
      const made = new Map<string, number>();
      return {
        wanted: (fleet) => {
          const uid = fleet.metadata.uid!;
          const wanted = Math.max(made.get(uid) ?? 0, fleet.spec.size);
          made.set(uid, wanted);
          return wanted;
        },
      };
    },
  ],
  'keeps its last generation in memory': [
    'memory',
    () => {
      let last: number | undefined;
      return {
        order: (change, report, { metadata }) => {
          const act = last !== metadata.generation;
          last = metadata.generation;
          return act ? [...change, ...report] : report;
        },
      };
    },
  ],
  'notes the time in its status': [
    'hot-loop',
    () => ({ status: (fleet, size, now) => ({ ...right.status(fleet, size, now), checked: timestamp(now) }) }),
  ],
  'writes its status every minute': [
    'hot-loop',
    () => ({
      status: (fleet, size, now) => ({ ...right.status(fleet, size, now), checked: timestamp(now - (now % 60_000)) }),
      order: (change, report) => [...change, ...report, requeueAfter(60_000)],
    }),
  ],
  'looks again without end': [
    'hot-loop',
    () => ({ order: (change, report) => [...change, ...report, requeueAfter(1)] }),
  ],
  'counts its looks': [
    'hot-loop',
    () => {
      let looks = 0;
      return { status: (fleet, size, now) => ({ ...right.status(fleet, size, now), checked: String(++looks) }) };
    },
  ],
  'forgets the generation': ['status', () => ({ status: (_, size) => ({ size }) })],
  'tells what is wanted, not what is': [
    'status',
    () => ({
      status: (fleet) => ({ size: fleet.spec.size + 1, observedGeneration: fleet.metadata.generation }),
    }),
  ],
  'drops its work when a look fails': [
    'error-handling',
    () => {
      let failed = false;
      return {
        pods: (view, fleet) => {
          failed = view.failure !== undefined;
          return right.pods(view, fleet);
        },
        order: (change, report) => (failed ? [] : [...change, ...report]),
      };
    },
  ],
  'reads a status that is not there yet': [
    'error-handling',
    () => ({ wanted: (fleet) => fleet.status!.size! * 0 + fleet.spec.size }),
  ],
  'gives pods a name of their number': [
    'stale-state',
    () => ({
      podFor: (fleet, i) => {
        const pod = right.podFor(fleet, i);
        const { generateName: _, ...metadata } = pod.metadata;
        return { ...pod, metadata: { ...metadata, name: `${fleet.metadata.name}-${i}` } };
      },
    }),
  ],
});
