import type { Endpoint, EndpointSlice } from '@trimtab/machinery';
import type { EndpointGroup } from './desired.js';

export const MAX_ENDPOINTS_PER_SLICE = 100;

/** Which slices to make, to change and to delete: as few writes as hold the groups (kubernetes: endpointslice reconciler). */
export interface SlicePlan {
  readonly make: readonly { readonly group: EndpointGroup; readonly endpoints: readonly Endpoint[] }[];
  readonly keep: readonly { readonly slice: EndpointSlice; readonly endpoints: readonly Endpoint[] }[];
  readonly drop: readonly EndpointSlice[];
}

/**
 * Endpoints stay in the slice they are in; new ones fill slices that change anyway, then others with room, then new
 * slices. A group keeps one slice even when it is empty.
 */
export function planSlices(groups: readonly EndpointGroup[], slices: readonly EndpointSlice[]): SlicePlan {
  const make: SlicePlan['make'][number][] = [];
  const keep: SlicePlan['keep'][number][] = [];
  const drop = new Set(slices);
  for (const group of groups) {
    const id = groupId(group.family, group.ports);
    const own = slices.filter((slice) => groupId(slice.addressType, slice.ports ?? []) === id);
    const wanted = new Map(group.endpoints.map((endpoint) => [identity(endpoint), endpoint]));
    const filled = own.map((slice) => {
      const endpoints: Endpoint[] = [];
      for (const present of slice.endpoints ?? []) {
        const endpoint = wanted.get(identity(present));
        if (!endpoint || endpoints.length >= MAX_ENDPOINTS_PER_SLICE) continue;
        wanted.delete(identity(present));
        endpoints.push(endpoint);
      }
      return { slice, endpoints, changed: !same(endpoints, slice.endpoints ?? []) };
    });
    const left = [...wanted.values()];
    for (const entry of [...filled.filter((e) => e.changed), ...filled.filter((e) => !e.changed)])
      entry.endpoints.push(...left.splice(0, MAX_ENDPOINTS_PER_SLICE - entry.endpoints.length));
    while (left.length > 0) make.push({ group, endpoints: left.splice(0, MAX_ENDPOINTS_PER_SLICE) });
    const full = filled.filter((entry) => entry.endpoints.length > 0);
    const spare = full.length === 0 && !make.some((each) => each.group === group) ? filled.slice(0, 1) : [];
    for (const { slice, endpoints } of [...full, ...spare]) {
      drop.delete(slice);
      keep.push({ slice, endpoints });
    }
    if (filled.length === 0 && group.endpoints.length === 0) make.push({ group, endpoints: [] });
  }
  return { make, keep, drop: [...drop] };
}

const groupId = (family: string, ports: EndpointGroup['ports']): string =>
  JSON.stringify([family, ...ports.map((p) => [p.name ?? '', p.port, p.protocol ?? 'TCP', p.appProtocol ?? ''])]);

const identity = ({ targetRef, addresses }: Endpoint): string => `${targetRef?.uid ?? ''} ${addresses.join(',')}`;

/** Field by field in a fixed order: a server may give them back in another. */
export const same = (a: readonly Endpoint[], b: readonly Endpoint[]): boolean =>
  a.length === b.length && a.every((endpoint, i) => text(endpoint) === text(b[i]!));

const text = ({ addresses, conditions, hostname, nodeName, targetRef, zone }: Endpoint): string =>
  JSON.stringify([
    addresses,
    conditions?.ready,
    conditions?.serving,
    conditions?.terminating,
    hostname,
    nodeName,
    targetRef?.name,
    targetRef?.uid,
    zone,
  ]);
