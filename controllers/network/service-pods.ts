import {
  controllerOf,
  type IndexDefinition,
  index,
  isDeleting,
  type Reader,
  type WatchDefinition,
  watch,
} from '@trimtab/framework';
import { type ObjectKey, type Pod, Pods, type Service, type ServicePort, Services } from '@trimtab/machinery';
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

type Labels = Readonly<Record<string, string>>;

function selects(selector: Labels, labels: Labels = {}): boolean {
  for (const name in selector) if (labels[name] !== selector[name]) return false;
  return true;
}

const LABEL = 'label';
const labelled = (namespace: string, [name, value]: readonly [string, string]): string =>
  `${namespace}/${name}=${value}`;

/** Pods by each of their labels: a Service's pods are found without a look at all the others of its namespace. */
export const podsByLabel: IndexDefinition = index(Pods, {
  [LABEL]: ({ metadata: { namespace = '', labels } }) =>
    Object.entries(labels ?? {}).map((label) => labelled(namespace, label)),
});

/** Pods of the Service that have an address and have not ended, in order of name. */
export function podsBehind(service: Service, reader: Reader): readonly Pod[] {
  const selector = service.spec?.selector ?? {};
  const { namespace = '' } = service.metadata;
  const [fewest = []] = Object.entries(selector)
    .map((label) => reader.byIndex(Pods, LABEL, labelled(namespace, label)))
    .sort((a, b) => a.length - b.length);
  return fewest
    .filter((pod) => selects(selector, pod.metadata.labels) && !isTerminal(pod) && hasAddress(pod))
    .sort((a, b) => (a.metadata.name! < b.metadata.name! ? -1 : 1));
}

const hasAddress = (pod: Pod): boolean => Boolean(pod.status?.podIP);

/** Changes of pods that a Service may show: of one without an address it shows nothing. */
export const podsThatShow: WatchDefinition = watch(Pods, servicesOf, {
  where: (change) => change.type !== 'added' || hasAddress(change.object),
  ignores: looksTheSame,
});

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
export function servicesOf({ metadata }: Pod, reader: Reader): readonly ObjectKey[] {
  return reader
    .list(Services, metadata.namespace)
    .filter((service) => isManaged(service) && selects(service.spec!.selector!, metadata.labels))
    .map((service) => ({ namespace: service.metadata.namespace, name: service.metadata.name! }));
}

/** Nothing a Service shows of a pod differs between these two. */
function looksTheSame(a: Pod, b: Pod): boolean {
  if (!hasAddress(a) && !hasAddress(b)) return true;
  return (
    a.spec?.nodeName === b.spec?.nodeName &&
    isReady(a) === isReady(b) &&
    isTerminal(a) === isTerminal(b) &&
    isDeleting(a) === isDeleting(b) &&
    a.spec?.hostname === b.spec?.hostname &&
    a.spec?.subdomain === b.spec?.subdomain &&
    controllerOf(a)?.uid === controllerOf(b)?.uid &&
    sameText(a.metadata.labels, b.metadata.labels) &&
    sameText(a.status?.podIPs ?? a.status?.podIP, b.status?.podIPs ?? b.status?.podIP)
  );
}

const sameText = (a: unknown, b: unknown): boolean => a === b || JSON.stringify(a) === JSON.stringify(b);
