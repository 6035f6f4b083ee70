import { controllerOf, isDeleting, type Reader } from '@trimtab/framework';
import {
  matchesLabels,
  type ObjectKey,
  type Pod,
  Pods,
  type Service,
  type ServicePort,
  Services,
  selectorFromLabels,
} from '@trimtab/machinery';
import { isReady, isTerminal } from '../workloads/pods.js';

/** Which pods stand behind a Service, and on which ports (kubernetes: pkg/controller/util/endpoint). */
export const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';
export const HEADLESS_LABEL = 'service.kubernetes.io/headless';

export interface PodConditions {
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
}

/** Services without a selector are their owner's own business, and ExternalName ones have no endpoints. */
export const isManaged = (service: Service): boolean =>
  Object.keys(service.spec?.selector ?? {}).length > 0 && service.spec?.type !== 'ExternalName';

export const isHeadless = (service: Service): boolean => service.spec?.clusterIP === 'None';

/** Pods of the Service that have an address and have not ended, in order of name. */
export function podsBehind(service: Service, reader: Reader): readonly Pod[] {
  const selector = selectorFromLabels(service.spec?.selector);
  return reader
    .list(Pods, service.metadata.namespace)
    .filter((pod) => matchesLabels(selector, pod.metadata.labels) && !isTerminal(pod) && Boolean(pod.status?.podIP))
    .sort((a, b) => (a.metadata.name! < b.metadata.name! ? -1 : 1));
}

export function conditionsOf(pod: Pod, service: Service): PodConditions {
  const serving = isReady(pod);
  const terminating = isDeleting(pod);
  const published = service.spec?.publishNotReadyAddresses === true;
  return { ready: published || (serving && !terminating), serving, terminating };
}

/** The pod's addresses of one family; the primary one stands in where the list is missing. */
export function addressesOf(pod: Pod, family: 'IPv4' | 'IPv6'): readonly string[] {
  const { podIP, podIPs } = pod.status ?? {};
  const all = podIPs?.length ? podIPs.map(({ ip }) => ip) : [podIP];
  return all.filter((ip): ip is string => Boolean(ip) && ip!.includes(':') === (family === 'IPv6'));
}

export interface ResolvedPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
  readonly appProtocol?: string;
}

/** The Service's ports as this pod has them; a port the pod does not name is left out. */
export function portsOf(service: Service, pod: Pod): readonly ResolvedPort[] {
  return (service.spec?.ports ?? []).flatMap((port) => {
    const number = targetPort(port, pod);
    if (number === undefined) return [];
    const { appProtocol, name = '', protocol = 'TCP' } = port;
    return [{ name, port: number, protocol, ...(appProtocol ? { appProtocol } : {}) }];
  });
}

function targetPort({ targetPort, port, protocol = 'TCP' }: ServicePort, pod: Pod): number | undefined {
  if (typeof targetPort !== 'string') return targetPort || port;
  const sidecars = (pod.spec?.initContainers ?? []).filter((container) => container.restartPolicy === 'Always');
  for (const container of [...(pod.spec?.containers ?? []), ...sidecars])
    for (const each of container.ports ?? [])
      if (each.name === targetPort && (each.protocol ?? 'TCP') === protocol) return each.containerPort;
  return undefined;
}

/** Pods give their name to DNS only where they ask for the Service's subdomain. */
export const hostnameOf = (pod: Pod, service: Service): string | undefined =>
  pod.spec?.hostname && pod.spec.subdomain === service.metadata.name ? pod.spec.hostname : undefined;

export const referenceTo = (pod: Pod) => ({
  kind: 'Pod',
  namespace: pod.metadata.namespace,
  name: pod.metadata.name,
  uid: pod.metadata.uid,
});

/** The Services that select a pod. */
export function servicesOf(pod: Pod, reader: Reader): readonly ObjectKey[] {
  return reader
    .list(Services, pod.metadata.namespace)
    .filter(
      (service) => isManaged(service) && matchesLabels(selectorFromLabels(service.spec?.selector), pod.metadata.labels),
    )
    .map(({ metadata }) => ({ namespace: metadata.namespace, name: metadata.name! }));
}

/** Nothing a Service shows of a pod differs between these two. */
export function looksTheSame(a: Pod, b: Pod): boolean {
  const shown = (pod: Pod) =>
    JSON.stringify([
      pod.metadata.labels,
      pod.spec?.nodeName,
      pod.spec?.hostname,
      pod.spec?.subdomain,
      pod.status?.podIPs ?? pod.status?.podIP,
      isReady(pod),
      isTerminal(pod),
      isDeleting(pod),
      controllerOf(pod)?.uid,
    ]);
  return shown(a) === shown(b);
}
