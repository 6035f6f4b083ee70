import { isIP } from 'node:net';
import {
  causes,
  type EndpointSlice,
  type Endpoints,
  equalJson,
  type Ingress,
  type IngressClass,
  type IPAddress,
  type NetworkPolicy,
  type ServiceCIDR,
} from '@trimtab/machinery';
import {
  type Causes,
  cidr,
  dnsLabel,
  dnsSubdomain,
  endpointAddress,
  immutable,
  inRange,
  labels,
  oneOf,
  optionalOneOf,
  port,
  portName,
  portOrName,
  qualifiedName,
  required,
  unique,
} from './checks.js';
import { validateLabelSelector } from './selector-validation.js';
import type { KindRules } from './typed.js';

/** Kinds of networking.k8s.io and discovery.k8s.io, and Endpoints (kubernetes: pkg/apis/networking/validation and others). */

function host(value: string, at: string, out: Causes): void {
  if (!value.includes('*')) dnsSubdomain(value, at, out);
  else if (!/^\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(value))
    out.push(
      causes.invalid(
        at,
        value,
        "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
      ),
    );
}

export const ingress: KindRules<Ingress> = {
  warnings: ({ metadata }) =>
    metadata.annotations?.['kubernetes.io/ingress.class'] === undefined
      ? []
      : [`annotation "kubernetes.io/ingress.class" is deprecated, please use 'spec.ingressClassName' instead`],
  prepareForCreate: (object) => ({ ...object, status: { loadBalancer: {} } }),
  validate({ spec }, out) {
    if (!spec?.rules?.length && !spec?.defaultBackend)
      out.push(causes.invalid('spec', spec?.rules ?? [], 'either `defaultBackend` or `rules` must be specified'));
    if (spec?.defaultBackend) validateBackend(spec.defaultBackend, 'spec.defaultBackend', out);
    for (const [i, rule] of (spec?.rules ?? []).entries()) {
      const at = `spec.rules[${i}]`;
      if (rule.host) {
        if (isIP(rule.host)) out.push(causes.invalid(`${at}.host`, rule.host, 'must be a DNS name, not an IP address'));
        else host(rule.host, `${at}.host`, out);
      }
      if (!rule.http) continue;
      required(rule.http.paths, `${at}.http.paths`, out);
      for (const [j, path] of (rule.http.paths ?? []).entries()) validatePath(path, `${at}.http.paths[${j}]`, out);
    }
    for (const [i, { hosts }] of (spec?.tls ?? []).entries())
      for (const [j, name] of (hosts ?? []).entries()) host(name, `spec.tls[${i}].hosts[${j}]`, out);
    if (spec?.ingressClassName) dnsSubdomain(spec.ingressClassName, 'spec.ingressClassName', out);
  },
};

type IngressPath = NonNullable<
  NonNullable<NonNullable<NonNullable<Ingress['spec']>['rules']>[number]['http']>['paths']
>[number];

function validatePath({ path = '', pathType, backend }: IngressPath, at: string, out: Causes): void {
  if (!pathType) out.push(causes.required(`${at}.pathType`, 'pathType must be specified'));
  else optionalOneOf(pathType, ['Exact', 'ImplementationSpecific', 'Prefix'], `${at}.pathType`, out);
  if (pathType === 'Exact' || pathType === 'Prefix') {
    if (!path.startsWith('/')) out.push(causes.invalid(`${at}.path`, path, 'must be an absolute path'));
    for (const part of ['//', '/./', '/../', '%2f', '%2F'])
      if (path.includes(part)) out.push(causes.invalid(`${at}.path`, path, `must not contain '${part}'`));
    for (const end of ['/..', '/.'])
      if (path.endsWith(end)) out.push(causes.invalid(`${at}.path`, path, `cannot end with '${end}'`));
  } else if (path && !path.startsWith('/')) out.push(causes.invalid(`${at}.path`, path, 'must be an absolute path'));
  validateBackend(backend, `${at}.backend`, out);
}

function validateBackend(backend: NonNullable<Ingress['spec']>['defaultBackend'], at: string, out: Causes): void {
  if (backend?.resource) {
    if (backend.service) out.push(causes.invalid(at, '', 'cannot set both resource and service backends'));
    return;
  }
  if (!backend?.service) {
    out.push(causes.required(`${at}`, 'must specify a service or a resource'));
    return;
  }
  if (required(backend.service.name, `${at}.service.name`, out))
    dnsLabel(backend.service.name, `${at}.service.name`, out);
  const { name, number } = backend.service.port ?? {};
  if (name && number) out.push(causes.invalid(at, '', 'cannot set both port name & port number'));
  else if (name) portName(name, `${at}.service.port.name`, out);
  else if (number) port(number, `${at}.service.port.number`, out);
  else out.push(causes.required(at, 'port name or number is required'));
}

