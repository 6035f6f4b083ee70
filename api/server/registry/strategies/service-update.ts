import { equalJson, type Service, type ServicePort, type ServiceSpec } from '@trimtab/machinery';

/** What an update of a Service means where it says nothing (kubernetes: registry/core/service/strategy.go). */

export const isHeadless = (spec: ServiceSpec): boolean => spec.clusterIP === 'None';
export const hasClusterIP = (spec: ServiceSpec): boolean => spec.type !== 'ExternalName';
export const wantsNodePorts = (spec: ServiceSpec): boolean =>
  spec.type === 'NodePort' || (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false);
export const isExternal = (spec: ServiceSpec): boolean =>
  spec.type === 'NodePort' || spec.type === 'LoadBalancer' || (spec.externalIPs?.length ?? 0) > 0;

export const needsHealthCheck = (spec: ServiceSpec): boolean =>
  spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local';

const addressFields = ['clusterIP', 'clusterIPs'] as const;
const familyFields = ['ipFamilies', 'ipFamilyPolicy', 'healthCheckNodePort'] as const;

/** Fields that only some types have: left as they were through a change of type, they go with the type that had them. */
const typeDependent: readonly [field: keyof ServiceSpec, has: (spec: ServiceSpec) => boolean][] = [
  ['clusterIP', hasClusterIP],
  ['clusterIPs', hasClusterIP],
  ['ipFamilies', hasClusterIP],
  ['ipFamilyPolicy', hasClusterIP],
  ['internalTrafficPolicy', hasClusterIP],
  ['externalTrafficPolicy', isExternal],
  ['allocateLoadBalancerNodePorts', (spec) => spec.type === 'LoadBalancer'],
  ['loadBalancerClass', (spec) => spec.type === 'LoadBalancer'],
  ['healthCheckNodePort', needsHealthCheck],
];

/** An update that says nothing of an address or node port keeps it, unless the type changed so that it has to go. */
export function prepareForUpdate(service: Service, old: Service, subresource: string): Service {
  if (subresource !== '' || !service.spec || !old.spec) return service;
  const kept = keepAddresses(service.spec, old.spec);
  const ports = nodePorts(kept, old.spec);
  return { ...service, spec: withoutIdleAffinity(dropWithType(ports ? { ...kept, ports } : kept, old.spec)) };
}

/** How long affinity lasts is forgotten with the affinity: so who switches it off need not say both. */
export function withoutIdleAffinity(spec: ServiceSpec): ServiceSpec {
  if (spec.sessionAffinity !== 'None' || spec.sessionAffinityConfig === undefined) return spec;
  const { sessionAffinityConfig: _, ...rest } = spec;
  return rest;
}

/** A changed `clusterIP` stands for `clusterIPs` left as they were. */
function alignAddresses(spec: ServiceSpec, before: ServiceSpec): ServiceSpec {
  if ((spec.clusterIP ?? '') === (before.clusterIP ?? '') || !equalJson(spec.clusterIPs, before.clusterIPs))
    return spec;
  const { clusterIPs, ...rest } = spec;
  return rest.clusterIP ? { ...rest, clusterIPs: [rest.clusterIP] } : rest;
}

function keepAddresses(given: ServiceSpec, before: ServiceSpec): ServiceSpec {
  const spec = alignAddresses(given, before);
  if (!hasClusterIP(spec) || !hasClusterIP(before)) return spec;
  const addressed = Boolean(spec.clusterIP) || Boolean(spec.clusterIPs?.length);
  const kept: Record<string, unknown> = { ...spec };
  for (const field of addressed ? familyFields : [...addressFields, ...familyFields])
    if (!spec[field] && before[field] !== undefined) kept[field] = before[field];
  if (spec.clusterIP && !spec.clusterIPs?.length) kept.clusterIPs = [spec.clusterIP];
  if (!addressed && before.clusterIPs) kept.clusterIPs = before.clusterIPs;
  return kept as ServiceSpec;
}

function nodePorts(spec: ServiceSpec, before: ServiceSpec): ServiceSpec['ports'] {
  const of = (port: ServicePort) =>
    before.ports?.find((p) => p.port === port.port && (p.protocol ?? 'TCP') === (port.protocol ?? 'TCP'))?.nodePort;
  if (wantsNodePorts(spec) && wantsNodePorts(before))
    return spec.ports?.map((p) => {
      const nodePort = p.nodePort || of(p);
      return nodePort ? { ...p, nodePort } : p;
    });
  if (spec.type === 'NodePort' || spec.type === 'LoadBalancer' || !wantsNodePorts(before)) return spec.ports;
  return spec.ports?.map((p) => {
    const { nodePort, ...rest } = p;
    return nodePort !== undefined && nodePort === of(p) ? rest : p;
  });
}

function dropWithType(spec: ServiceSpec, before: ServiceSpec): ServiceSpec {
  const gone = typeDependent.filter(
    ([field, has]) => has(before) && !has(spec) && equalJson(spec[field], before[field]),
  );
  if (gone.length === 0) return spec;
  const left: Record<string, unknown> = { ...spec };
  for (const [field] of gone) delete left[field];
  return left as ServiceSpec;
}
