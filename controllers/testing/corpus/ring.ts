import {
  changeStatus,
  controller,
  controllerReference,
  create,
  type DeleteEffect,
  type Effect,
  isDeleting,
  remove,
  type View,
} from '@trimtab/framework';
import { type ConfigMap, ConfigMaps, type KubeObject, type Pod, Pods, type ResourceType } from '@trimtab/machinery';
import type { WriteEntry } from '../world/trace.js';
import type { World } from '../world/world.js';
import { kindOf, must, mutantsOf, type Subject } from './mutant.js';

export interface Ring extends KubeObject {
  readonly spec: { readonly size: number };
  readonly status?: { readonly members?: number };
}
export const Rings = kindOf<Ring>('Ring');

/** A member: its pod, and the data that outlives the pod. */
interface Member {
  readonly index: number;
  readonly pod: Pod | undefined;
  readonly data: ConfigMap | undefined;
}

interface Parts {
  /** Which of the members must be there. */
  isWanted(member: Member, ring: Ring): boolean;
  /** What a wanted member still lacks, in order. */
  grow(member: Member, ring: Ring): readonly Effect[];
  /** What of one that is not wanted goes now. */
  shrink(member: Member): readonly Effect[];
  remove(type: ResourceType, object: KubeObject): DeleteEffect;
}

const LARGEST = 4;
const nameOf = (ring: string, index: number): string => `${ring}-${index}`;

const metadataOf = (ring: Ring, name: string) => ({
  namespace: ring.metadata.namespace,
  name,
  ownerReferences: [controllerReference(Rings, ring)],
});
const dataOf = (ring: Ring, index: number): ConfigMap => ({
  metadata: metadataOf(ring, `${nameOf(ring.metadata.name!, index)}-data`),
});
const podOf = (ring: Ring, index: number): Pod => ({
  metadata: metadataOf(ring, nameOf(ring.metadata.name!, index)),
  spec: { containers: [{ name: 'c', image: 'i' }] },
});

const right: Parts = {
  isWanted: ({ index }, { spec }) => index < spec.size,
  grow: ({ index, pod, data }, ring) => [
    ...(data ? [] : [create(ConfigMaps, dataOf(ring, index))]),
    ...(pod ? [] : [create(Pods, podOf(ring, index))]),
  ],
  shrink({ pod, data }) {
    if (pod) return isDeleting(pod) ? [] : [right.remove(Pods, pod)];
    return data ? [right.remove(ConfigMaps, data)] : [];
  },
  remove: (type, object) => remove(type, object),
};

const key = { namespace: 'ns', name: 'ring' };
const dataKey = (index: number) => ({ namespace: 'ns', name: `${nameOf('ring', index)}-data` });

async function write(w: World, index: number, rows: string): Promise<void> {
  await w.patch(ConfigMaps, dataKey(index), { data: { rows } });
}

async function workload(w: World): Promise<void> {
  w.kubelet.script('ring', { stopAfter: '2s' });
  await w.create(Rings, { metadata: key, spec: { size: 3 } });
  await w.settle();
  for (const index of [0, 1, 2]) await write(w, index, 'first');
  await w.remove(Pods, { namespace: 'ns', name: 'ring-1' });
  await w.settle();
  await w.patch(Rings, key, { spec: { size: 1 } });
  await w.settle();
  must((await w.list(Pods, 'ns')).length === 1, 'members that are not wanted run on');
  must((await w.list(ConfigMaps, 'ns')).length === 1, 'data of members that are gone is left');
  await w.patch(Rings, key, { spec: { size: 3 } });
  await w.settle();
  for (const index of [1, 2]) await write(w, index, 'second');
  await w.remove(Pods, { namespace: 'ns', name: 'ring-0' });
  await w.settle();
}

async function finally_(w: World): Promise<void> {
  const rows = (await w.list(ConfigMaps, 'ns')).map(({ data }) => data?.rows);
  must(rows.join() === 'first,second,second', `the data says ${rows.join()}: something of it is lost`);
  const running = (await w.list(Pods, 'ns')).filter((pod) => pod.status?.phase === 'Running');
  must(running.length === 3, `${running.length} members run, wanted 3`);
  must((await w.get(Rings, key)).status?.members === 3, 'the status says otherwise');
}

