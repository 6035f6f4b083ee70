import { isDeleting, type View } from '@trimtab/framework';
import {
  type Endpoint,
  type EndpointAddress,
  type EndpointSlice,
  EndpointSlices,
  type EndpointSubset,
  type Endpoints,
  Services,
} from '@trimtab/machinery';
import type { EndpointGroup, Family } from '../endpointslice/desired.js';
import { MANAGED_BY_LABEL } from '../endpointslice/facts.js';
import { planSlices, type SlicePlan, same } from '../endpointslice/plan.js';

export const MIRROR = 'endpointslicemirroring-controller.k8s.io';
const SKIP = 'endpointslice.kubernetes.io/skip-mirror';
const LEADER = 'control-plane.alpha.kubernetes.io/leader';
/** Of each subset no more are mirrored (kube-controller-manager: mirroring-max-endpoints-per-subset). */
const MAX_PER_SUBSET = 1000;

export interface MirrorFacts {
  readonly endpoints: Endpoints;
  /** They belong to a Service without a selector, and nobody said to leave them alone. */
  readonly mirrored: boolean;
  readonly plan: SlicePlan;
  readonly settled: boolean;
  readonly skipped: number;
}

export function mirrorFacts(view: View<Endpoints>): MirrorFacts | undefined {
  const { object: endpoints } = view;
  if (!endpoints || isDeleting(endpoints)) return undefined;
  const mirrored = isMirrored(view, endpoints);
  const slices = view
    .byIndex(EndpointSlices, 'owner', endpoints.metadata.uid!)
    .filter((slice) => slice.metadata.labels?.[MANAGED_BY_LABEL] === MIRROR && !isDeleting(slice));
  const subsets = mirrored ? (endpoints.subsets ?? []) : [];
  const plan = planSlices(groupsOf(subsets), slices);
  const kept = (slice: EndpointSlice, wanted: readonly Endpoint[]) => same(wanted, slice.endpoints ?? []);
  return {
    endpoints,
    mirrored,
    plan,
    settled: plan.make.length + plan.drop.length === 0 && plan.keep.every((k) => kept(k.slice, k.endpoints)),
    skipped: subsets.reduce((sum, subset) => sum + Math.max(0, addressesOf(subset).length - MAX_PER_SUBSET), 0),
  };
}

function isMirrored(view: View<Endpoints>, { metadata }: Endpoints): boolean {
  if (metadata.labels?.[SKIP] === 'true' || metadata.annotations?.[LEADER] !== undefined) return false;
  const service = view.get(Services, { namespace: metadata.namespace, name: metadata.name! });
  return service !== undefined && !isDeleting(service) && Object.keys(service.spec?.selector ?? {}).length === 0;
}

interface Mirrored extends EndpointAddress {
  readonly ready: boolean;
}

const addressesOf = ({ addresses = [], notReadyAddresses = [] }: EndpointSubset): readonly Mirrored[] => [
  ...addresses.map((address) => ({ ...address, ready: true })),
  ...notReadyAddresses.map((address) => ({ ...address, ready: false })),
];

/** Addresses of one family and equal ports together, over all subsets. */
function groupsOf(subsets: readonly EndpointSubset[]): readonly EndpointGroup[] {
  const groups = new Map<string, { family: Family; ports: EndpointGroup['ports']; endpoints: Map<string, Endpoint> }>();
  for (const subset of subsets)
    for (const address of addressesOf(subset).slice(0, MAX_PER_SUBSET)) {
      const { ip, ready, hostname, nodeName, targetRef } = address;
      const family: Family = ip.includes(':') ? 'IPv6' : 'IPv4';
      const ports = (subset.ports ?? []).map(({ name = '', port, protocol = 'TCP', appProtocol }) => ({
        name,
        port,
        protocol,
        ...(appProtocol ? { appProtocol } : {}),
      }));
      const id = JSON.stringify([family, ports]);
      const group = groups.get(id) ?? { family, ports, endpoints: new Map<string, Endpoint>() };
      groups.set(id, group);
      group.endpoints.set(ip, {
        addresses: [ip],
        conditions: { ready },
        ...(hostname ? { hostname } : {}),
        ...(nodeName ? { nodeName } : {}),
        ...(targetRef ? { targetRef } : {}),
      });
    }
  return [...groups.values()].map(({ endpoints, ...group }) => ({ ...group, endpoints: [...endpoints.values()] }));
}
