import { controllerReference } from '@trimtab/framework';
import { type DaemonSet, DaemonSets, type Node, type Pod, type Toleration } from '@trimtab/machinery';
import { matchesNodeAffinity } from '../../scheduler/node-affinity.js';
import { untoleratedTaint } from '../../scheduler/taints.js';
import { REVISION_HASH } from '../controller-revisions.js';

/** What makes a pod one of a DaemonSet, and where it belongs (kubernetes: pkg/controller/daemon/util). */

const NODE_NAME = 'metadata.name';
const TEMPLATE_GENERATION = 'deprecated.daemonset.template.generation';

const tolerated = (key: string, effect: string): Toleration => ({ key, operator: 'Exists', effect });
const TOLERATIONS = [
  tolerated('node.kubernetes.io/not-ready', 'NoExecute'),
  tolerated('node.kubernetes.io/unreachable', 'NoExecute'),
  tolerated('node.kubernetes.io/disk-pressure', 'NoSchedule'),
  tolerated('node.kubernetes.io/memory-pressure', 'NoSchedule'),
  tolerated('node.kubernetes.io/pid-pressure', 'NoSchedule'),
  tolerated('node.kubernetes.io/unschedulable', 'NoSchedule'),
];

/** The pod of the present template for a node; the scheduler brings it there. */
export function daemonPod(daemonSet: DaemonSet, nodeName: string, hash: string): Pod {
  const { metadata, spec } = daemonSet.spec?.template ?? {};
  const generation = daemonSet.metadata.annotations?.[TEMPLATE_GENERATION];
  const { affinity, tolerations = [] } = spec ?? {};
  const added = [
    ...TOLERATIONS,
    ...(spec?.hostNetwork ? [tolerated('node.kubernetes.io/network-unavailable', 'NoSchedule')] : []),
  ].filter((one) => !tolerations.some((other) => isSame(one, other)));
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      generateName: `${daemonSet.metadata.name}-`,
      namespace: daemonSet.metadata.namespace,
      labels: {
        ...metadata?.labels,
        [REVISION_HASH]: hash,
        ...(generation ? { 'pod-template-generation': generation } : {}),
      },
      ...(metadata?.annotations ? { annotations: metadata.annotations } : {}),
      ...(metadata?.finalizers ? { finalizers: metadata.finalizers } : {}),
      ownerReferences: [controllerReference(DaemonSets, daemonSet)],
    },
    spec: {
      ...(spec ?? { containers: [] }),
      affinity: {
        ...affinity,
        nodeAffinity: {
          ...affinity?.nodeAffinity,
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchFields: [{ key: NODE_NAME, operator: 'In', values: [nodeName] }] }],
          },
        },
      },
      tolerations: [...tolerations, ...added],
    },
  };
}

const isSame = (a: Toleration, b: Toleration): boolean =>
  a.key === b.key && a.operator === b.operator && a.effect === b.effect && (a.value ?? '') === (b.value ?? '');

/** The node a pod is on, or is meant for. */
export function nodeOf(pod: Pod): string | undefined {
  if (pod.spec?.nodeName) return pod.spec.nodeName;
  const required = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  for (const { matchFields = [] } of required?.nodeSelectorTerms ?? [])
    for (const { key, operator, values = [] } of matchFields)
      if (key === NODE_NAME && operator === 'In' && values.length === 1) return values[0];
  return undefined;
}

export interface Eligibility {
  /** A pod belongs there. */
  readonly should: boolean;
  /** One that is there may stay. */
  readonly mayStay: boolean;
}

/** Selector, affinity and taints of the template decide; resources do not, and neither does a cordon. */
export function eligibility(daemonSet: DaemonSet, node: Node): Eligibility {
  const template: Pod = { metadata: {}, spec: daemonSet.spec?.template?.spec ?? { containers: [] } };
  const wantsOther = Boolean(template.spec?.nodeName) && template.spec?.nodeName !== node.metadata.name;
  if (wantsOther || !matchesNodeAffinity(template, node)) return { should: false, mayStay: false };
  const pod = daemonPod(daemonSet, node.metadata.name!, '');
  const taints = node.spec?.taints ?? [];
  if (untoleratedTaint(pod, taints, ['NoExecute'])) return { should: false, mayStay: false };
  if (untoleratedTaint(pod, taints, ['NoSchedule'])) return { should: false, mayStay: true };
  return { should: true, mayStay: true };
}
