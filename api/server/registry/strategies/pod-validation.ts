import { type Container, causes, type PodSpec, type PodTemplateSpec } from '@trimtab/machinery';
import {
  type Causes,
  dnsLabel,
  dnsSubdomain,
  inRange,
  ipAddress,
  labels,
  nonNegative,
  oneOf,
  optionalOneOf,
  qualifiedName,
  required,
  templateMetadata,
} from './checks.js';
import { type ContainerScope, validateContainer, validateResources } from './container-validation.js';
import { validateHandlers } from './probe-validation.js';
import { validateAffinity, validateSpread, validateToleration } from './scheduling-validation.js';
import { validateOs, validatePodSecurity } from './security-validation.js';
import { validateVolumes } from './volume-validation.js';

/** The spec of a pod, or of a pod template (kubernetes: core/validation ValidatePodSpec); causes in upstream's order. */
export function validatePodSpec(spec: PodSpec, at: string, out: Causes, podName = ''): void {
  const volumes = validateVolumes(spec.volumes, `${at}.volumes`, out, podName);
  const claims = validateClaims(spec, `${at}.resourceClaims`, out);
  validateContainers(spec, { volumes, claims, hostUsers: spec.hostUsers !== false }, at, out);
  oneOf(spec.restartPolicy, ['Always', 'Never', 'OnFailure'], `${at}.restartPolicy`, out);
  oneOf(spec.dnsPolicy, ['ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None'], `${at}.dnsPolicy`, out);
  labels(spec.nodeSelector, `${at}.nodeSelector`, out);
  validatePodSecurity(spec, at, out);
  validateAffinity(spec.affinity, `${at}.affinity`, out);
  validateDns(spec, `${at}.dnsConfig`, out);
  for (const [i, gate] of (spec.readinessGates ?? []).entries())
    qualifiedName(gate.conditionType, `${at}.readinessGates[${i}].conditionType`, out);
  validateSchedulingGates(spec, `${at}.schedulingGates`, out);
  validateSpread(spec.topologySpreadConstraints, `${at}.topologySpreadConstraints`, out);
  validateHostUsers(spec, at, out);
  for (const field of ['serviceAccountName', 'nodeName'] as const)
    if (spec[field]) dnsSubdomain(spec[field], `${at}.${field}`, out);
  inRange(spec.activeDeadlineSeconds, 1, 2147483647, `${at}.activeDeadlineSeconds`, out);
  for (const field of ['hostname', 'subdomain'] as const) if (spec[field]) dnsLabel(spec[field], `${at}.${field}`, out);
  for (const [i, toleration] of (spec.tolerations ?? []).entries())
    validateToleration(toleration, `${at}.tolerations[${i}]`, out);
  for (const [i, alias] of (spec.hostAliases ?? []).entries()) {
    ipAddress(alias.ip, `${at}.hostAliases[${i}].ip`, out);
    for (const name of alias.hostnames ?? []) dnsSubdomain(name, `${at}.hostAliases[${i}].hostnames`, out);
  }
  for (const field of ['priorityClassName', 'runtimeClassName'] as const)
    if (spec[field]) dnsSubdomain(spec[field], `${at}.${field}`, out);
  nonNegative(spec.terminationGracePeriodSeconds, `${at}.terminationGracePeriodSeconds`, out);
  optionalOneOf(spec.preemptionPolicy, ['Never', 'PreemptLowerPriority'], `${at}.preemptionPolicy`, out);
  if (spec.overhead) validateResources({ limits: spec.overhead }, `${at}.overhead`, out);
  validateOs(spec, at, out);
}

/** Gives the names of the pod's resource claims. */
function validateClaims(spec: PodSpec, at: string, out: Causes): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [i, claim] of (spec.resourceClaims ?? []).entries()) {
    const path = `${at}[${i}]`;
    if (names.has(claim.name)) out.push(causes.duplicate(`${path}.name`, claim.name));
    if (required(claim.name, `${path}.name`, out)) dnsLabel(claim.name, `${path}.name`, out);
    names.add(claim.name);
    if (claim.resourceClaimName && claim.resourceClaimTemplateName)
      out.push(
        causes.invalid(
          path,
          claim,
          'at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified',
        ),
      );
    if (!claim.resourceClaimName && !claim.resourceClaimTemplateName)
      out.push(causes.invalid(path, claim, 'must specify one of: `resourceClaimName`, `resourceClaimTemplateName`'));
    for (const field of ['resourceClaimName', 'resourceClaimTemplateName'] as const)
      if (claim[field]) dnsSubdomain(claim[field], `${path}.${field}`, out);
  }
  return names;
}

