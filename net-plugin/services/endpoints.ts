import type { Endpoint, EndpointSlice, Service, ServicePort } from '@trimtab/machinery';
import { parseIPv4 } from '../ipam/address.js';

/** Where a connection can be sent. */
export interface Backend {
  readonly ip: string;
  readonly port: number;
  readonly nodeName?: string;
}

export const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';

/** The key (`namespace/name`) of the Service a slice belongs to; undefined for slices of none. */
export function serviceKeyOf(slice: EndpointSlice): string | undefined {
  const name = slice.metadata.labels?.[SERVICE_NAME_LABEL];
  return name ? `${slice.metadata.namespace ?? ''}/${name}` : undefined;
}

/** Absent means ready; endpoints written by older controllers carry no conditions. */
export const isReady = (e: Endpoint): boolean => e.conditions?.ready !== false;
const isServingWhileEnding = (e: Endpoint): boolean =>
  e.conditions?.terminating === true && e.conditions.serving !== false;

/**
 * Ready IPv4 backends of one port of a Service, each once, in a stable order. When none is ready, those still serving
 * while they end (KEP-1669). Ports meet by name; a slice without a port number serves nothing.
 */
export function backendsOf(slices: readonly EndpointSlice[], port: ServicePort): readonly Backend[] {
  const ready = new Map<string, Backend>();
  const ending = new Map<string, Backend>();
  for (const slice of slices) {
    if (slice.addressType !== 'IPv4') continue;
    const target = slice.ports?.find(
      (p) => (p.name ?? '') === (port.name ?? '') && (p.protocol ?? 'TCP') === (port.protocol ?? 'TCP'),
    );
    if (!target?.port) continue;
    for (const endpoint of slice.endpoints ?? []) {
      const into = isReady(endpoint) ? ready : isServingWhileEnding(endpoint) ? ending : undefined;
      const ip = endpoint.addresses[0];
      if (!into || ip === undefined || parseIPv4(ip) === undefined) continue;
      into.set(`${ip}:${target.port}`, { ip, port: target.port, nodeName: endpoint.nodeName });
    }
  }
  const chosen = ready.size > 0 ? ready : ending;
  return [...chosen.entries()].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, backend]) => backend);
}

/** The Service's IPv4 cluster IPs; none when it is headless, an ExternalName, or not allocated yet. */
export function clusterIPsOf(service: Service): readonly string[] {
  const { type, clusterIP, clusterIPs } = service.spec ?? {};
  if (type === 'ExternalName') return [];
  const all = clusterIPs && clusterIPs.length > 0 ? clusterIPs : clusterIP ? [clusterIP] : [];
  return all.filter((ip) => parseIPv4(ip) !== undefined);
}
