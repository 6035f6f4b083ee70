import { isIP } from 'node:net';
import { causes, equalJson, type Service, type ServicePort, type ServiceSpec } from '@trimtab/machinery';
import type { Reservation } from '../../contracts.js';
import {
  type Causes,
  dnsLabel,
  dnsSubdomain,
  immutable,
  ipAddress,
  labels,
  oneOf,
  optionalOneOf,
  port,
  portOrName,
  required,
  unique,
} from './checks.js';
import type { ServiceAllocation, ServiceAllocator } from './service-allocator.js';
import { hasClusterIP, isExternal, isHeadless, prepareForUpdate, wantsNodePorts } from './service-update.js';
import type { KindRules } from './typed.js';

const types = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
/** Services: what kubectl may leave out is taken over from the old object, addresses and node ports come from `allocator`. */
export function serviceRules(allocator: ServiceAllocator | undefined): KindRules<Service> {
  return {
    prepareForCreate: ({ spec, ...service }) => ({
      ...service,
      ...(spec
        ? { spec: spec.clusterIP && !spec.clusterIPs?.length ? { ...spec, clusterIPs: [spec.clusterIP] } : spec }
        : {}),
      status: { loadBalancer: {} },
    }),
    prepareForUpdate,
    warnings: ({ spec }) =>
      spec?.externalName && spec.type !== 'ExternalName'
        ? [`spec.externalName is ignored when spec.type is not "ExternalName"`]
        : [],
    validate,
    validateChange,
    ...(allocator ? { reserve: (service) => reserve(allocator, service) } : {}),
  };
}

function reserve(allocator: ServiceAllocator, service: Service): Reservation & { object: Service } {
  const key = `${service.metadata.namespace ?? ''}/${service.metadata.name ?? ''}`;
  if (!service.spec) return { object: service, finish: () => {} };
  const allocation = allocator.allocate(key);
  const finish = (stored: boolean) => {
    if (!stored) allocation.release();
  };
  try {
    return { object: { ...service, spec: allocate(allocation, service.spec) }, finish };
  } catch (error) {
    allocation.release();
    throw error;
  }
}

