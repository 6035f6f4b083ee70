import type { Endpoint, EndpointSlice, Service } from '@trimtab/machinery';
import type { SrvAnswer, StringAnswer, TxtAnswer } from 'dns-packet';
import { isReady } from '../services/endpoints.js';
import { dashed, TTL_SECONDS } from './names.js';

export type AddressRecord = StringAnswer & { readonly type: 'A' | 'AAAA' };

export const addressRecord = (name: string, ip: string): AddressRecord => ({
  type: ip.includes(':') ? 'AAAA' : 'A',
  class: 'IN',
  name,
  ttl: TTL_SECONDS,
  data: ip,
});

export const pointer = (name: string, target: string): StringAnswer => ({
  type: 'PTR',
  class: 'IN',
  name,
  ttl: TTL_SECONDS,
  data: target,
});

export const alias = (name: string, target: string): StringAnswer => ({
  type: 'CNAME',
  class: 'IN',
  name,
  ttl: TTL_SECONDS,
  data: target,
});

export const text = (name: string, data: string): TxtAnswer => ({
  type: 'TXT',
  class: 'IN',
  name,
  ttl: TTL_SECONDS,
  data,
});

/** Equal priority and weight: the specification asks for no preference among endpoints. */
export const serviceLocation = (name: string, target: string, port: number): SrvAnswer => ({
  type: 'SRV',
  class: 'IN',
  name,
  ttl: TTL_SECONDS,
  data: { priority: 0, weight: 1, port, target },
});

/** One ready endpoint of a headless Service: its label below the Service's name, its address and ports. */
export interface NamedEndpoint {
  readonly label: string;
  readonly ip: string;
  readonly ports: readonly { readonly name: string; readonly protocol: string; readonly port: number }[];
}

/** Section 2.4.1: an endpoint's hostname where it has one, else a name made of its address. Each address once. */
export function namedEndpoints(slices: readonly EndpointSlice[]): readonly NamedEndpoint[] {
  const seen = new Map<string, NamedEndpoint>();
  for (const slice of slices) {
    if (slice.addressType === 'FQDN') continue;
    const ports = (slice.ports ?? []).flatMap((p) =>
      p.port ? [{ name: p.name ?? '', protocol: (p.protocol ?? 'TCP').toLowerCase(), port: p.port }] : [],
    );
    for (const endpoint of slice.endpoints ?? []) {
      const ip = endpoint.addresses[0];
      if (ip === undefined || !isReady(endpoint)) continue;
      const known = seen.get(ip);
      seen.set(ip, { label: labelOf(endpoint, ip), ip, ports: known ? [...known.ports, ...ports] : ports });
    }
  }
  return [...seen.values()];
}

const labelOf = (endpoint: Endpoint, ip: string): string => (endpoint.hostname || dashed(ip)).toLowerCase();

export const isHeadless = (service: Service): boolean => service.spec?.clusterIP === 'None';
