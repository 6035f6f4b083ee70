import type { Informer } from '@trimtab/client';
import type { EndpointSlice, Service } from '@trimtab/machinery';
import { serviceKeyOf } from '../services/endpoints.js';

/** What answers are made from. Snapshots are not needed: one answer is computed without interruption. */
export interface DnsView {
  service(namespace: string, name: string): Service | undefined;
  slicesOf(namespace: string, name: string): readonly EndpointSlice[];
  hasNamespace(namespace: string): boolean;
  /** Services with this cluster IP. */
  servicesAt(ip: string): readonly Service[];
  /** Slices with an endpoint of this address. */
  slicesAt(ip: string): readonly EndpointSlice[];
}

const SERVICE_BY_IP = 'dns/cluster-ip';
const SLICE_BY_IP = 'dns/endpoint-ip';
const SLICE_BY_SERVICE = 'dns/service';

export const clusterIPs = (service: Service): readonly string[] => {
  const { clusterIP, clusterIPs: all } = service.spec ?? {};
  return (all ?? (clusterIP ? [clusterIP] : [])).filter((ip) => ip !== '' && ip !== 'None');
};

/** The view of two informers; a namespace exists for DNS when it has a Service. */
export function informerView(services: Informer<Service>, slices: Informer<EndpointSlice>): DnsView {
  services.addIndex(SERVICE_BY_IP, clusterIPs);
  slices.addIndex(SLICE_BY_IP, (slice) => [...new Set((slice.endpoints ?? []).flatMap((e) => e.addresses))]);
  slices.addIndex(SLICE_BY_SERVICE, (slice) => {
    const key = serviceKeyOf(slice);
    return key ? [key] : [];
  });
  return {
    service: (namespace, name) => services.get({ namespace, name }),
    slicesOf: (namespace, name) => slices.byIndex(SLICE_BY_SERVICE, `${namespace}/${name}`),
    hasNamespace: (namespace) => services.list(namespace).length > 0,
    servicesAt: (ip) => services.byIndex(SERVICE_BY_IP, ip),
    slicesAt: (ip) => slices.byIndex(SLICE_BY_IP, ip),
  };
}
