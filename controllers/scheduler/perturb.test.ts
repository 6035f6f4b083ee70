import { runControllers } from '@trimtab/framework';
import {
  Nodes,
  type PersistentVolume,
  PersistentVolumeClaims,
  PersistentVolumes,
  type Pod,
  PodDisruptionBudgets,
  Pods,
  StorageClasses,
} from '@trimtab/machinery';
import type { Loop, World, WorldPart, WriteEntry } from '@trimtab/testing';
import { storageControllers } from '../storage/index.js';
import { survives } from '../test-plans.js';
import { Scheduler } from './scheduler.js';
import { node, pod as testPod } from './testing.js';

/** The scheduler under every single fault, and some pairs; and at rest for a day. */
const scheduler: Loop = { name: 'scheduler', start: (parts) => new Scheduler(parts).start() };
const binder: WorldPart = { name: 'storage', start: (parts) => runControllers(storageControllers, parts) };
const around = { controllers: [scheduler], parts: [binder] };
const key = (name: string) => ({ namespace: 'ns', name });
/** One of several that are alike: which of them gets the room is no matter. */
const some = (...of: Parameters<typeof pod>): Pod => ({
  ...pod(...of),
  metadata: { namespace: 'ns', generateName: `${of[0]}-` },
});
const pod = (name: string, cpu: string, spec: Partial<NonNullable<Pod['spec']>> = {}): Pod => ({
  ...testPod({ terminationGracePeriodSeconds: 0, ...spec }, { cpu }),
  metadata: { ...key(name), labels: { app: name } },
});

/** No node ever promises more than it has, and no pod moves. */
function neverTooMuch(): (entry: WriteEntry) => string | undefined {
  const placed = new Map<string, { readonly node: string; readonly milli: number }>();
  return ({ resource, verb, object, key: name }) => {
    if (resource !== '/pods') return undefined;
    const { spec } = object as Pod;
    const before = placed.get(name);
    if (verb === 'delete') placed.delete(name);
    else if (spec?.nodeName) placed.set(name, { node: spec.nodeName, milli: milli(object as Pod) });
    const now = placed.get(name);
    if (verb === 'update' && before && before.node !== now?.node) return `${name} moved from ${before.node}`;
    const used = [...placed.values()]
      .filter((each) => each.node === now?.node)
      .reduce((sum, { milli: m }) => sum + m, 0);
    return used > 2_000 ? `${now?.node} holds ${used} of 2000 thousandths of a core` : undefined;
  };
}
const milli = (of: Pod): number => {
  const text = String(of.spec?.containers[0]?.resources?.requests?.cpu ?? '0');
  return text.endsWith('m') ? Number(text.slice(0, -1)) : Number(text) * 1000;
};

const volume: PersistentVolume = {
  metadata: { name: 'disk' },
  spec: {
    capacity: { storage: '2Gi' },
    accessModes: ['ReadWriteOnce'],
    hostPath: { path: '/d' },
    storageClassName: 'late',
    nodeAffinity: {
      required: {
        nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: ['b'] }] }],
      },
    },
  },
};

/** There is room enough for whatever two schedulers make of it. */
async function plenty(w: World): Promise<void> {
  await w.create(Nodes, node('a'), node('b'));
  await w.create(StorageClasses, {
    metadata: { name: 'late' },
    provisioner: 'kubernetes.io/no-provisioner',
    volumeBindingMode: 'WaitForFirstConsumer',
  });
  await w.create(PersistentVolumes, volume);
  await w.create(PersistentVolumeClaims, {
    metadata: key('data'),
    spec: { accessModes: ['ReadWriteOnce'], storageClassName: 'late', resources: { requests: { storage: '1Gi' } } },
  });
  await w.create(
    Pods,
    pod('db', '1', { volumes: [{ name: 'd', persistentVolumeClaim: { claimName: 'data' } }] }),
    pod('web', '1'),
  );
  await w.settle();
}

const workloads: Readonly<Record<string, (w: World) => Promise<void>>> = {
  async 'a full cluster, a node that comes, gates that go'(w) {
    await w.create(Nodes, node('a'));
    const gates = { schedulingGates: [{ name: 'acme.com/quota' }] };
    await w.create(Pods, some('p', '1'), some('p', '1'), some('p', '1'), pod('gated', '1', gates));
    await w.settle();
    await w.create(Nodes, node('b'));
    await w.settle();
    await w.patch(Pods, key('gated'), { spec: { schedulingGates: null } });
    await w.settle();
    await w.create(Pods, pod('waits', '1'));
    await w.settle();
    await w.remove(Pods, key('gated'));
    await w.settle();
  },
  async 'room is made for who matters more, within budgets'(w) {
    await w.create(Nodes, node('a'), node('b', { spec: { unschedulable: true } }));
    const lower = { priority: 1, terminationGracePeriodSeconds: 0 };
    await w.create(PodDisruptionBudgets, {
      metadata: key('kept'),
      spec: { selector: { matchLabels: { app: 'kept' } }, minAvailable: 1 },
    });
    await w.create(Pods, pod('kept', '1', lower), pod('goes', '1', lower));
    await w.settle();
    await w.create(Pods, pod('vip', '1', { priority: 1000 }));
    await w.settle();
    expect((await w.list(Pods)).map(({ metadata, spec }) => `${metadata.name} ${spec?.nodeName}`)).toEqual([
      'kept a',
      'vip a',
    ]);
    await w.patch(Nodes, { name: 'b' }, { spec: { unschedulable: null } });
    await w.create(Pods, pod('last', '1'));
    await w.settle();
  },
  'a volume is bound where the pod goes': plenty,
};

/** Room that a view of the past, or another scheduler at work, shows as free is given twice: then the kubelet refuses. */
const without = ['behind', 'rewind', 'replica'] as const;

test.each(Object.entries(workloads))('%s', (_, workload) =>
  survives({ world: around, workload, always: neverTooMuch, ...(workload === plenty ? {} : { without }) }),
);
