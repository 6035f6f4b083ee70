import type { EndpointSlice, Service } from '@trimtab/machinery';
import { parseIPv4 } from '../ipam/address.js';
import { address, isProtocol, native, port as portBytes, protocol as protocolBytes } from '../nft/encode.js';
import { type Backend, backendsOf, clusterIPsOf } from './endpoints.js';
import { type Group, groupNumber, NODE_PORT_ADDRESS } from './layout.js';

/** What one Service puts into the table: data by key, for each set; `''` where the set has no data. */
export interface ServiceElements {
  /** `"<set> <key>"` to data. */
  readonly elements: ReadonlyMap<string, string>;
  /** The groups its frontends name. */
  readonly groups: ReadonlySet<number>;
}

export interface NodeView {
  readonly nodeName: string;
  /** Addresses the node serves itself (cluster DNS): never translated, whatever Services say. */
  readonly localIPs: readonly string[];
}

/** Many small tables so that taking one endpoint away moves only its own clients. Divisible by 1 to 6, 8, 10, 12. */
const STICKY_SLOTS = 120;

/**
 * Pure: the elements of one Service. Rules are kube-proxy's: no ready endpoint refuses, policy Local without a local endpoint
 * drops, node ports answer on every address of the node, externalTrafficPolicy Cluster masquerades.
 */
export function elementsOf(service: Service, slices: readonly EndpointSlice[], node: NodeView): ServiceElements {
  const elements = new Map<string, string>();
  const groups = new Set<number>();
  const spec = service.spec ?? {};
  if (spec.type === 'ExternalName') return { elements, groups };
  const clusterIPs = clusterIPsOf(service).filter((ip) => !node.localIPs.includes(ip));
  const externalIPs = [
    ...(spec.externalIPs ?? []),
    ...(spec.type === 'LoadBalancer'
      ? (service.status?.loadBalancer?.ingress ?? []).map((ingress) => ingress.ip ?? '')
      : []),
  ].filter((ip) => parseIPv4(ip) !== undefined);
  const sticky = spec.sessionAffinity === 'ClientIP';
  for (const ip of clusterIPs) elements.set(`cluster-ips ${address(ip)}`, '');

  for (const port of spec.ports ?? []) {
    const protocolName = port.protocol ?? 'TCP';
    if (!isProtocol(protocolName)) continue;
    const all = backendsOf(slices, port);
    const local = all.filter((backend) => backend.nodeName === node.nodeName);
    const internal = spec.internalTrafficPolicy === 'Local' ? local : all;
    const externalLocal = spec.externalTrafficPolicy === 'Local';
    const external = externalLocal ? local : all;
    const put = (ip: string, at: number, backends: readonly Backend[], how: Omit<Group, 'slots'>): void => {
      const chosen = sticky ? stickySlots(backends) : backends;
      const group = groupNumber({ ...how, slots: chosen.length });
      const tail = `${protocolBytes(protocolName)}${portBytes(at)}`;
      groups.add(group);
      elements.set(how.nodePort ? `nodeports ${tail}` : `frontends ${address(ip)}${tail}`, native(group));
      chosen.forEach((backend, slot) => {
        const target = address(backend.ip);
        elements.set(`endpoints ${address(ip)}${tail}${native(slot)}`, `${target}${portBytes(backend.port)}`);
        elements.set(`hairpins ${target}${target}`, '');
      });
    };
    if (all.length > 0) {
      const inside = { sticky, nodePort: false, masquerade: false };
      for (const ip of clusterIPs) put(ip, port.port, internal, inside);
      const outside = { sticky, nodePort: false, masquerade: !externalLocal };
      for (const ip of externalIPs) put(ip, port.port, external, outside);
      if (port.nodePort) put(NODE_PORT_ADDRESS, port.nodePort, external, { ...outside, nodePort: true });
    } else {
      for (const ip of externalIPs)
        elements.set(`closed ${address(ip)}${protocolBytes(protocolName)}${portBytes(port.port)}`, '');
    }
  }
  return { elements, groups };
}

/** Each slot goes to the backend that ranks highest for it, so backends keep their slots when others come and go. */
function stickySlots(backends: readonly Backend[]): readonly Backend[] {
  if (backends.length <= 1) return backends;
  const slots = STICKY_SLOTS * Math.ceil(backends.length / (STICKY_SLOTS / 4));
  return Array.from({ length: Math.min(slots, 0xffff) }, (_, slot) => {
    let best = backends[0]!;
    let bestRank = -1;
    for (const backend of backends) {
      const rank = mix(slot, `${backend.ip}:${backend.port}`);
      if (rank > bestRank) {
        best = backend;
        bestRank = rank;
      }
    }
    return best;
  });
}

function mix(slot: number, text: string): number {
  let h = 2166136261 ^ slot;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
