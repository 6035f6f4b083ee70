import { ConfigMaps, type KubeObject, type OwnerReference, Secrets } from '@trimtab/machinery';
import type { Loop, World } from '@trimtab/testing';
import { survives } from '../../test-plans.js';
import { GarbageCollector } from './garbage-collector.js';

/** The garbage collector under every single fault, and some pairs; and at rest for a day. */
const collector: Loop = { name: 'garbage-collector', start: (parts) => new GarbageCollector(parts).start() };
const controllers = [collector];
const key = (name: string) => ({ namespace: 'ns', name });
const refTo = ({ metadata }: KubeObject, blockOwnerDeletion = false): OwnerReference => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  name: metadata.name!,
  uid: metadata.uid!,
  blockOwnerDeletion,
});
const put = async (w: World, name: string, ...ownerReferences: OwnerReference[]) =>
  (await w.create(ConfigMaps, { metadata: { ...key(name), ownerReferences } }))[0]!;
const destroy = (w: World, name: string, propagationPolicy: 'Orphan' | 'Foreground' | 'Background') =>
  w.remove(ConfigMaps, key(name), { propagationPolicy });

const workloads: Readonly<Record<string, (w: World) => Promise<void>>> = {
  async 'background: a tree, what is shared stays, what comes later goes'(w) {
    const [owner, solid] = [await put(w, 'owner'), await put(w, 'solid')];
    const child = await put(w, 'child', refTo(owner));
    await put(w, 'grandchild', refTo(child));
    await put(w, 'shared', refTo(owner), refTo(solid));
    await w.settle();
    await destroy(w, 'owner', 'Background');
    await w.settle();
    await w.create(Secrets, { metadata: { ...key('late'), ownerReferences: [refTo(owner)] } });
    await w.settle();
  },
  async 'one whose owner, of another kind, is not heard of yet stays'(w) {
    const owner = await put(w, 'owner');
    await w.create(Secrets, { metadata: { ...key('token'), ownerReferences: [refTo(owner)] } });
    await w.settle();
  },
  async 'foreground: leaves first'(w) {
    const [owner, solid] = [await put(w, 'owner'), await put(w, 'solid')];
    const middle = await put(w, 'middle', refTo(owner, true));
    await put(w, 'leaf', refTo(middle, true));
    await put(w, 'shared', refTo(owner, true), refTo(solid));
    await w.settle();
    await destroy(w, 'owner', 'Foreground');
    await w.settle();
  },
  async 'orphans are let go of'(w) {
    const [owner, solid] = [await put(w, 'owner'), await put(w, 'solid')];
    await put(w, 'free', refTo(owner));
    await put(w, 'shared', refTo(owner), refTo(solid));
    await w.settle();
    await destroy(w, 'owner', 'Orphan');
    await w.settle();
  },
  async 'an owner that comes again under its name is another'(w) {
    await put(w, 'child', refTo(await put(w, 'owner')));
    await w.settle();
    await destroy(w, 'owner', 'Background');
    await put(w, 'owner');
    await w.settle();
    await put(w, 'child', refTo(await w.get(ConfigMaps, key('owner'))));
    await w.settle();
  },
};

test.each(Object.entries(workloads))('%s', (_, workload) => survives({ world: { controllers }, workload }));
