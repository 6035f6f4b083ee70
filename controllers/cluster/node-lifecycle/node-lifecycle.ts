import {
  change,
  changeStatus,
  controller,
  type Effect,
  event,
  remove,
  requeueAfter,
  type View,
  watch,
} from '@trimtab/framework';
import {
  Leases,
  type Node,
  type NodeCondition,
  Nodes,
  type Pod,
  Pods,
  type Taint,
  timestamp,
} from '@trimtab/machinery';
import { tolerates } from '../../scheduler/taints.js';

/** Where nodes keep their leases. */
const LEASES = 'kube-node-lease';
const NOT_READY = 'node.kubernetes.io/not-ready';
const UNREACHABLE = 'node.kubernetes.io/unreachable';

export interface NodeLifecycleOptions {
  /** When this controller began to look: a lease that grew old while nobody looked says nothing. */
  readonly startedAt: number;
  /** Silence after which a node is unreachable. */
  readonly graceMs?: number;
}

/**
 * Marks nodes that have gone silent, taints nodes by their conditions, and evicts pods that do not tolerate it (any
 * longer). A node is heard of through its lease.
 */
export const nodeLifecycleController = ({ startedAt, graceMs = 40_000 }: NodeLifecycleOptions) =>
  controller<Node>({
    name: 'node-lifecycle-controller',
    for: Nodes,
    watches: [
      watch(Leases, (lease) => (lease.metadata.namespace === LEASES ? [{ name: lease.metadata.name! }] : [])),
      watch(Pods, (pod) => (pod.spec?.nodeName ? [{ name: pod.spec.nodeName }] : [])),
    ],
    reconcile: (view) => {
      const node = view.object;
      if (node === undefined) return orphaned(view);
      const lease = view.get(Leases, { namespace: LEASES, name: view.key.name });
      const heard = Math.max(startedAt, Date.parse(lease?.spec?.renewTime ?? '') || 0);
      const silentAt = heard + graceMs;
      const silent = view.now >= silentAt;
      return [
        ...(silent ? unreachable(view, node) : []),
        ...retaint(view, node, silent),
        ...evict(view, node),
        ...(silent ? [] : [requeueAfter(silentAt - view.now)]),
      ];
    },
  });

/** Pods of a node that does not exist can never end by themselves. */
function orphaned(view: View<Node>): readonly Effect[] {
  return view.byIndex(Pods, 'node', view.key.name).map((pod) => remove(Pods, pod, { gracePeriodSeconds: 0 }));
}

const CONDITIONS = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'];

function unreachable(view: View<Node>, node: Node): readonly Effect[] {
  const known = node.status?.conditions?.find(({ type }) => type === 'Ready')?.status === 'Unknown';
  const time = timestamp(view.now);
  const effects = changeStatus(Nodes, node, (draft) => {
    draft.status ??= {};
    draft.status.conditions = CONDITIONS.map((type): NodeCondition => {
      const before = node.status?.conditions?.find((condition) => condition.type === type);
      if (before?.status === 'Unknown') return before;
      return {
        ...before,
        type,
        status: 'Unknown',
        reason: before === undefined ? 'NodeStatusNeverUpdated' : 'NodeStatusUnknown',
        message: before === undefined ? 'Kubelet never posted node status.' : 'Kubelet stopped posting node status.',
        lastTransitionTime: time,
      };
    });
  });
  const pods = view.byIndex(Pods, 'node', view.key.name).flatMap((pod) => markNotReady(pod, time));
  const told = known
    ? []
    : [event(node, 'Normal', 'NodeNotReady', `Node ${view.key.name} status is now: NodeNotReady`)];
  return [...effects, ...pods, ...told];
}

/** So that Services leave out what runs on a silent node. */
function markNotReady(pod: Pod, time: string): readonly Effect[] {
  if (pod.status?.conditions?.find(({ type }) => type === 'Ready')?.status !== 'True') return [];
  return changeStatus(Pods, pod, (draft) => {
    for (const condition of draft.status!.conditions!)
      if (condition.type === 'Ready')
        Object.assign(condition, { status: 'False', reason: 'NodeLost', lastTransitionTime: time });
  });
}

