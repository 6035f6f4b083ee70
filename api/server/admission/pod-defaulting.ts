import {
  equalJson,
  type Ingress,
  type IngressClass,
  type KubeObject,
  type Node,
  type PersistentVolumeClaim,
  type Pod,
  type PodSpec,
  type PriorityClass,
  RecentMap,
  type RuntimeClass,
  remembering,
  type StorageClass,
  type Toleration,
} from '@trimtab/machinery';
import type { AdmissionAttributes, AdmissionPlugin, ObjectReader } from '../contracts.js';
import { concerns, createPlugin, defaultClass, podPlugin, refuse } from './attributes.js';

/** Plugins that fill in what depends on other objects of the cluster (rule 42 of the API's defaults). */

const evictionSeconds = 300;

/** Pods leave a node that has been gone for five minutes, unless they say otherwise. */
export const defaultTolerationSeconds: AdmissionPlugin = podPlugin('DefaultTolerationSeconds', (spec) =>
  tolerant(spec),
);

const tolerant = remembering((spec: PodSpec): PodSpec => {
  const tolerated = (key: string) =>
    spec.tolerations?.some((t) => (t.key === key || !t.key) && (t.effect === 'NoExecute' || !t.effect));
  const missing = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'].filter((key) => !tolerated(key));
  if (missing.length === 0) return spec;
  const added: readonly Toleration[] = missing.map((key) => ({
    key,
    operator: 'Exists',
    effect: 'NoExecute',
    tolerationSeconds: evictionSeconds,
  }));
  return { ...spec, tolerations: [...(spec.tolerations ?? []), ...added] };
});

/** `priority` and `preemptionPolicy` come from the pod's class, or from the cluster's default class, or are 0. */
export function priority(reader: ObjectReader): AdmissionPlugin {
  const known = new RecentMap<PodSpec, { readonly chosen: PriorityClass | undefined; readonly spec: PodSpec }>(256);
  const plugin = podPlugin('Priority', (spec, _pod, attributes): PodSpec => {
    const chosen = spec.priorityClassName ? classNamed(spec.priorityClassName) : globalDefault(reader);
    if (spec.priorityClassName && !chosen)
      throw refuse(attributes, `no PriorityClass with name ${spec.priorityClassName} was found`);
    const value = chosen?.value ?? 0;
    if (spec.priority !== undefined && spec.priority !== value)
      throw refuse(
        attributes,
        `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`,
      );
    const before = known.get(spec);
    if (before && before.chosen === chosen) return before.spec;
    const policy = chosen?.preemptionPolicy ?? 'PreemptLowerPriority';
    if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== policy)
      throw refuse(
        attributes,
        `the string value of PreemptionPolicy (${spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller computed ${policy} from the given PriorityClass name`,
      );
    const prioritized: PodSpec = {
      ...spec,
      ...(chosen ? { priorityClassName: chosen.metadata.name } : {}),
      priority: value,
      preemptionPolicy: policy,
    };
    known.set(spec, { chosen, spec: prioritized });
    return prioritized;
  });
  const classNamed = (name: string) =>
    reader.get('scheduling.k8s.io/priorityclasses', '', name) as PriorityClass | undefined;
  return {
    ...plugin,
    mutate(attributes) {
      return attributes.operation === 'UPDATE' ? withOldPriority(attributes) : plugin.mutate!(attributes);
    },
    validate(attributes) {
      const object = attributes.object as PriorityClass;
      if (!concerns(attributes, 'scheduling.k8s.io/priorityclasses', 'CREATE', 'UPDATE') || !object.globalDefault)
        return;
      const other = globalDefault(reader)?.metadata.name;
      if (other !== undefined && other !== attributes.name)
        throw refuse(attributes, `PriorityClass ${other} is already marked as default. Only one default can exist`);
    },
  };
}

/** An update that says nothing of what was worked out at creation keeps it. */
function withOldPriority(attributes: AdmissionAttributes): KubeObject | undefined {
  const { object } = attributes;
  if (!concerns(attributes, '/pods', 'UPDATE')) return object;
  const [spec, old] = [(object as Pod).spec, (attributes.oldObject as Pod).spec];
  if (!spec || !old) return object;
  const priority = spec.priority === undefined ? old.priority : spec.priority;
  const preemptionPolicy = spec.preemptionPolicy === undefined ? old.preemptionPolicy : spec.preemptionPolicy;
  if (priority === spec.priority && preemptionPolicy === spec.preemptionPolicy) return object;
  return { ...object, spec: { ...spec, priority, preemptionPolicy } } as Pod;
}

