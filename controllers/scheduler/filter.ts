import { compareQuantities, type Pod, podRequests, quantityOf, subQuantities } from '@trimtab/machinery';
import { matchesNodeAffinity } from './node-affinity.js';
import { hostPortsOf, type NodeState, portTaken } from './node-state.js';
import { untoleratedTaint } from './taints.js';

/**
 * Why a pod cannot go to a node, in kube-scheduler's words; empty when it can. As there, the first filter that refuses
 * speaks, and resource fit names every resource that is short.
 */
export function filterNode(pod: Pod, state: NodeState): readonly string[] {
  for (const filter of FILTERS) {
    const reasons = filter(pod, state);
    if (reasons.length > 0) return reasons;
  }
  return [];
}

type Filter = (pod: Pod, state: NodeState) => readonly string[];

const FILTERS: readonly Filter[] = [
  (pod, { node }) =>
    node.spec?.unschedulable &&
    untoleratedTaint(pod, [{ key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }], ['NoSchedule'])
      ? ['node(s) were unschedulable']
      : [],
  (pod, { node }) => {
    const taint = untoleratedTaint(pod, node.spec?.taints ?? [], ['NoSchedule', 'NoExecute']);
    return taint ? [`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`] : [];
  },
  (pod, { node }) => (matchesNodeAffinity(pod, node) ? [] : ["node(s) didn't match Pod's node affinity/selector"]),
  (pod, { hostPorts }) =>
    hostPortsOf(pod).some((port) => portTaken(hostPorts, port))
      ? ["node(s) didn't have free ports for the requested pod ports"]
      : [],
  resourceFit,
];

function resourceFit(pod: Pod, { allocatable, requested, pods }: NodeState): readonly string[] {
  const none = quantityOf(0);
  const reasons: string[] = [];
  if (compareQuantities(quantityOf(pods + 1), allocatable.get('pods') ?? none) > 0) reasons.push('Too many pods');
  for (const [name, wanted] of podRequests(pod)) {
    if (compareQuantities(wanted, none) <= 0) continue;
    const free = subQuantities(allocatable.get(name) ?? none, requested.get(name) ?? none);
    if (compareQuantities(wanted, free) > 0) reasons.push(`Insufficient ${name}`);
  }
  return reasons;
}

/** What this scheduler knows it does not honour, so that a hard requirement is refused rather than ignored. */
export function unsupportedRequirements(pod: Pod): readonly string[] {
  const { affinity, topologySpreadConstraints = [], schedulingGates = [] } = pod.spec ?? {};
  const required = 'requiredDuringSchedulingIgnoredDuringExecution';
  return [
    ...(schedulingGates.length > 0
      ? [`waiting for scheduling gates: ${schedulingGates.map((g) => g.name).join(', ')}`]
      : []),
    ...((affinity?.podAffinity?.[required]?.length ?? 0) > 0
      ? [`spec.affinity.podAffinity.${required} is not supported`]
      : []),
    ...((affinity?.podAntiAffinity?.[required]?.length ?? 0) > 0
      ? [`spec.affinity.podAntiAffinity.${required} is not supported`]
      : []),
    ...(topologySpreadConstraints.some((c) => c.whenUnsatisfiable === 'DoNotSchedule')
      ? ['spec.topologySpreadConstraints with whenUnsatisfiable DoNotSchedule is not supported']
      : []),
  ];
}
