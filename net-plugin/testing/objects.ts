import type { EndpointSlice, Service, ServicePort, ServiceSpec } from '@trimtab/machinery';

const NAMESPACE = 'default';

/** A ClusterIP Service with TCP port 80, unless said otherwise. */
export function service(name: string, clusterIP: string, spec: ServiceSpec = {}, namespace = NAMESPACE): Service {
  return {
    metadata: { name, namespace },
    spec: { type: 'ClusterIP', clusterIP, clusterIPs: [clusterIP], ports: [{ port: 80, protocol: 'TCP' }], ...spec },
  };
}

export interface TestEndpoint {
  readonly ip: string;
  readonly ready?: boolean;
  readonly serving?: boolean;
  readonly terminating?: boolean;
  readonly nodeName?: string;
  readonly hostname?: string;
}

/** The slice a Service's controller would write; ports default to the Service's one unnamed TCP port on 8080. */
export function slice(
  serviceName: string,
  endpoints: readonly (string | TestEndpoint)[],
  ports: readonly Partial<ServicePort>[] = [{ port: 8080 }],
  namespace = NAMESPACE,
): EndpointSlice {
  return {
    metadata: { name: `${serviceName}-1`, namespace, labels: { 'kubernetes.io/service-name': serviceName } },
    addressType: 'IPv4',
    ports: ports.map((p) => ({ name: p.name ?? '', protocol: p.protocol ?? 'TCP', port: p.port })),
    endpoints: endpoints.map((given) => {
      const e = typeof given === 'string' ? { ip: given } : given;
      const { ready = true, serving = ready, terminating = false, nodeName = 'node-1', hostname } = e;
      return {
        addresses: [e.ip],
        conditions: { ready, serving, terminating },
        nodeName,
        ...(hostname ? { hostname } : {}),
      };
    }),
  };
}