function validateContainers(spec: PodSpec, scope: ContainerScope, at: string, out: Causes): void {
  if (!spec.containers?.length) out.push(causes.required(`${at}.containers`));
  const names = new Set<string>();
  const grace = spec.terminationGracePeriodSeconds;
  const each = (container: Container, path: string) => {
    validateContainer(container, scope, path, out);
    if (names.has(container.name)) out.push(causes.duplicate(`${path}.name`, container.name));
    names.add(container.name);
  };
  for (const [i, container] of (spec.containers ?? []).entries()) {
    const path = `${at}.containers[${i}]`;
    each(container, path);
    validateHandlers(container, path, out, grace);
    validateRestart(container, path, out);
  }
  validateHostPorts(spec.containers, `${at}.containers`, out);
  for (const [i, container] of (spec.initContainers ?? []).entries()) {
    const path = `${at}.initContainers[${i}]`;
    each(container, path);
    validateRestart(container, path, out);
    if (container.restartPolicy === 'Always') validateHandlers(container, path, out, grace);
    else
      for (const field of ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const)
        if (container[field] !== undefined)
          out.push(
            causes.forbidden(`${path}.${field}`, 'may not be set for init containers without restartPolicy=Always'),
          );
    validateHostPorts([container], `${at}.initContainers`, out, i);
  }
  const targets = new Set([...(spec.containers ?? []), ...(spec.initContainers ?? [])].map((c) => c.name));
  for (const [i, container] of (spec.ephemeralContainers ?? []).entries()) {
    const path = `${at}.ephemeralContainers[${i}]`;
    each(container, path);
    if (container.targetContainerName && !targets.has(container.targetContainerName))
      out.push(causes.notFound(`${path}.targetContainerName`, container.targetContainerName));
    for (const field of notEphemeral)
      if (container[field] !== undefined && !isEmpty(container[field]))
        out.push(causes.forbidden(`${path}.${field}`, 'cannot be set for an Ephemeral Container'));
    for (const [j, mount] of (container.volumeMounts ?? []).entries())
      for (const field of ['subPath', 'subPathExpr'] as const)
        if (mount[field])
          out.push(causes.forbidden(`${path}.volumeMounts[${j}].${field}`, 'cannot be set for an Ephemeral Container'));
  }
  if (spec.hostNetwork)
    for (const list of ['containers', 'initContainers'] as const)
      for (const [i, container] of (spec[list] ?? []).entries())
        for (const [j, p] of (container.ports ?? []).entries())
          if (p.hostPort !== p.containerPort)
            out.push(
              causes.invalid(
                `${at}.${list}[${i}].ports[${j}].hostPort`,
                p.hostPort ?? 0,
                'must match `containerPort` when `hostNetwork` is true',
              ),
            );
}

const notEphemeral = [
  'ports',
  'livenessProbe',
  'readinessProbe',
  'startupProbe',
  'lifecycle',
  'resources',
  'resizePolicy',
  'restartPolicy',
] as const;

const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0;

/** One port of the node can be had by one container only. */
function validateHostPorts(containers: readonly Container[] | undefined, at: string, out: Causes, first = 0): void {
  const seen = new Set<string>();
  for (const [i, container] of (containers ?? []).entries())
    for (const [j, p] of (container.ports ?? []).entries()) {
      if (!p.hostPort) continue;
      const key = `${p.protocol}/${p.hostIP ?? ''}/${p.hostPort}`;
      if (seen.has(key)) out.push(causes.duplicate(`${at}[${first + i}].ports[${j}].hostPort`, key));
      seen.add(key);
    }
}