/** No member runs without data, and no data goes from under one that runs. */
function always() {
  const there = new Set<string>();
  return ({ resource, verb, key: name }: WriteEntry): string | undefined => {
    if (resource !== '/configmaps' && resource !== '/pods') return undefined;
    if (verb === 'delete') there.delete(name);
    else there.add(name);
    if (resource === '/pods' && verb === 'create' && !there.has(`${name}-data`)) return `${name} runs without data`;
    return resource === '/configmaps' && verb === 'delete' && there.has(name.slice(0, -'-data'.length))
      ? `${name} went while its member ran`
      : undefined;
  };
}

/** Members of fixed names, each with data that must outlive its pod, but not its place. */
export const ringSubject: Subject<Parts> = {
  name: 'ring',
  make: (wrong) => () => {
    const parts = { ...right, ...wrong?.() };
    const membersOf = (view: View<Ring>, ring: Ring): readonly Member[] => {
      const [pods, data] = [view.owned(Pods), view.owned(ConfigMaps)];
      return Array.from({ length: LARGEST }, (_, index) => {
        const name = nameOf(ring.metadata.name!, index);
        return {
          index,
          pod: pods.find(({ metadata }) => metadata.name === name),
          data: data.find(({ metadata }) => metadata.name === `${name}-data`),
        };
      });
    };
    return controller<Ring>({
      name: 'ring',
      for: Rings,
      owns: [Pods, ConfigMaps],
      reconcile(view) {
        const { object } = view;
        if (!object) return [];
        const members = membersOf(view, object);
        return [
          ...members.flatMap((member) =>
            parts.isWanted(member, object) ? parts.grow(member, object) : parts.shrink(member),
          ),
          ...changeStatus(Rings, object, (draft) => {
            draft.status = { members: members.filter(({ pod }) => pod?.status?.phase === 'Running').length };
          }),
        ].map((effect) =>
          effect.type === 'delete'
            ? parts.remove(effect.resource, { metadata: { ...effect.key, uid: effect.uid } })
            : effect,
        );
      },
    });
  },
  scenario: (source) => ({
    world: { kinds: [Rings], kubelet: true, controllers: [source] },
    workload,
    finally: finally_,
    always,
  }),
};

export const ringMutants = mutantsOf(ringSubject, {
  'deletes what has the name, whoever it is': [
    'stale-state',
    () => ({
      remove: (type, object) => {
        const { uid: _, ...effect } = remove(type, object);
        return effect;
      },
    }),
  ],
  'takes a member whose pod is gone for one to remove': [
    'unobserved-state',
    () => ({ isWanted: (member, ring) => right.isWanted(member, ring) && !(member.data?.data && !member.pod) }),
  ],
  'removes data with the pod': [
    'intermediate-state',
    () => ({
      shrink: ({ pod, data }) => [
        ...(data ? [remove(ConfigMaps, data)] : []),
        ...(pod && !isDeleting(pod) ? [remove(Pods, pod)] : []),
      ],
    }),
  ],
  'removes data only of pods it has seen go': [
    'unobserved-state',
    () => {
      const going = new Set<string>();
      return {
        shrink: (member) => {
          const { index, pod } = member;
          if (pod && isDeleting(pod)) going.add(String(index));
          return pod || going.has(String(index)) ? right.shrink(member) : [];
        },
      };
    },
  ],
  'removes data only of pods it has removed itself': [
    'memory',
    () => {
      const removed = new Set<string>();
      return {
        shrink: (member) => {
          const { index, pod } = member;
          if (pod) removed.add(String(index));
          return pod || removed.has(String(index)) ? right.shrink(member) : [];
        },
      };
    },
  ],
  'starts the member before its data': [
    'intermediate-state',
    () => ({ grow: (member, ring) => [...right.grow(member, ring)].reverse() }),
  ],
  'leaves the data behind': [
    'finalizer',
    () => ({ shrink: ({ pod }) => (pod ? right.shrink({ index: 0, pod, data: undefined }) : []) }),
  ],
  'goes on from the number in its status': [
    'status',
    () => ({
      isWanted: ({ index, pod }, { spec, status }) => (pod || index >= (status?.members ?? 0)) && index < spec.size,
    }),
  ],
  'makes data anew for a new pod': [
    'misoperation',
    () => ({
      grow: (member, ring) =>
        member.pod || !member.data ? right.grow(member, ring) : [remove(ConfigMaps, member.data)],
    }),
  ],
});