function retaint(view: View<Node>, node: Node, silent: boolean): readonly Effect[] {
  const ready = silent
    ? 'Unknown'
    : (node.status?.conditions?.find(({ type }) => type === 'Ready')?.status ?? 'Unknown');
  const wanted = conditionTaints(node, ready);
  const managed = (taint: Taint): boolean =>
    [NOT_READY, UNREACHABLE, ...Object.values(PRESSURE)].includes(taint.key) &&
    ['NoSchedule', 'NoExecute'].includes(taint.effect);
  const same = (a: Taint, b: Taint): boolean => a.key === b.key && a.effect === b.effect;
  const before = node.spec?.taints ?? [];
  const kept = before.filter((taint) => !managed(taint) || wanted.some((other) => same(taint, other)));
  const added = wanted
    .filter((taint) => !before.some((other) => same(taint, other)))
    .map((taint) => (taint.effect === 'NoExecute' ? { ...taint, timeAdded: timestamp(view.now) } : taint));
  if (added.length === 0 && kept.length === before.length) return [];
  return change(Nodes, node, (draft) => {
    const taints = [...kept, ...added];
    draft.spec ??= {};
    if (taints.length > 0) draft.spec.taints = taints;
    else delete draft.spec.taints;
  });
}

const PRESSURE: Readonly<Record<string, string>> = {
  MemoryPressure: 'node.kubernetes.io/memory-pressure',
  DiskPressure: 'node.kubernetes.io/disk-pressure',
  PIDPressure: 'node.kubernetes.io/pid-pressure',
};

/** Kubernetes' taints by condition. */
function conditionTaints(node: Node, ready: string): readonly Taint[] {
  const both = (key: string): Taint[] => [
    { key, effect: 'NoSchedule' },
    { key, effect: 'NoExecute' },
  ];
  const pressure = (node.status?.conditions ?? [])
    .filter(({ type, status }) => PRESSURE[type] !== undefined && status === 'True')
    .map(({ type }): Taint => ({ key: PRESSURE[type]!, effect: 'NoSchedule' }));
  if (ready === 'True') return pressure;
  return [...both(ready === 'False' ? NOT_READY : UNREACHABLE), ...pressure];
}

function evict(view: View<Node>, node: Node): readonly Effect[] {
  const taints = (node.spec?.taints ?? []).filter(({ effect }) => effect === 'NoExecute');
  if (taints.length === 0) return [];
  return view.byIndex(Pods, 'node', view.key.name).flatMap((pod): readonly Effect[] => {
    if (pod.metadata.deletionTimestamp) return [];
    const due = evictionTime(pod, taints, view.now);
    if (due === undefined) return [];
    if (due > view.now) return [requeueAfter(due - view.now)];
    return [
      event(
        pod,
        'Normal',
        'TaintManagerEviction',
        `Marking for deletion Pod ${pod.metadata.namespace}/${pod.metadata.name}`,
      ),
      remove(Pods, pod),
    ];
  });
}

/** When a pod has to leave because of these taints; undefined when it tolerates all of them for good. */
export function evictionTime(pod: Pod, taints: readonly Taint[], now: number): number | undefined {
  const times = taints.map((taint) => {
    const tolerations = (pod.spec?.tolerations ?? []).filter((t) => tolerates(t, taint));
    if (tolerations.length === 0) return now;
    const seconds = tolerations.flatMap(({ tolerationSeconds }) => tolerationSeconds ?? []);
    const since = Date.parse(taint.timeAdded ?? '') || now;
    return seconds.length === 0 ? undefined : since + Math.max(0, Math.min(...seconds)) * 1000;
  });
  const due = times.filter((time) => time !== undefined);
  return due.length === 0 ? undefined : Math.min(...due);
}