function validateDns({ dnsPolicy, dnsConfig }: PodSpec, at: string, out: Causes): void {
  const { nameservers = [], searches = [], options = [] } = dnsConfig ?? {};
  if (dnsPolicy === 'None') {
    if (!dnsConfig) out.push(causes.required(at, 'must provide `dnsConfig` when `dnsPolicy` is None'));
    else if (nameservers.length === 0)
      out.push(
        causes.required(`${at}.nameservers`, 'must provide at least one DNS nameserver when `dnsPolicy` is None'),
      );
  }
  if (nameservers.length > 3)
    out.push(causes.invalid(`${at}.nameservers`, nameservers, 'must not have more than 3 nameservers'));
  for (const [i, server] of nameservers.entries()) ipAddress(server, `${at}.nameservers[${i}]`, out);
  if (searches.length > 32)
    out.push(causes.invalid(`${at}.searches`, searches, 'must not have more than 32 search paths'));
  if (searches.join(' ').length > 2048)
    out.push(
      causes.invalid(
        `${at}.searches`,
        searches,
        'must not have more than 2048 characters (including spaces) in the search list',
      ),
    );
  for (const [i, search] of searches.entries())
    if (search !== '.') dnsSubdomain(search.replace(/\.$/, '').replace(/^_/, ''), `${at}.searches[${i}]`, out);
  for (const [i, option] of options.entries())
    if (!option.name) out.push(causes.required(`${at}.options[${i}]`, 'must not be empty'));
}

function validateSchedulingGates({ schedulingGates }: PodSpec, at: string, out: Causes): void {
  const seen = new Set<string>();
  for (const [i, { name }] of (schedulingGates ?? []).entries()) {
    qualifiedName(name, `${at}[${i}]`, out);
    if (seen.has(name)) out.push(causes.duplicate(`${at}[${i}]`, name));
    seen.add(name);
  }
}

const RESTART_ACTIONS = ['Restart', 'RestartAllContainers'];
const MOST_RULES = 20;
const MOST_EXIT_CODES = 255;

/** A container's own restart policy and the rules before it (KEP-5307, KEP-5532). */
function validateRestart({ restartPolicy, restartPolicyRules: rules = [] }: Container, at: string, out: Causes): void {
  optionalOneOf(restartPolicy, ['Always', 'Never', 'OnFailure'], `${at}.restartPolicy`, out);
  if (rules.length === 0) return;
  if (restartPolicy === undefined)
    out.push(causes.required(`${at}.restartPolicy`, 'must specify restartPolicy when restart rules are used'));
  if (rules.length > MOST_RULES) out.push(causes.tooMany(`${at}.restartPolicyRules`, rules.length, MOST_RULES));
  for (const [i, { action, exitCodes }] of rules.entries()) {
    const path = `${at}.restartPolicyRules[${i}]`;
    optionalOneOf(action, RESTART_ACTIONS, `${path}.action`, out);
    if (!exitCodes) {
      out.push(causes.required(`${path}.exitCodes`, 'must be specified'));
      continue;
    }
    optionalOneOf(exitCodes.operator, ['In', 'NotIn'], `${path}.exitCodes.operator`, out);
    const count = exitCodes.values?.length ?? 0;
    if (count === 0)
      out.push(causes.invalid(`${path}.exitCodes.values`, exitCodes.values ?? null, 'must not be empty'));
    if (count > MOST_EXIT_CODES) out.push(causes.tooMany(`${path}.exitCodes.values`, count, MOST_EXIT_CODES));
  }
}

function validateHostUsers(spec: PodSpec, at: string, out: Causes): void {
  if (spec.hostUsers !== false) return;
  for (const field of ['hostNetwork', 'hostPID', 'hostIPC'] as const)
    if (spec[field]) out.push(causes.forbidden(`${at}.${field}`, 'when `hostUsers` is false'));
}

/** The template of a workload. `restartPolicies`: those the workload can work with. */
export function validatePodTemplate(
  template: PodTemplateSpec | undefined,
  restartPolicies: readonly string[],
  at: string,
  out: Causes,
): void {
  templateMetadata(template?.metadata, at, out);
  const spec = template?.spec;
  if (!spec) {
    out.push(causes.required(`${at}.spec.containers`));
    return;
  }
  validatePodSpec(spec, `${at}.spec`, out);
  if (spec.ephemeralContainers?.length)
    out.push(causes.forbidden(`${at}.spec.ephemeralContainers`, 'ephemeral containers not allowed in pod template'));
  if (spec.restartPolicy && !restartPolicies.includes(spec.restartPolicy))
    out.push(causes.notSupported(`${at}.spec.restartPolicy`, spec.restartPolicy, restartPolicies));
}