function globalDefault(reader: ObjectReader): PriorityClass | undefined {
  let lowest: PriorityClass | undefined;
  for (const object of reader.list('scheduling.k8s.io/priorityclasses')) {
    const candidate = object as PriorityClass;
    if (candidate.globalDefault && (!lowest || (candidate.value ?? 0) < (lowest.value ?? 0))) lowest = candidate;
  }
  return lowest;
}

/** Overhead, node selector and tolerations of the pod's RuntimeClass. */
export const runtimeClass = (reader: ObjectReader): AdmissionPlugin =>
  podPlugin('RuntimeClass', (spec, _pod, attributes) => {
    const name = spec.runtimeClassName;
    if (!name) {
      if (spec.overhead && Object.keys(spec.overhead).length > 0)
        throw refuse(attributes, 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead');
      return spec;
    }
    const found = reader.get('node.k8s.io/runtimeclasses', '', name) as RuntimeClass | undefined;
    if (!found) throw refuse(attributes, `pod rejected: RuntimeClass "${name}" not found`);
    const overhead = found.overhead?.podFixed;
    const given = spec.overhead && Object.keys(spec.overhead).length > 0 ? spec.overhead : undefined;
    if (given && !overhead)
      throw refuse(attributes, 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead');
    if (given && overhead && !equalJson(given, overhead))
      throw refuse(attributes, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
    const { nodeSelector, tolerations } = found.scheduling ?? {};
    const missing = tolerations?.filter((each) => !spec.tolerations?.some((own) => equalJson(own, each))) ?? [];
    for (const [key, value] of Object.entries(nodeSelector ?? {}))
      if (spec.nodeSelector?.[key] !== undefined && spec.nodeSelector[key] !== value)
        throw refuse(
          attributes,
          `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${spec.nodeSelector[key]}`,
        );
    return {
      ...spec,
      ...(overhead ? { overhead } : {}),
      ...(nodeSelector ? { nodeSelector: { ...spec.nodeSelector, ...nodeSelector } } : {}),
      ...(missing.length > 0 ? { tolerations: [...(spec.tolerations ?? []), ...missing] } : {}),
    };
  });

const notReadyTaint = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' };

/** A new node gets no pods before it has said that it is ready. */
export const taintNodesByCondition: AdmissionPlugin = createPlugin<Node>(
  'TaintNodesByCondition',
  '/nodes',
  (_, node) => {
    const taints = node.spec?.taints ?? [];
    if (taints.some((t) => t.key === notReadyTaint.key && t.effect === notReadyTaint.effect)) return node;
    return { ...node, spec: { ...node.spec, taints: [...taints, notReadyTaint] } };
  },
);

export const defaultStorageClass = (reader: ObjectReader): AdmissionPlugin =>
  createPlugin<PersistentVolumeClaim>('DefaultStorageClass', '/persistentvolumeclaims', (_, claim) => {
    const named =
      claim.spec?.storageClassName ?? claim.metadata.annotations?.['volume.beta.kubernetes.io/storage-class'];
    if (named !== undefined) return claim;
    const chosen = defaultClass(
      reader,
      'storage.k8s.io/storageclasses',
      'storageclass.kubernetes.io/is-default-class',
    ) as StorageClass | undefined;
    return chosen ? { ...claim, spec: { ...claim.spec, storageClassName: chosen.metadata.name } } : claim;
  });

export const defaultIngressClass = (reader: ObjectReader): AdmissionPlugin =>
  createPlugin<Ingress>('DefaultIngressClass', 'networking.k8s.io/ingresses', (_, ingress) => {
    const named = ingress.spec?.ingressClassName ?? ingress.metadata.annotations?.['kubernetes.io/ingress.class'];
    if (named !== undefined) return ingress;
    const chosen: KubeObject | undefined = defaultClass(
      reader,
      'networking.k8s.io/ingressclasses',
      'ingressclass.kubernetes.io/is-default-class',
    ) as IngressClass | undefined;
    return chosen ? { ...ingress, spec: { ...ingress.spec, ingressClassName: chosen.metadata.name } } : ingress;
  });