export const ingressClass: KindRules<IngressClass> = {
  validate({ spec }, out) {
    const controller = spec?.controller ?? '';
    if (required(controller, 'spec.controller', out)) {
      if (controller.length > 250) out.push(causes.tooLong('spec.controller', 250));
      if (!/^[^/]+\/.+$/.test(controller))
        out.push(
          causes.invalid('spec.controller', controller, 'must be a domain-prefixed path (such as "acme.io/foo")'),
        );
    }
    const parameters = spec?.parameters;
    if (!parameters) return;
    const at = 'spec.parameters';
    if (parameters.apiGroup) dnsSubdomain(parameters.apiGroup, `${at}.apiGroup`, out);
    required(parameters.kind, `${at}.kind`, out);
    required(parameters.name, `${at}.name`, out);
    oneOf(parameters.scope, ['Cluster', 'Namespace'], `${at}.scope`, out);
    if (parameters.scope === 'Namespace')
      required(parameters.namespace, `${at}.namespace`, out, "`parameters.scope` is set to 'Namespace'");
    if (parameters.scope === 'Cluster' && parameters.namespace !== undefined)
      out.push(causes.forbidden(`${at}.namespace`, "`parameters.scope` is set to 'Cluster'"));
  },
  validateChange: (now, old, out) =>
    void immutable(now.spec?.controller, old.spec?.controller, equalJson, 'spec.controller', out),
};

type Peers = NonNullable<NonNullable<NonNullable<NetworkPolicy['spec']>['ingress']>[number]['from']>;
type Ports = NonNullable<NonNullable<NonNullable<NetworkPolicy['spec']>['ingress']>[number]['ports']>;

export const networkPolicy: KindRules<NetworkPolicy> = {
  validate({ spec }, out) {
    validateLabelSelector(spec?.podSelector, 'spec.podSelector', out);
    for (const [i, rule] of (spec?.ingress ?? []).entries()) {
      validatePolicyPorts(rule.ports, `spec.ingress[${i}].ports`, out);
      validatePeers(rule.from, `spec.ingress[${i}].from`, out);
    }
    for (const [i, rule] of (spec?.egress ?? []).entries()) {
      validatePolicyPorts(rule.ports, `spec.egress[${i}].ports`, out);
      validatePeers(rule.to, `spec.egress[${i}].to`, out);
    }
    const types = spec?.policyTypes ?? [];
    if (types.length > 2)
      out.push(causes.invalid('spec.policyTypes', types, 'may not specify more than two policyTypes'));
    else
      for (const [i, type] of types.entries())
        optionalOneOf(type, ['Egress', 'Ingress'], `spec.policyTypes[${i}]`, out);
  },
};

function validatePolicyPorts(ports: Ports | undefined, at: string, out: Causes): void {
  for (const [i, p] of (ports ?? []).entries()) {
    const path = `${at}[${i}]`;
    optionalOneOf(p.protocol, ['SCTP', 'TCP', 'UDP'], `${path}.protocol`, out);
    if (p.port !== undefined) {
      portOrName(p.port, `${path}.port`, out);
      if (p.endPort === undefined) continue;
      if (typeof p.port === 'string')
        out.push(causes.invalid(`${path}.endPort`, p.endPort, 'may not be specified when `port` is non-numeric'));
      else {
        if (p.endPort < p.port)
          out.push(causes.invalid(`${path}.endPort`, p.endPort, 'must be greater than or equal to `port`'));
        port(p.endPort, `${path}.endPort`, out);
      }
    } else if (p.endPort !== undefined)
      out.push(causes.invalid(`${path}.endPort`, p.endPort, 'may not be specified when `port` is not specified'));
  }
}

function validatePeers(peers: Peers | undefined, at: string, out: Causes): void {
  for (const [i, peer] of (peers ?? []).entries()) {
    const path = `${at}[${i}]`;
    validateLabelSelector(peer.podSelector, `${path}.podSelector`, out);
    validateLabelSelector(peer.namespaceSelector, `${path}.namespaceSelector`, out);
    if (peer.ipBlock) {
      if (required(peer.ipBlock.cidr, `${path}.ipBlock.cidr`, out))
        cidr(peer.ipBlock.cidr, `${path}.ipBlock.cidr`, out);
      for (const [j, except] of (peer.ipBlock.except ?? []).entries())
        cidr(except, `${path}.ipBlock.except[${j}]`, out);
    }
    const selects = peer.podSelector ?? peer.namespaceSelector;
    if (!selects && !peer.ipBlock) out.push(causes.required(path, 'must specify a peer'));
    if (selects && peer.ipBlock) out.push(causes.forbidden(path, 'may not specify both ipBlock and another peer'));
  }
}

const protocols = ['SCTP', 'TCP', 'UDP'];

