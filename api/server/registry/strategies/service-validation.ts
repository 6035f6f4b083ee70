import { isIP } from 'node:net';
import { causes, equalJson, type Service, type ServicePort, type ServiceSpec } from '@trimtab/machinery';
import {
  type Causes,
  cidr,
  dnsLabel,
  dnsSubdomain,
  endpointAddress,
  ipAddress,
  labels,
  oneOf,
  optionalOneOf,
  port,
  portOrName,
  qualifiedName,
  required,
} from './checks.js';
import { hasClusterIP, isExternal, isHeadless, needsHealthCheck } from './service-update.js';

/** What a Service may say (kubernetes: pkg/apis/core/validation, ValidateService), in field order of upstream. */

const types = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const policies = ['Cluster', 'Local'];
const onlyLoadBalancer = "may only be used when `type` is 'LoadBalancer'";
const topologyMode = 'service.kubernetes.io/topology-mode';
const topologyHints = 'service.kubernetes.io/topology-aware-hints';
const sourceRanges = 'service.beta.kubernetes.io/load-balancer-source-ranges';
const kubeletPort = 10250;
/** A day. */
const maxAffinitySeconds = 86_400;

export function validateService(service: Service, out: Causes): void {
  const annotations = service.metadata.annotations ?? {};
  const mode = annotations[topologyMode];
  const hints = annotations[topologyHints];
  if (mode !== undefined && hints !== undefined && mode !== hints)
    out.push(
      causes.invalid(
        `metadata.annotations[${topologyMode}]`,
        mode,
        `must match annotations[${topologyHints}] when both are specified`,
      ),
    );
  const spec = service.spec ?? {};
  validateType(spec, out);
  const names = new Set<string>();
  for (const [i, p] of (spec.ports ?? []).entries()) validatePort(p, spec, names, `spec.ports[${i}]`, out);
  labels(spec.selector, 'spec.selector', out);
  validateAffinity(spec, out);
  validateClusterIPs(spec, out);
  for (const [i, ip] of (spec.externalIPs ?? []).entries()) endpointAddress(ip, `spec.externalIPs[${i}]`, out);
  oneOf(spec.type, types, 'spec.type', out);
  validateNumbers(spec, out);
  validateLoadBalancer(spec, annotations, out);
  validateTraffic(spec, out);
}

