import type { KubeObject } from '@trimtab/machinery';
import type { Strategy } from '../../contracts.js';
import * as application from './application-kinds.js';
import { horizontalPodAutoscaler } from './autoscaler.js';
import * as cluster from './cluster-kinds.js';
import * as configuration from './configuration.js';
import { compileDefaults } from './defaults.js';
import * as device from './device-kinds.js';
import { event } from './event-kinds.js';
import * as flow from './flow-kinds.js';
import * as jobs from './job-kinds.js';
import { kindDefaults } from './kind-defaults.js';
import * as network from './network-kinds.js';
import { podStrategy } from './pod.js';
import * as quota from './quota-kinds.js';
import { serviceRules } from './service.js';
import type { ServiceAllocator } from './service-allocator.js';
import * as storage from './storage-kinds.js';
import { type KindRules, strategyFor } from './typed.js';
import * as workloads from './workloads.js';

export interface StrategyOptions {
  /** Gives Services their cluster IPs and node ports; without it they are stored as they come. */
  readonly services?: ServiceAllocator;
}

/**
 * What is a built-in kind's own, by `<group>/<plural>` of the storage version: defaults, first status, validation and what may
 * not change. Kinds without an entry have nothing of their own beyond the schema table.
 */
export function createBuiltinStrategies(options: StrategyOptions = {}): Readonly<Record<string, Strategy>> {
  const rbac = 'rbac.authorization.k8s.io';
  const table: Record<string, Strategy> = { '/pods': podStrategy };
  const add = <T extends KubeObject>(resource: string, rules: KindRules<T>) => {
    table[resource] = strategyFor(rules);
  };
  add('/services', serviceRules(options.services));
  add('/configmaps', configuration.configMap);
  add('/secrets', configuration.secret);
  add('/namespaces', cluster.namespace);
  add('/nodes', cluster.node);
  add('/events', event);
  add('/resourcequotas', quota.resourceQuota);
  add('/limitranges', quota.limitRange);
  add('/replicationcontrollers', workloads.replicationController);
  add('/persistentvolumeclaims', storage.persistentVolumeClaim);
  add('/persistentvolumes', storage.persistentVolume);
  add('apps/deployments', workloads.deployment);
  add('apps/replicasets', workloads.replicaSet);
  add('apps/statefulsets', workloads.statefulSet);
  add('apps/daemonsets', workloads.daemonSet);
  add('batch/jobs', jobs.job);
  add('batch/cronjobs', jobs.cronJob);
  add('autoscaling/horizontalpodautoscalers', horizontalPodAutoscaler);
  add('policy/poddisruptionbudgets', application.podDisruptionBudget);
  add('networking.k8s.io/ingresses', network.ingress);
  add('networking.k8s.io/networkpolicies', network.networkPolicy);
  add('storage.k8s.io/storageclasses', storage.storageClass);
  add('discovery.k8s.io/endpointslices', network.endpointSlice);
  add('coordination.k8s.io/leases', cluster.lease);
  add('coordination.k8s.io/leasecandidates', cluster.leaseCandidate);
  add('scheduling.k8s.io/priorityclasses', cluster.priorityClass);
  add('node.k8s.io/runtimeclasses', cluster.runtimeClass);
  add('/endpoints', network.endpoints);
  add('/podtemplates', cluster.podTemplate);
  add('apps/controllerrevisions', cluster.controllerRevision);
  add('apiregistration.k8s.io/apiservices', cluster.apiService);
  add('flowcontrol.apiserver.k8s.io/flowschemas', flow.flowSchema);
  add('flowcontrol.apiserver.k8s.io/prioritylevelconfigurations', flow.priorityLevel);
  add('networking.k8s.io/ingressclasses', network.ingressClass);
  add('networking.k8s.io/ipaddresses', network.ipAddressKind);
  add('networking.k8s.io/servicecidrs', network.serviceCidr);
  add('resource.k8s.io/deviceclasses', device.deviceClass);
  add('resource.k8s.io/resourceclaims', device.resourceClaim);
  add('resource.k8s.io/resourceclaimtemplates', device.resourceClaimTemplate);
  add('resource.k8s.io/resourceslices', device.resourceSlice);
  add('storage.k8s.io/csidrivers', storage.csiDriver);
  add('storage.k8s.io/csinodes', storage.csiNode);
  add('storage.k8s.io/csistoragecapacities', storage.csiStorageCapacity);
  add('storage.k8s.io/volumeattachments', storage.volumeAttachment);
  add('storage.k8s.io/volumeattributesclasses', storage.volumeAttributesClass);
  add(`${rbac}/roles`, cluster.role);
  add(`${rbac}/clusterroles`, cluster.clusterRole);
  add(`${rbac}/rolebindings`, cluster.binding(['Role', 'ClusterRole']));
  add(`${rbac}/clusterrolebindings`, cluster.binding(['ClusterRole']));

  for (const [resource, defaults] of Object.entries(kindDefaults)) {
    const fill = compileDefaults(defaults);
    const own = table[resource];
    table[resource] = { ...own, default: (object) => fill(own?.default?.(object) ?? object) };
  }
  return table;
}

let withoutAllocation: Readonly<Record<string, Strategy>> | undefined;

/** The strategy of a built-in kind, without allocation for Services; undefined where a kind has nothing of its own. */
export function builtinStrategies(group: string, resource: string): Strategy | undefined {
  withoutAllocation ??= createBuiltinStrategies();
  return withoutAllocation[`${group}/${resource}`];
}
