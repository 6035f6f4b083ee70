import type { Reader } from '@trimtab/framework';
import { type Endpoint, type EndpointPortDiscoveryV1, Nodes, type Service } from '@trimtab/machinery';
import {
  addressesOf,
  conditionsOf,
  hostnameOf,
  isHeadless,
  podsBehind,
  portsOf,
  type ResolvedPort,
  referenceTo,
} from '../service-pods.js';

export type Family = 'IPv4' | 'IPv6';

/** Endpoints that share address family and ports, and so may share slices. */
export interface EndpointGroup {
  readonly family: Family;
  readonly ports: readonly EndpointPortDiscoveryV1[];
  readonly endpoints: readonly Endpoint[];
}

const ZONE_LABEL = 'topology.kubernetes.io/zone';

export const familiesOf = (service: Service): readonly Family[] => {
  const families = (service.spec?.ipFamilies ?? []).filter((f): f is Family => f === 'IPv4' || f === 'IPv6');
  return families.length > 0 ? families : ['IPv4'];
};

/** What the Service's slices should hold, in groups; a family without endpoints has one empty group. */
export function desiredGroups(service: Service, reader: Reader): readonly EndpointGroup[] {
  const pods = podsBehind(service, reader);
  return familiesOf(service).flatMap((family) => {
    const groups = new Map<string, { ports: readonly ResolvedPort[]; endpoints: Endpoint[] }>();
    for (const pod of pods) {
      const addresses = addressesOf(pod, family);
      const ports = portsOf(service, pod);
      if (addresses.length === 0 || (ports.length === 0 && !isHeadless(service))) continue;
      const id = JSON.stringify(ports);
      const group = groups.get(id) ?? { ports, endpoints: [] };
      groups.set(id, group);
      const zone = pod.spec?.nodeName
        ? reader.get(Nodes, { name: pod.spec.nodeName })?.metadata.labels?.[ZONE_LABEL]
        : undefined;
      const hostname = hostnameOf(pod, service);
      group.endpoints.push({
        addresses,
        conditions: conditionsOf(pod, service),
        ...(hostname ? { hostname } : {}),
        ...(pod.spec?.nodeName ? { nodeName: pod.spec.nodeName } : {}),
        targetRef: referenceTo(pod),
        ...(zone ? { zone } : {}),
      });
    }
    if (groups.size === 0) return [{ family, ports: [], endpoints: [] }];
    return [...groups.values()].map(({ ports, endpoints }) => ({ family, ports, endpoints }));
  });
}
