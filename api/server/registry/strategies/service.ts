import { isIP } from 'node:net';
import { causes, invalid, type Service, type ServicePort, type ServiceSpec } from '@trimtab/machinery';
import type { Reservation } from '../../contracts.js';
import type { Causes } from './checks.js';
import type { ServiceAllocation, ServiceAllocator } from './service-allocator.js';
import {
  hasClusterIP,
  isHeadless,
  needsHealthCheck,
  prepareForUpdate,
  wantsNodePorts,
  withoutIdleAffinity,
} from './service-update.js';
import { validateClusterIPs, validateService, validateServiceChange } from './service-validation.js';
import type { KindRules } from './typed.js';

/** Services: what kubectl may leave out is taken over from the old object, addresses and node ports come from `allocator`. */
export function serviceRules(allocator: ServiceAllocator | undefined): KindRules<Service> {
  return {
    prepareForCreate: ({ spec, ...service }) => ({
      ...service,
      ...(spec ? { spec: withoutIdleAffinity(alignedClusterIPs(spec)) } : {}),
      status: { loadBalancer: {} },
    }),
    prepareForUpdate,
    warnings: ({ spec }) =>
      spec?.externalName && spec.type !== 'ExternalName'
        ? [`spec.externalName is ignored when spec.type is not "ExternalName"`]
        : [],
    validate: validateService,
    validateChange: validateServiceChange,
    ...(allocator ? { reserve: (service) => reserve(allocator, service) } : {}),
  };
}

const alignedClusterIPs = (spec: ServiceSpec): ServiceSpec =>
  spec.clusterIP && !spec.clusterIPs?.length ? { ...spec, clusterIPs: [spec.clusterIP] } : spec;

function reserve(allocator: ServiceAllocator, service: Service): Reservation & { object: Service } {
  const key = `${service.metadata.namespace ?? ''}/${service.metadata.name ?? ''}`;
  if (!service.spec) return { object: service, finish: () => {} };
  const wrong: Causes = [];
  const spec = withFamilies(service.spec, wrong);
  if (wrong.length > 0) throw invalid({ group: '', kind: 'Service' }, service.metadata.name ?? '', wrong);
  const allocation = allocator.allocate(key);
  const finish = (stored: boolean) => {
    if (!stored) allocation.release();
  };
  try {
    const object = { ...service, spec: allocate(allocation, spec) };
    return { object, together: allocation.together(), finish };
  } catch (error) {
    allocation.release();
    throw error;
  }
}

/**
 * The families of the addresses, told from the addresses where the author does not say. This cluster has IPv4 alone; a headless
 * Service without selector may have any, as its endpoints are somebody else's.
 */
function withFamilies(spec: ServiceSpec, out: Causes): ServiceSpec {
  validateClusterIPs(spec, out);
  if (out.length > 0 || !hasClusterIP(spec)) return spec;
  const { ipFamilyPolicy: policy } = spec;
  if (isHeadless(spec) && Object.keys(spec.selector ?? {}).length === 0) {
    const [first = 'IPv4', ...more] = spec.ipFamilies ?? [];
    const second = policy === 'SingleStack' ? [] : [first === 'IPv4' ? 'IPv6' : 'IPv4'];
    return {
      ...spec,
      ipFamilies: [first, ...(more.length > 0 ? more : second)],
      ipFamilyPolicy: policy ?? 'RequireDualStack',
    };
  }
  const given = spec.ipFamilies?.length
    ? spec.ipFamilies
    : (spec.clusterIPs ?? []).filter((ip) => ip !== 'None').map((ip) => `IPv${isIP(ip)}`);
  const at = 'spec.ipFamilyPolicy';
  if (policy === undefined || policy === 'SingleStack') {
    const many = (what: string) =>
      causes.invalid(
        at,
        policy ?? null,
        `must be 'RequireDualStack' or 'PreferDualStack' when multiple ${what} are specified`,
      );
    if (spec.clusterIPs?.length === 2) out.push(many('cluster IPs'));
    if (spec.ipFamilies?.length === 2) out.push(many('IP families'));
  }
  if (policy === 'RequireDualStack')
    out.push(causes.invalid(at, policy, 'this cluster is not configured for dual-stack services'));
  for (const [i, family] of given.entries())
    if (family !== 'IPv4') out.push(causes.invalid(`spec.ipFamilies[${i}]`, family, 'not configured on this cluster'));
  return { ...spec, ipFamilies: given.length > 0 ? given : ['IPv4'], ipFamilyPolicy: policy ?? 'SingleStack' };
}

function allocate(allocation: ServiceAllocation, given: ServiceSpec): ServiceSpec {
  let spec = given;
  if (hasClusterIP(spec)) {
    const clusterIP = isHeadless(spec) ? 'None' : allocation.address(spec.clusterIP || undefined);
    spec = { ...spec, clusterIP, clusterIPs: [clusterIP] };
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
  if (needsHealthCheck(spec))
    spec = {
      ...spec,
      healthCheckNodePort: allocation.port('TCP', spec.healthCheckNodePort, 'spec.healthCheckNodePort'),
    };
  return spec;
}