function allocate(allocation: ServiceAllocation, given: ServiceSpec): ServiceSpec {
  let spec = given;
  if (hasClusterIP(spec)) {
    spec = {
      ...spec,
      ipFamilies: spec.ipFamilies?.length ? spec.ipFamilies : ['IPv4'],
      ipFamilyPolicy: spec.ipFamilyPolicy ?? 'SingleStack',
    };
    const wanted = spec.clusterIP || spec.clusterIPs?.[0] || undefined;
    const clusterIP = wanted === 'None' ? 'None' : isIP(wanted ?? '') || !wanted ? allocation.address(wanted) : wanted;
    spec = { ...spec, clusterIP, clusterIPs: spec.clusterIPs?.length ? spec.clusterIPs : [clusterIP] };
  }
  if (wantsNodePorts(spec)) {
    const ports: ServicePort[] = [];
    for (const [i, p] of (spec.ports ?? []).entries()) {
      // One number serves two protocols on the same port, as DNS needs it.
      const twin = ports.find((q) => q.port === p.port && q.protocol !== p.protocol)?.nodePort;
      ports.push({
        ...p,
        nodePort: allocation.port(p.protocol ?? 'TCP', p.nodePort ?? twin, `spec.ports[${i}].nodePort`),
      });
    }
    spec = { ...spec, ports };
  }
  if (spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local')
    spec = {
      ...spec,
      healthCheckNodePort: allocation.port('TCP', spec.healthCheckNodePort, 'spec.healthCheckNodePort'),
    };
  return spec;
}

function validate({ spec }: Service, out: Causes): void {
  if (!spec) {
    out.push(causes.required('spec.ports'));
    return;
  }
  if (!spec.ports?.length && !isHeadless(spec) && spec.type !== 'ExternalName') out.push(causes.required('spec.ports'));
  for (const [i, p] of (spec.ports ?? []).entries()) validatePort(p, spec, `spec.ports[${i}]`, out);
  unique(
    spec.ports,
    (p) => p.name,
    (i) => `spec.ports[${i}].name`,
    out,
  );
  unique(
    spec.ports,
    (p) => ({ port: p.port, protocol: p.protocol }),
    (i) => `spec.ports[${i}]`,
    out,
  );
  labels(spec.selector, 'spec.selector', out);
  oneOf(spec.sessionAffinity, ['ClientIP', 'None'], 'spec.sessionAffinity', out);
  oneOf(spec.type, types, 'spec.type', out);
  if (spec.type === 'ExternalName') {
    if (required(spec.externalName, 'spec.externalName', out))
      dnsSubdomain((spec.externalName ?? '').replace(/\.$/, '').toLowerCase(), 'spec.externalName', out);
    if (spec.clusterIP) out.push(causes.forbidden('spec.clusterIPs', "may not be set when `type` is 'ExternalName'"));
  } else validateAddresses(spec, out);
  if (spec.type === 'NodePort' && isHeadless(spec))
    out.push(causes.invalid('spec.clusterIPs[0]', 'None', `may not be set to 'None' for NodePort services`));
  if (spec.type === 'LoadBalancer' && isHeadless(spec))
    out.push(causes.invalid('spec.clusterIPs[0]', 'None', `may not be set to 'None' for LoadBalancer services`));
  for (const [i, ip] of (spec.externalIPs ?? []).entries()) ipAddress(ip, `spec.externalIPs[${i}]`, out);
  if (spec.externalTrafficPolicy && !isExternal(spec))
    out.push(
      causes.invalid(
        'spec.externalTrafficPolicy',
        spec.externalTrafficPolicy,
        'may only be set for externally-accessible services',
      ),
    );
  optionalOneOf(spec.externalTrafficPolicy || undefined, ['Cluster', 'Local'], 'spec.externalTrafficPolicy', out);
  optionalOneOf(spec.internalTrafficPolicy, ['Cluster', 'Local'], 'spec.internalTrafficPolicy', out);
}

function validatePort(p: ServicePort, spec: ServiceSpec, at: string, out: Causes): void {
  if ((spec.ports?.length ?? 0) > 1 && !p.name) out.push(causes.required(`${at}.name`));
  else if (p.name) dnsLabel(p.name, `${at}.name`, out);
  port(p.port, `${at}.port`, out);
  oneOf(p.protocol, ['SCTP', 'TCP', 'UDP'], `${at}.protocol`, out);
  if (p.targetPort !== undefined) portOrName(p.targetPort, `${at}.targetPort`, out);
  if (p.nodePort && (spec.type === 'ClusterIP' || spec.type === 'ExternalName'))
    out.push(causes.forbidden(`${at}.nodePort`, `may not be used when \`type\` is '${spec.type}'`));
}

function validateAddresses(spec: ServiceSpec, out: Causes): void {
  for (const [i, ip] of (spec.clusterIPs ?? []).entries())
    if (ip !== 'None') ipAddress(ip, `spec.clusterIPs[${i}]`, out);
  if (spec.clusterIPs?.length && spec.clusterIP !== spec.clusterIPs[0])
    out.push(causes.invalid('spec.clusterIP', spec.clusterIP ?? '', 'must be the same as `clusterIPs[0]`'));
  optionalOneOf(
    spec.ipFamilyPolicy,
    ['PreferDualStack', 'RequireDualStack', 'SingleStack'],
    'spec.ipFamilyPolicy',
    out,
  );
  for (const [i, family] of (spec.ipFamilies ?? []).entries()) {
    optionalOneOf(family, ['IPv4', 'IPv6'], `spec.ipFamilies[${i}]`, out);
    if (family === 'IPv6' && !isHeadless(spec))
      out.push(causes.invalid(`spec.ipFamilies[${i}]`, family, 'not configured on this cluster'));
  }
  if (spec.ipFamilyPolicy === 'RequireDualStack')
    out.push(
      causes.invalid(
        'spec.ipFamilyPolicy',
        spec.ipFamilyPolicy,
        'this cluster is not configured for dual-stack services',
      ),
    );
}

function validateChange(now: Service, old: Service, out: Causes): void {
  const a = now.spec;
  const b = old.spec;
  if (!a || !b || !hasClusterIP(a) || !hasClusterIP(b)) return;
  if (!b.clusterIP) return;
  immutable(a.clusterIP, b.clusterIP, equalJson, 'spec.clusterIPs[0]', out, 'may not change once set');
  if (b.ipFamilies?.[0] && a.ipFamilies?.[0] !== b.ipFamilies[0])
    out.push(causes.invalid('spec.ipFamilies[0]', a.ipFamilies?.[0] ?? '', 'may not change once set'));
}
