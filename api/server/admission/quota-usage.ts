import {
  addQuantities,
  type KubeObject,
  type ParsedQuantity,
  type PersistentVolumeClaim,
  type Pod,
  parseAmounts,
  parseQuantity,
  podAmounts,
  podRequests,
  quantityOf,
  type ResourceQuotaSpec,
  type Service,
} from '@trimtab/machinery';
import type { ObjectReader } from '../contracts.js';
import { qosClass } from '../registry/strategies/pod.js';

/** How much of which quota resource an object uses (kubernetes: «Resource Quotas»). Pure. */
export type Usage = ReadonlyMap<string, ParsedQuantity>;

const one = quantityOf(1);

/** Resources counted by number under a name of their own, besides `count/<resource>.<group>` for all. */
const counted: Readonly<Record<string, string>> = {
  '/configmaps': 'configmaps',
  '/persistentvolumeclaims': 'persistentvolumeclaims',
  '/replicationcontrollers': 'replicationcontrollers',
  '/resourcequotas': 'resourcequotas',
  '/secrets': 'secrets',
  '/services': 'services',
};

export function usageOf(resource: string, object: KubeObject): Usage {
  const usage = new Map<string, ParsedQuantity>();
  const slash = resource.indexOf('/');
  const group = resource.slice(0, slash);
  const plural = resource.slice(slash + 1);
  usage.set(`count/${plural}${group ? `.${group}` : ''}`, one);
  const short = counted[resource];
  if (short) usage.set(short, one);
  if (resource === '/pods') return podUsage(object as Pod, usage);
  if (resource === '/services') serviceUsage(object as Service, usage);
  if (resource === '/persistentvolumeclaims') claimUsage(object as PersistentVolumeClaim, usage);
  return usage;
}

const compute = ['cpu', 'memory', 'ephemeral-storage'];

/** A finished pod uses nothing but its place among objects. */
function podUsage(pod: Pod, usage: Map<string, ParsedQuantity>): Usage {
  const phase = pod.status?.phase;
  if (phase === 'Succeeded' || phase === 'Failed' || !pod.spec) return usage;
  usage.set('pods', one);
  for (const [name, amount] of podRequests(pod)) {
    usage.set(`requests.${name}`, amount);
    if (compute.includes(name) || name.startsWith('hugepages-')) usage.set(name, amount);
  }
  const overhead = parseAmounts(pod.spec.overhead);
  for (const [name, amount] of podAmounts(pod.spec, 'limits')) {
    const more = overhead.get(name);
    usage.set(`limits.${name}`, more ? addQuantities(amount, more) : amount);
  }
  return usage;
}

function serviceUsage({ spec }: Service, usage: Map<string, ParsedQuantity>): void {
  const ports = quantityOf(spec?.ports?.length ?? 0);
  if (spec?.type === 'NodePort') usage.set('services.nodeports', ports);
  if (spec?.type === 'LoadBalancer') {
    usage.set('services.loadbalancers', one);
    if (spec.allocateLoadBalancerNodePorts !== false) usage.set('services.nodeports', ports);
  }
}

function claimUsage({ spec }: PersistentVolumeClaim, usage: Map<string, ParsedQuantity>): void {
  const storage = spec?.resources?.requests?.storage;
  if (storage !== undefined) usage.set('requests.storage', parseQuantity(storage));
  const storageClass = spec?.storageClassName;
  if (!storageClass) return;
  const prefix = `${storageClass}.storageclass.storage.k8s.io`;
  usage.set(`${prefix}/persistentvolumeclaims`, one);
  if (storage !== undefined) usage.set(`${prefix}/requests.storage`, parseQuantity(storage));
}

/** Whether a quota's scopes take in this object; a quota without scopes takes in every object. */
export function inScope(spec: ResourceQuotaSpec | undefined, resource: string, object: KubeObject): boolean {
  const selectors = [
    ...(spec?.scopes ?? []).map((scopeName) => ({ scopeName, operator: 'Exists', values: undefined })),
    ...(spec?.scopeSelector?.matchExpressions ?? []),
  ];
  if (selectors.length === 0) return true;
  if (resource === '/persistentvolumeclaims')
    return selectors.every((each) => ofClaim(object as PersistentVolumeClaim, each));
  if (resource !== '/pods') return false;
  const pod = object as Pod;
  return selectors.every((each) => ofPod(pod, each));
}

interface ScopeSelector {
  readonly scopeName: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

function ofPod({ spec }: Pod, { scopeName, operator, values }: ScopeSelector): boolean {
  switch (scopeName) {
    case 'BestEffort':
      return spec !== undefined && qosClass(spec) === 'BestEffort';
    case 'NotBestEffort':
      return spec === undefined || qosClass(spec) !== 'BestEffort';
    case 'Terminating':
      return spec?.activeDeadlineSeconds !== undefined;
    case 'NotTerminating':
      return spec?.activeDeadlineSeconds === undefined;
    case 'PriorityClass':
      return matchesValue(spec?.priorityClassName ?? '', operator, values);
    case 'CrossNamespacePodAffinity':
      return crossesNamespaces(spec);
    default:
      return false;
  }
}

function ofClaim({ spec }: PersistentVolumeClaim, { scopeName, operator, values }: ScopeSelector): boolean {
  return scopeName === 'VolumeAttributesClass' && matchesValue(spec?.volumeAttributesClassName ?? '', operator, values);
}

/** Whether an affinity term looks at pods of other namespaces. */
function crossesNamespaces(spec: Pod['spec']): boolean {
  const { podAffinity, podAntiAffinity } = spec?.affinity ?? {};
  return [podAffinity, podAntiAffinity].some((affinity) =>
    [
      ...(affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
      ...(affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((each) => each.podAffinityTerm),
    ].some((term) => (term.namespaces?.length ?? 0) > 0 || term.namespaceSelector !== undefined),
  );
}

function matchesValue(value: string, operator: string, values: readonly string[] | undefined): boolean {
  if (operator === 'Exists') return value !== '';
  if (operator === 'DoesNotExist') return value === '';
  return (operator === 'In') === (values ?? []).includes(value);
}

/** The store resource whose objects count towards this name. */
function resourceBehind(name: string): string {
  if (name.startsWith('count/')) {
    const [plural = '', ...group] = name.slice('count/'.length).split('.');
    return `${group.join('.')}/${plural}`;
  }
  if (name.startsWith('services')) return '/services';
  if (name === 'requests.storage' || name.includes('.storageclass.storage.k8s.io/')) return '/persistentvolumeclaims';
  return Object.entries(counted).find(([, short]) => short === name)?.[0] ?? '/pods';
}

/** The store resources whose objects count towards a quota. */
export function quotaResources(spec: ResourceQuotaSpec | undefined): ReadonlySet<string> {
  return new Set(Object.keys(spec?.hard ?? {}).map(resourceBehind));
}

/**
 * What all objects of a namespace use of the resources a quota bounds: the `used` of its status. Costs a walk over those
 * objects.
 */
export function quotaUsage(
  reader: ObjectReader,
  namespace: string,
  spec: ResourceQuotaSpec | undefined,
): Map<string, ParsedQuantity> {
  const names = Object.keys(spec?.hard ?? {});
  const total = new Map<string, ParsedQuantity>(names.map((name) => [name, quantityOf(0)]));
  for (const resource of quotaResources(spec))
    for (const object of reader.list(resource, namespace))
      if (inScope(spec, resource, object))
        for (const [name, amount] of usageOf(resource, object)) {
          const sum = total.get(name);
          if (sum) total.set(name, addQuantities(sum, amount));
        }
  return total;
}
