import type { Reader } from '@trimtab/framework';
import type { EndpointAddress, EndpointSubset, Service } from '@trimtab/machinery';
import { familiesOf } from '../endpointslice/desired.js';
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

/**
 * The legacy Endpoints' content: addresses of the Service's first family, those with equal ports together, ready and not
 * ready apart; pods that are being terminated are left out. In a fixed order, so that equal content is equal.
 */
export function subsetsOf(service: Service, reader: Reader): readonly EndpointSubset[] {
  const family = familiesOf(service)[0]!;
  const groups = new Map<
    string,
    { ports: readonly ResolvedPort[]; ready: EndpointAddress[]; rest: EndpointAddress[] }
  >();
  for (const pod of podsBehind(service, reader)) {
    const [ip] = addressesOf(pod, family);
    const ports = portsOf(service, pod);
    const { ready, terminating } = conditionsOf(pod, service);
    const published = service.spec?.publishNotReadyAddresses === true;
    if (!ip || (ports.length === 0 && !isHeadless(service)) || (terminating && !published)) continue;
    const id = JSON.stringify(ports);
    const group = groups.get(id) ?? { ports, ready: [], rest: [] };
    groups.set(id, group);
    const hostname = hostnameOf(pod, service);
    const { nodeName } = pod.spec ?? {};
    (ready ? group.ready : group.rest).push({
      ip,
      ...(hostname ? { hostname } : {}),
      ...(nodeName ? { nodeName } : {}),
      targetRef: referenceTo(pod),
    });
  }
  return [...groups.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { ports, ready, rest }]) => ({
      ...(ready.length > 0 ? { addresses: byAddress(ready) } : {}),
      ...(rest.length > 0 ? { notReadyAddresses: byAddress(rest) } : {}),
      ...(ports.length > 0
        ? { ports: ports.map(({ name, ...port }) => ({ ...(name ? { name } : {}), ...port })) }
        : {}),
    }));
}

const byAddress = (addresses: readonly EndpointAddress[]): readonly EndpointAddress[] =>
  [...addresses].sort((a, b) => (a.ip < b.ip ? -1 : a.ip > b.ip ? 1 : 0));

/** Field by field in a fixed order: a server may give them back in another. */
export function sameSubsets(a: readonly EndpointSubset[], b: readonly EndpointSubset[]): boolean {
  const address = ({ ip, hostname, nodeName, targetRef }: EndpointAddress) => [ip, hostname, nodeName, targetRef?.uid];
  const text = (subsets: readonly EndpointSubset[]) =>
    JSON.stringify(
      subsets.map(({ addresses = [], notReadyAddresses = [], ports = [] }) => [
        addresses.map(address),
        notReadyAddresses.map(address),
        ports.map((p) => [p.name ?? '', p.port, p.protocol ?? 'TCP', p.appProtocol ?? '']),
      ]),
    );
  return text(a) === text(b);
}