export const endpoints: KindRules<Endpoints> = {
  validate({ subsets }, out) {
    for (const [i, subset] of (subsets ?? []).entries()) {
      const at = `subsets[${i}]`;
      if (!subset.addresses?.length && !subset.notReadyAddresses?.length)
        out.push(causes.required(at, 'must specify `addresses` or `notReadyAddresses`'));
      for (const field of ['addresses', 'notReadyAddresses'] as const)
        for (const [j, address] of (subset[field] ?? []).entries()) {
          endpointAddress(address.ip, `${at}.${field}[${j}].ip`, out);
          if (address.hostname) dnsLabel(address.hostname, `${at}.${field}[${j}].hostname`, out);
          if (address.nodeName) dnsSubdomain(address.nodeName, `${at}.${field}[${j}].nodeName`, out);
        }
      for (const [j, p] of (subset.ports ?? []).entries()) {
        const path = `${at}.ports[${j}]`;
        if (p.name) dnsLabel(p.name, `${path}.name`, out);
        else if ((subset.ports?.length ?? 0) > 1) out.push(causes.required(`${path}.name`));
        port(p.port, `${path}.port`, out);
        oneOf(p.protocol, protocols, `${path}.protocol`, out);
        if (p.appProtocol) qualifiedName(p.appProtocol, `${path}.appProtocol`, out);
      }
    }
  },
};

export const endpointSlice: KindRules<EndpointSlice> = {
  validate({ addressType, endpoints: all, ports }, out) {
    oneOf(addressType, ['FQDN', 'IPv4', 'IPv6'], 'addressType', out);
    if ((all?.length ?? 0) > 1000) out.push(causes.tooMany('endpoints', all?.length ?? 0, 1000));
    for (const [i, endpoint] of (all ?? []).entries()) {
      const at = `endpoints[${i}]`;
      validateSliceAddresses(endpoint.addresses, addressType, `${at}.addresses`, out);
      if (endpoint.nodeName) dnsSubdomain(endpoint.nodeName, `${at}.nodeName`, out);
      labels(endpoint.deprecatedTopology, `${at}.deprecatedTopology`, out);
      if (endpoint.hostname) dnsLabel(endpoint.hostname, `${at}.hostname`, out);
      for (const [j, zone] of (endpoint.hints?.forZones ?? []).entries())
        required(zone.name, `${at}.hints.forZones[${j}].name`, out);
    }
    if ((ports?.length ?? 0) > 20_000) out.push(causes.tooMany('ports', ports?.length ?? 0, 20_000));
    unique(
      ports?.map((p) => ({ name: p.name ?? '' })),
      ({ name }) => (name === '' && (ports?.length ?? 0) < 2 ? undefined : ` ${name}`),
      (i) => `ports[${i}].name`,
      out,
    );
    for (const [i, p] of (ports ?? []).entries()) {
      if (p.name) dnsLabel(p.name, `ports[${i}].name`, out);
      oneOf(p.protocol, protocols, `ports[${i}].protocol`, out);
      if (p.port !== undefined) inRange(p.port, 1, 65535, `ports[${i}].port`, out);
      if (p.appProtocol) qualifiedName(p.appProtocol, `ports[${i}].appProtocol`, out);
    }
  },
  validateChange: (now, old, out) => void immutable(now.addressType, old.addressType, equalJson, 'addressType', out),
};

function validateSliceAddresses(addresses: readonly string[] | undefined, type: string, at: string, out: Causes): void {
  if (!required(addresses, at, out, 'must contain at least 1 address')) return;
  if ((addresses?.length ?? 0) > 100) out.push(causes.tooMany(at, addresses?.length ?? 0, 100));
  for (const [j, address] of (addresses ?? []).entries()) {
    const path = `${at}[${j}]`;
    if (type === 'FQDN') dnsSubdomain(address.replace(/\.$/, ''), path, out);
    else if (type === 'IPv4' && isIP(address) !== 4)
      out.push(causes.invalid(path, address, 'must be a valid IPv4 address'));
    else if (type === 'IPv6' && isIP(address) !== 6)
      out.push(causes.invalid(path, address, 'must be a valid IPv6 address'));
    else if (type === 'IPv4' || type === 'IPv6') endpointAddress(address, path, out);
  }
}

export const ipAddressKind: KindRules<IPAddress> = {
  validate({ metadata, spec }, out) {
    if (!isIP(metadata.name ?? ''))
      out.push(
        causes.invalid('metadata.name', metadata.name, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'),
      );
    if (!spec?.parentRef) {
      out.push(causes.required('spec.parentRef'));
      return;
    }
    required(spec.parentRef.resource, 'spec.parentRef.resource', out);
    required(spec.parentRef.name, 'spec.parentRef.name', out);
  },
  validateChange: (now, old, out) =>
    void immutable(now.spec?.parentRef, old.spec?.parentRef, equalJson, 'spec.parentRef', out),
};

export const serviceCidr: KindRules<ServiceCIDR> = {
  validate({ spec }, out) {
    const ranges = spec?.cidrs ?? [];
    if (ranges.length === 0) out.push(causes.required('spec.cidrs', 'at least one CIDR required'));
    if (ranges.length > 2) out.push(causes.invalid('spec', spec, 'may only hold up to 2 values'));
    if (ranges.length === 2 && ranges.every((r) => r.includes(':')) === ranges.some((r) => r.includes(':')))
      out.push(
        causes.invalid(
          'spec.cidrs',
          spec,
          'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64',
        ),
      );
    for (const [i, range] of ranges.entries()) cidr(range, `spec.cidrs[${i}]`, out);
  },
  validateChange: (now, old, out) => void immutable(now.spec?.cidrs, old.spec?.cidrs, equalJson, 'spec.cidrs', out),
};
