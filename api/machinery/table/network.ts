import type {
  EndpointSlice,
  Endpoints,
  Ingress,
  IngressClass,
  IPAddress,
  NetworkPolicy,
  Service,
  ServiceCIDR,
} from '../generated/types.js';
import { ageColumn, column, labelsText, listText, nameColumn, type Printer, wide } from './column.js';
import { selectorText } from './workloads.js';

interface LoadBalancerPoint {
  readonly ip?: string;
  readonly hostname?: string;
}

const loadBalancerText = (points: readonly LoadBalancerPoint[] | undefined): string =>
  [...new Set((points ?? []).map((point) => point.ip || point.hostname || '').filter(Boolean))].sort().join(',');

function externalIP({ spec, status }: Service): string {
  const external = spec?.externalIPs ?? [];
  switch (spec?.type ?? 'ClusterIP') {
    case 'ExternalName':
      return spec?.externalName ?? '';
    case 'LoadBalancer': {
      const balanced = loadBalancerText(status?.loadBalancer?.ingress);
      return [...(balanced ? [balanced] : []), ...external].join(',') || '<pending>';
    }
    default:
      return external.join(',') || '<none>';
  }
}

const portsText = ({ spec }: Service): string =>
  (spec?.ports ?? [])
    .map(({ port, nodePort, protocol = 'TCP' }) => `${nodePort ? `${port}:${nodePort}` : port}/${protocol}`)
    .join(',') || '<none>';

export const servicePrinter: Printer<Service> = {
  columns: [
    nameColumn,
    column('Type', 'How the service is exposed.', (s: Service) => s.spec?.type ?? 'ClusterIP'),
    column(
      'Cluster-IP',
      'Address within the cluster.',
      (s: Service) => s.spec?.clusterIPs?.[0] || s.spec?.clusterIP || '<none>',
    ),
    column('External-IP', 'Addresses from outside.', externalIP),
    column('Port(s)', 'Ports the service listens on.', portsText),
    ageColumn,
    column('Selector', 'Pods that serve.', (s: Service) => labelsText(s.spec?.selector), wide),
  ],
};

function hostsText({ spec }: Ingress): string {
  const rules = spec?.rules ?? [];
  const hosts = rules.map((rule) => rule.host ?? '').filter(Boolean);
  if (hosts.length === 0) return '*';
  return hosts.length > 3 ? `${hosts.slice(0, 3).join(',')} + ${rules.length - 3} more...` : hosts.join(',');
}

export const ingressPrinter: Printer<Ingress> = {
  columns: [
    nameColumn,
    column(
      'Class',
      'Class of controllers that take care of the ingress.',
      (i: Ingress) => i.spec?.ingressClassName ?? '<none>',
    ),
    column('Hosts', 'Hosts that requests are matched against.', hostsText),
    column('Address', 'Where the ingress is reached.', (i: Ingress) =>
      loadBalancerText(i.status?.loadBalancer?.ingress),
    ),
    column('Ports', 'Ports that are open.', (i: Ingress) => (i.spec?.tls?.length ? '80, 443' : '80')),
    ageColumn,
  ],
};

export const ingressClassPrinter: Printer<IngressClass> = {
  columns: [
    nameColumn,
    column('Controller', 'Controller that serves the class.', (c: IngressClass) => c.spec?.controller ?? ''),
    column('Parameters', 'Object with further settings.', (c: IngressClass) => {
      const parameters = c.spec?.parameters;
      if (!parameters) return '<none>';
      return `${parameters.kind}${parameters.apiGroup ? `.${parameters.apiGroup}` : ''}/${parameters.name}`;
    }),
    ageColumn,
  ],
};

const hostPort = (ip: string, port: number): string => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`);

function endpointsText({ subsets }: Endpoints): string {
  const all = (subsets ?? []).flatMap(({ addresses = [], ports = [] }) =>
    ports.length === 0
      ? addresses.map((address) => address.ip)
      : ports.flatMap(({ port }) => addresses.map((address) => hostPort(address.ip, port))),
  );
  return subsets?.length ? listText(all, 3, '') : '<none>';
}

export const endpointsPrinter: Printer<Endpoints> = {
  columns: [nameColumn, column('Endpoints', 'Addresses and ports that serve.', endpointsText), ageColumn],
};

export const endpointSlicePrinter: Printer<EndpointSlice> = {
  columns: [
    nameColumn,
    column('AddressType', 'Kind of addresses in the slice.', (s: EndpointSlice) => s.addressType),
    column('Ports', 'Ports of the endpoints.', (s: EndpointSlice) =>
      listText(
        (s.ports ?? []).map(({ port, name }) => String(port ?? (name || '*'))),
        3,
        '<unset>',
      ),
    ),
    column('Endpoints', 'Addresses of the endpoints.', (s: EndpointSlice) =>
      listText(
        (s.endpoints ?? []).flatMap((endpoint) => endpoint.addresses),
        3,
        '<unset>',
      ),
    ),
    ageColumn,
  ],
};

export const networkPolicyPrinter: Printer<NetworkPolicy> = {
  columns: [
    nameColumn,
    column('Pod-Selector', 'Pods the policy is for.', (p: NetworkPolicy) => selectorText(p.spec?.podSelector)),
    ageColumn,
  ],
};

export const serviceCIDRPrinter: Printer<ServiceCIDR> = {
  columns: [
    nameColumn,
    column('CIDRs', 'Ranges that service addresses come from.', (c: ServiceCIDR) => (c.spec?.cidrs ?? []).join(',')),
    ageColumn,
  ],
};

export const ipAddressPrinter: Printer<IPAddress> = {
  columns: [
    nameColumn,
    column('ParentRef', 'Object that holds the address.', (a: IPAddress) => {
      const parent = a.spec?.parentRef;
      if (!parent) return '<none>';
      const resource = parent.group ? `${parent.resource}.${parent.group}` : parent.resource;
      return [resource.toLowerCase(), parent.namespace, parent.name].filter(Boolean).join('/');
    }),
    ageColumn,
  ],
};
