import { type Node, type Pod, type Taint, timestamp } from '@trimtab/machinery';
import { tolerates } from '../../scheduler/taints.js';

const NOT_READY = 'node.kubernetes.io/not-ready';
const UNREACHABLE = 'node.kubernetes.io/unreachable';
const PRESSURE: Readonly<Record<string, string>> = {
  MemoryPressure: 'node.kubernetes.io/memory-pressure',
  DiskPressure: 'node.kubernetes.io/disk-pressure',
  PIDPressure: 'node.kubernetes.io/pid-pressure',
};
const MANAGED = new Set([NOT_READY, UNREACHABLE, ...Object.values(PRESSURE)]);

/**
 * The taints a node should have: Kubernetes' by condition, and whatever else is there. A `NoExecute` taint without a time,
 * as kubectl sets them, gets one: from it the pods' patience is counted, also by a controller that was not there yet.
 * Undefined when it has them already.
 */
export function missingTaints(node: Node, silent: boolean, now: number): readonly Taint[] | undefined {
  const before = node.spec?.taints ?? [];
  const wanted = conditionTaints(node, silent);
  const kept = before.filter((taint) => !isManaged(taint) || wanted.some((other) => same(taint, other)));
  const added = wanted.filter((taint) => !before.some((other) => same(taint, other)));
  const taints = [...kept, ...added].map((taint) =>
    taint.effect === 'NoExecute' && taint.timeAdded === undefined ? { ...taint, timeAdded: timestamp(now) } : taint,
  );
  return taints.length === before.length && taints.every((taint, i) => taint === before[i]) ? undefined : taints;
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

/** Set and taken away by this controller alone. */
export const isManaged = ({ key, effect }: Taint): boolean =>
  MANAGED.has(key) && (effect === 'NoSchedule' || effect === 'NoExecute');

function conditionTaints(node: Node, silent: boolean): readonly Taint[] {
  const conditions = node.status?.conditions ?? [];
  const ready = silent ? 'Unknown' : (conditions.find(({ type }) => type === 'Ready')?.status ?? 'Unknown');
  const pressure = conditions
    .filter(({ type, status }) => PRESSURE[type] !== undefined && status === 'True')
    .map(({ type }): Taint => ({ key: PRESSURE[type]!, effect: 'NoSchedule' }));
  if (ready === 'True') return pressure;
  const key = ready === 'False' ? NOT_READY : UNREACHABLE;
  return [{ key, effect: 'NoSchedule' }, { key, effect: 'NoExecute' }, ...pressure];
}

const same = (a: Taint, b: Taint): boolean => a.key === b.key && a.effect === b.effect;
