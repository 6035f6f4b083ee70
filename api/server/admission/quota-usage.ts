import {
  addQuantities,
  type KubeObject,
  type ParsedQuantity,
  type PersistentVolumeClaim,
  type Pod,
  parseQuantity,
  quantityOf,
  type ResourceQuotaSpec,
  type Service,
} from '@trimtab/machinery';
import type { ObjectReader } from '../contracts.js';
import { qosClass } from '../registry/strategies/pod.js';
import { podTotal } from './limit-ranger.js';

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

/** A finished pod uses nothing but its place among objects. */
function podUsage(pod: Pod, usage: Map<string, ParsedQuantity>): Usage {
  const phase = pod.status?.phase;
  if (phase === 'Succeeded' || phase === 'Failed' || !pod.spec) return usage;
  usage.set('pods', one);
  for (const [name, value] of Object.entries(podTotal(pod.spec, 'requests'))) {
    usage.set(`requests.${name}`, parseQuantity(value));
    if (['cpu', 'memory', 'ephemeral-storage'].includes(name)) usage.set(name, parseQuantity(value));
  }
  for (const [name, value] of Object.entries(podTotal(pod.spec, 'limits')))
    usage.set(`limits.${name}`, parseQuantity(value));
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
  const storageClass = spec?.storageClassName;
  if (storage !== undefined) usage.set('requests.storage', parseQuantity(storage));
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
  if (resource !== '/pods') return false;
  const pod = object as Pod;
  const best = pod.spec !== undefined && qosClass(pod.spec) === 'BestEffort';
  const terminating = pod.spec?.activeDeadlineSeconds !== undefined;
  return selectors.every(({ scopeName, operator, values }) => {
    switch (scopeName) {
      case 'BestEffort':
        return best;
      case 'NotBestEffort':
        return !best;
      case 'Terminating':
        return terminating;
      case 'NotTerminating':
        return !terminating;
      case 'PriorityClass':
        return matchesValue(pod.spec?.priorityClassName ?? '', operator, values);
      default:
        return false;
    }
  });
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
