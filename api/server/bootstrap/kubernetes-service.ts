import type { Client } from '@trimtab/client';
import { equalJson, isReason, type KubeObject, type ResourceType } from '@trimtab/machinery';

export interface KubernetesServiceOptions {
  /** Acts as a member of `system:masters`. */
  readonly client: Client;
  /** The first address of the service range. */
  readonly serviceAddress: string;
  /** Where pods reach the API server: addresses of this machine, all of one family, and the port. */
  readonly addresses: readonly string[];
  readonly port: number;
}

const services: ResourceType = { group: '', version: 'v1', kind: 'Service', resource: 'services', namespaced: true };
const endpoints: ResourceType = {
  group: '',
  version: 'v1',
  kind: 'Endpoints',
  resource: 'endpoints',
  namespaced: true,
};
const slices: ResourceType = {
  group: 'discovery.k8s.io',
  version: 'v1',
  kind: 'EndpointSlice',
  resource: 'endpointslices',
  namespaced: true,
};
const key = { namespace: 'default', name: 'kubernetes' };

/**
 * Keeps the Service `default/kubernetes`, by which pods find the API server, and its Endpoints and EndpointSlice. Made where
 * missing; addresses and port are put right at every call.
 */
export async function publishKubernetesService(options: KubernetesServiceOptions): Promise<void> {
  const { client, addresses, port } = options;
  const named = { ...key, labels: { component: 'apiserver', provider: 'kubernetes' } };
  await ensure(client, services, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: named,
    spec: {
      type: 'ClusterIP',
      clusterIP: options.serviceAddress,
      clusterIPs: [options.serviceAddress],
      ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: port }],
      sessionAffinity: 'None',
    },
  });
  const mirrored = { ...key, labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } };
  await ensure(client, endpoints, {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: mirrored,
    subsets: [{ addresses: addresses.map((ip) => ({ ip })), ports: [{ name: 'https', port, protocol: 'TCP' }] }],
  });
  await ensure(client, slices, {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { ...key, labels: { 'kubernetes.io/service-name': 'kubernetes' } },
    addressType: addresses[0]?.includes(':') ? 'IPv6' : 'IPv4',
    endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
    ports: [{ name: 'https', port, protocol: 'TCP' }],
  });
}

type Loose = KubeObject & { readonly [field: string]: unknown };

async function ensure(client: Client, type: ResourceType, wanted: Loose): Promise<void> {
  for (;;) {
    try {
      const there = (await client.get(type, key)) as Loose;
      const next = merged(there, wanted);
      if (next) await client.update(type, next);
      return;
    } catch (error) {
      if (isReason(error, 'Conflict')) continue;
      if (!isReason(error, 'NotFound')) throw error;
    }
    try {
      await client.create(type, wanted);
      return;
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error;
    }
  }
}

/** The stored object with our fields; undefined when it has them. The address of a Service is never moved. */
function merged(there: Loose, wanted: Loose): Loose | undefined {
  const { apiVersion: _, kind: __, metadata, spec, ...rest } = wanted;
  const labels = { ...there.metadata.labels, ...metadata.labels };
  const before = there.spec as Record<string, unknown> | undefined;
  const next: Loose = {
    ...there,
    ...rest,
    metadata: { ...there.metadata, labels },
    ...(spec ? { spec: { ...before, ports: (spec as { ports: unknown }).ports } } : {}),
  };
  return equalJson(next, there) ? undefined : next;
}