function validateType(spec: ServiceSpec, out: Causes): void {
  const { type } = spec;
  if (type !== 'ExternalName' && !isHeadless(spec)) required(spec.ports, 'spec.ports', out);
  if (type === 'LoadBalancer')
    for (const [i, p] of (spec.ports ?? []).entries())
      if (p.port === kubeletPort)
        out.push(
          causes.invalid(
            `spec.ports[${i}]`,
            p.port,
            `may not expose port ${kubeletPort} externally since it is used by kubelet`,
          ),
        );
  if ((type === 'LoadBalancer' || type === 'NodePort') && isHeadless(spec))
    out.push(causes.invalid('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${type} services`));
  if (type !== 'ExternalName') return;
  for (const field of ['clusterIPs', 'ipFamilies'] as const)
    if (spec[field]?.length) out.push(causes.forbidden(`spec.${field}`, 'may not be set for ExternalName services'));
  if (spec.ipFamilyPolicy)
    out.push(causes.forbidden('spec.ipFamilyPolicy', 'may not be set for ExternalName services'));
  const name = (spec.externalName ?? '').replace(/\.$/, '');
  if (required(name, 'spec.externalName', out)) dnsSubdomain(name, 'spec.externalName', out);
}

function validatePort(p: ServicePort, spec: ServiceSpec, names: Set<string>, at: string, out: Causes): void {
  if ((spec.ports?.length ?? 0) > 1 && !p.name) out.push(causes.required(`${at}.name`));
  else if (p.name) {
    dnsLabel(p.name, `${at}.name`, out);
    if (names.has(p.name)) out.push(causes.duplicate(`${at}.name`, p.name));
    names.add(p.name);
  }
  port(p.port, `${at}.port`, out);
  oneOf(p.protocol, ['SCTP', 'TCP', 'UDP'], `${at}.protocol`, out);
  if (p.targetPort !== undefined) portOrName(p.targetPort, `${at}.targetPort`, out);
  if (p.appProtocol !== undefined) qualifiedName(p.appProtocol, `${at}.appProtocol`, out);
}

function validateAffinity({ sessionAffinity, sessionAffinityConfig: config }: ServiceSpec, out: Causes): void {
  oneOf(sessionAffinity, ['ClientIP', 'None'], 'spec.sessionAffinity', out);
  const at = 'spec.sessionAffinityConfig';
  if (sessionAffinity !== 'ClientIP') return;
  const why = 'when session affinity type is ClientIP';
  const seconds = config?.clientIP?.timeoutSeconds;
  if (!config) out.push(causes.required(at, why));
  else if (!config.clientIP) out.push(causes.required(`${at}.clientIP`, why));
  else if (seconds === undefined) out.push(causes.required(`${at}.clientIP.timeoutSeconds`, why));
  else if (seconds <= 0 || seconds > maxAffinitySeconds)
    out.push(
      causes.invalid(
        `${at}.clientIP.timeoutSeconds`,
        seconds,
        `must be greater than 0 and less than ${maxAffinitySeconds}`,
      ),
    );
}

/** `clusterIP`, `clusterIPs`, `ipFamilies` and `ipFamilyPolicy` among each other; what this cluster has is for the allocator. */
export function validateClusterIPs(spec: ServiceSpec, out: Causes): void {
  if (!hasClusterIP(spec)) return;
  const ips = spec.clusterIPs ?? [];
  const at = 'spec.clusterIPs';
  if (spec.clusterIP) {
    if (ips.length === 0) out.push(causes.required(at));
    else if (ips[0] !== spec.clusterIP) out.push(causes.invalid(at, ips, 'first value must match `clusterIP`'));
  } else if (ips.length > 0) out.push(causes.invalid(at, ips, 'must be empty when `clusterIP` is not specified'));
  const families = spec.ipFamilies ?? [];
  for (const [i, family] of families.entries()) {
    optionalOneOf(family, ['IPv4', 'IPv6'], `spec.ipFamilies[${i}]`, out);
    if (families.indexOf(family) < i) out.push(causes.duplicate(`spec.ipFamilies[${i}]`, family));
  }
  const dualOrSingle = ['PreferDualStack', 'RequireDualStack', 'SingleStack'];
  optionalOneOf(spec.ipFamilyPolicy, dualOrSingle, 'spec.ipFamilyPolicy', out);
  const before = out.length;
  for (const [i, ip] of ips.entries()) {
    if (i > 0 || ip !== 'None') ipAddress(ip, `${at}[${i}]`, out);
    else if (ips.length > 1) out.push(causes.invalid(at, ips, "'None' must be the first and only value"));
  }
  const readable = out.length === before;
  if (ips.length > 2) out.push(causes.invalid(at, ips, 'may only hold up to 2 values'));
  if (!readable) return;
  if (ips.length > 1 && new Set(ips.map(isIP)).size !== ips.length)
    out.push(causes.invalid(at, ips, 'may specify no more than one IP for each IP family'));
  if (isHeadless(spec)) return;
  for (const [i, ip] of ips.entries())
    if (families[i] && families[i] !== `IPv${isIP(ip)}`)
      out.push(
        causes.invalid(`${at}[${i}]`, ip, `expected an ${families[i]} value as indicated by \`ipFamilies[${i}]\``),
      );
}

/** Ports and node ports stand for themselves: of one protocol each number once. */
function validateNumbers({ type, ports = [] }: ServiceSpec, out: Causes): void {
  if (type === 'ClusterIP')
    for (const [i, p] of ports.entries())
      if (p.nodePort)
        out.push(causes.forbidden(`spec.ports[${i}].nodePort`, "may not be used when `type` is 'ClusterIP'"));
  const same = (field: 'port' | 'nodePort', i: number) =>
    ports.slice(0, i).some((q) => q.protocol === ports[i]?.protocol && q[field] === ports[i]?.[field]);
  for (const [i, { nodePort }] of ports.entries())
    if (nodePort && same('nodePort', i)) out.push(causes.duplicate(`spec.ports[${i}].nodePort`, nodePort));
  for (const [i, p] of ports.entries())
    if (same('port', i)) out.push(causes.duplicate(`spec.ports[${i}]`, { port: p.port, protocol: p.protocol }));
}

function validateLoadBalancer(spec: ServiceSpec, annotations: Readonly<Record<string, string>>, out: Causes): void {
  const balanced = spec.type === 'LoadBalancer';
  const ranges = spec.loadBalancerSourceRanges ?? [];
  const annotated = annotations[sourceRanges];
  if (ranges.length > 0) {
    const at = 'spec.LoadBalancerSourceRanges';
    if (!balanced) out.push(causes.forbidden(at, onlyLoadBalancer));
    for (const [i, range] of ranges.entries()) cidr(range.trim(), `${at}[${i}]`, out);
  } else if (annotated !== undefined) {
    const at = `metadata.annotations[${sourceRanges}]`;
    if (!balanced) out.push(causes.forbidden(at, onlyLoadBalancer));
    const wrong: Causes = [];
    if (annotated.trim()) for (const range of annotated.split(',')) cidr(range.trim(), at, wrong);
    if (wrong.length > 0)
      out.push(causes.invalid(at, annotated, 'must be a list of IP ranges. For example, 10.240.0.0/24,10.250.0.0/24'));
  }
  if (!balanced && spec.allocateLoadBalancerNodePorts !== undefined)
    out.push(causes.forbidden('spec.allocateLoadBalancerNodePorts', onlyLoadBalancer));
  if (balanced && spec.allocateLoadBalancerNodePorts === undefined)
    out.push(causes.required('allocateLoadBalancerNodePorts'));
  if (spec.loadBalancerClass === undefined) return;
  if (balanced) qualifiedName(spec.loadBalancerClass, 'spec.loadBalancerClass', out);
  else out.push(causes.forbidden('spec.loadBalancerClass', onlyLoadBalancer));
}

function validateTraffic(spec: ServiceSpec, out: Causes): void {
  const external = spec.externalTrafficPolicy;
  if (isExternal(spec)) oneOf(external, policies, 'spec.externalTrafficPolicy', out);
  else if (external)
    out.push(
      causes.invalid('spec.externalTrafficPolicy', external, 'may only be set for externally-accessible services'),
    );
  const check = spec.healthCheckNodePort;
  if (!needsHealthCheck(spec)) {
    if (check)
      out.push(
        causes.invalid(
          'spec.healthCheckNodePort',
          check,
          "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        ),
      );
  } else if (required(check || undefined, 'spec.healthCheckNodePort', out))
    port(check, 'spec.healthCheckNodePort', out);
  if (hasClusterIP(spec)) oneOf(spec.internalTrafficPolicy, policies, 'spec.internalTrafficPolicy', out);
  else optionalOneOf(spec.internalTrafficPolicy, policies, 'spec.internalTrafficPolicy', out);
  const near = ['PreferClose', 'PreferSameNode', 'PreferSameZone'];
  optionalOneOf(spec.trafficDistribution, near, 'spec.trafficDistribution', out);
}

const fixed = 'may not change once set';

/** A second address or family may come and go; the first stays, unless the Service was or becomes a name of elsewhere. */
export function validateServiceChange(now: Service, old: Service, out: Causes): void {
  const a = now.spec ?? {};
  const b = old.spec ?? {};
  if (hasClusterIP(a) && hasClusterIP(b)) {
    if (!(isHeadless(a) && isHeadless(b)))
      listChange(a, b, 'clusterIPs', 'primary clusterIP can not be unset', 'secondary clusterIP', out);
    if (!isHeadless(a) && !isHeadless(b))
      listChange(a, b, 'ipFamilies', 'primary ipFamily can not be unset', 'secondary ipFamily', out);
  }
  const balanced = a.type === 'LoadBalancer' && b.type === 'LoadBalancer';
  if (balanced && !equalJson(a.loadBalancerClass, b.loadBalancerClass))
    out.push(causes.invalid('spec.loadBalancerClass', a.loadBalancerClass ?? null, fixed));
}

function listChange(
  a: ServiceSpec,
  b: ServiceSpec,
  field: 'clusterIPs' | 'ipFamilies',
  unset: string,
  second: string,
  out: Causes,
): void {
  const now: readonly string[] = a[field] ?? [];
  const old: readonly string[] = b[field] ?? [];
  if (now.length === old.length) {
    for (const [i, value] of old.entries())
      if (now[i] !== value) out.push(causes.invalid(`spec.${field}[${i}]`, now, fixed));
    return;
  }
  if (now.length === 0) out.push(causes.invalid(`spec.${field}[0]`, now, unset));
  else if (old.length > 0 && now[0] !== old[0]) out.push(causes.invalid(`spec.${field}[0]`, now, fixed));
  if (now.length === 1 && old.length > 1 && a.ipFamilyPolicy !== 'SingleStack')
    out.push(
      causes.invalid(
        'spec.ipFamilyPolicy',
        a.ipFamilyPolicy ?? null,
        `must be set to 'SingleStack' when releasing the ${second}`,
      ),
    );
}
