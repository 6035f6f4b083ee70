import {
  type Affinity,
  type Container,
  causes,
  type NodeSelectorTerm,
  type PodAffinityTerm,
  type PodSpec,
  type PodTemplateSpec,
  type Toleration,
} from '@trimtab/machinery';
import {
  type Causes,
  dnsLabel,
  dnsSubdomain,
  ipAddress,
  labels,
  nonNegative,
  oneOf,
  optionalOneOf,
  positive,
  qualifiedName,
  required,
  unique,
} from './checks.js';
import { validateContainer, validateProfile } from './container-validation.js';
import { validateLabelSelector } from './selector-validation.js';
import { validateVolumes } from './volume-validation.js';

/** The spec of a pod, or of a pod template (kubernetes: core/validation ValidatePodSpec); causes in field order. */
export function validatePodSpec(spec: PodSpec, at: string, out: Causes): void {
  const volumes = validateVolumes(spec.volumes, `${at}.volumes`, out);
  validateContainers(spec, volumes, at, out);
  oneOf(spec.restartPolicy, ['Always', 'Never', 'OnFailure'], `${at}.restartPolicy`, out);
  oneOf(spec.dnsPolicy, ['ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None'], `${at}.dnsPolicy`, out);
  if (spec.dnsPolicy === 'None' && !spec.dnsConfig?.nameservers?.length)
    out.push(
      causes.required(
        `${at}.dnsConfig.nameservers`,
        'must provide at least one DNS nameserver when `dnsPolicy` is None',
      ),
    );
  for (const [i, server] of (spec.dnsConfig?.nameservers ?? []).entries())
    ipAddress(server, `${at}.dnsConfig.nameservers[${i}]`, out);
  labels(spec.nodeSelector, `${at}.nodeSelector`, out);
  if (spec.serviceAccountName) dnsSubdomain(spec.serviceAccountName, `${at}.serviceAccountName`, out);
  if (spec.nodeName) dnsSubdomain(spec.nodeName, `${at}.nodeName`, out);
  if (spec.activeDeadlineSeconds !== undefined && spec.activeDeadlineSeconds < 1)
    out.push(
      causes.invalid(
        `${at}.activeDeadlineSeconds`,
        spec.activeDeadlineSeconds,
        'must be between 1 and 2147483647, inclusive',
      ),
    );
  nonNegative(spec.terminationGracePeriodSeconds, `${at}.terminationGracePeriodSeconds`, out);
  if (spec.hostname) dnsLabel(spec.hostname, `${at}.hostname`, out);
  if (spec.subdomain) dnsLabel(spec.subdomain, `${at}.subdomain`, out);
  if (spec.priorityClassName) dnsSubdomain(spec.priorityClassName, `${at}.priorityClassName`, out);
  if (spec.runtimeClassName) dnsSubdomain(spec.runtimeClassName, `${at}.runtimeClassName`, out);
  for (const [i, alias] of (spec.hostAliases ?? []).entries()) {
    ipAddress(alias.ip, `${at}.hostAliases[${i}].ip`, out);
    for (const name of alias.hostnames ?? []) dnsSubdomain(name, `${at}.hostAliases[${i}].hostnames`, out);
  }
  for (const [i, toleration] of (spec.tolerations ?? []).entries())
    validateToleration(toleration, `${at}.tolerations[${i}]`, out);
  validateAffinity(spec.affinity, `${at}.affinity`, out);
  validateSpread(spec, at, out);
  const security = spec.securityContext;
  nonNegative(security?.runAsUser, `${at}.securityContext.runAsUser`, out);
  nonNegative(security?.runAsGroup, `${at}.securityContext.runAsGroup`, out);
  nonNegative(security?.fsGroup, `${at}.securityContext.fsGroup`, out);
  validateProfile(security?.seccompProfile, `${at}.securityContext.seccompProfile`, out);
  if (spec.shareProcessNamespace && spec.hostPID)
    out.push(
      causes.invalid(
        `${at}.securityContext.shareProcessNamespace`,
        true,
        'ShareProcessNamespace and HostPID cannot both be enabled',
      ),
    );
}

function validateContainers(spec: PodSpec, volumes: ReadonlySet<string>, at: string, out: Causes): void {
  if (!spec.containers?.length) out.push(causes.required(`${at}.containers`));
  const all: { readonly container: Container; readonly path: string }[] = [
    ...(spec.containers ?? []).map((container, i) => ({ container, path: `${at}.containers[${i}]` })),
    ...(spec.initContainers ?? []).map((container, i) => ({ container, path: `${at}.initContainers[${i}]` })),
    ...(spec.ephemeralContainers ?? []).map((container, i) => ({ container, path: `${at}.ephemeralContainers[${i}]` })),
  ];
  for (const { container, path } of all) {
    validateContainer(container, volumes, path, out);
    const init = path.startsWith(`${at}.initContainers`);
    if (init) optionalOneOf(container.restartPolicy, ['Always'], `${path}.restartPolicy`, out);
    else if (container.restartPolicy !== undefined)
      out.push(causes.forbidden(`${path}.restartPolicy`, 'may not be set for non-init containers'));
    if (init && container.restartPolicy !== 'Always')
      for (const field of ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const)
        if (container[field])
          out.push(
            causes.forbidden(`${path}.${field}`, 'may not be set for init containers without restartPolicy=Always'),
          );
  }
  unique(
    all,
    ({ container }) => container.name,
    (i) => `${all[i]?.path}.name`,
    out,
  );
  const ports = all.flatMap(({ container, path }) =>
    (container.ports ?? []).map((p, i) => ({ p, path: `${path}.ports[${i}]` })),
  );
  const seen = new Set<string>();
  for (const { p, path } of ports) {
    if (!p.hostPort) continue;
    const key = `${p.protocol}/${p.hostIP ?? ''}/${p.hostPort}`;
    if (seen.has(key)) out.push(causes.duplicate(`${path}.hostPort`, key));
    seen.add(key);
    if (spec.hostNetwork && p.hostPort !== p.containerPort)
      out.push(
        causes.invalid(`${path}.containerPort`, p.containerPort, 'must match `hostPort` when `hostNetwork` is true'),
      );
  }
}

export function validateToleration(toleration: Toleration, at: string, out: Causes): void {
  const { key, operator = 'Equal', value, effect, tolerationSeconds } = toleration;
  if (key) qualifiedName(key, `${at}.key`, out);
  else if (operator !== 'Exists')
    out.push(
      causes.invalid(
        `${at}.operator`,
        operator,
        'operator must be Exists when `key` is empty, which means "match all values and all keys"',
      ),
    );
  if (operator === 'Exists' && value)
    out.push(causes.invalid(`${at}.operator`, toleration, "value must be empty when `operator` is 'Exists'"));
  optionalOneOf(toleration.operator || undefined, ['Equal', 'Exists'], `${at}.operator`, out);
  optionalOneOf(effect || undefined, ['NoExecute', 'NoSchedule', 'PreferNoSchedule'], `${at}.effect`, out);
  if (tolerationSeconds !== undefined && effect !== 'NoExecute')
    out.push(
      causes.invalid(`${at}.effect`, effect ?? '', "effect must be 'NoExecute' when `tolerationSeconds` is set"),
    );
}

function validateAffinity(affinity: Affinity | undefined, at: string, out: Causes): void {
  const node = affinity?.nodeAffinity;
  const must = node?.requiredDuringSchedulingIgnoredDuringExecution;
  const requiredPath = 'requiredDuringSchedulingIgnoredDuringExecution';
  const preferredPath = 'preferredDuringSchedulingIgnoredDuringExecution';
  if (must) {
    const path = `${at}.nodeAffinity.${requiredPath}.nodeSelectorTerms`;
    if (!must.nodeSelectorTerms?.length) out.push(causes.required(path, 'must have at least one node selector term'));
    for (const [i, term] of (must.nodeSelectorTerms ?? []).entries()) validateNodeTerm(term, `${path}[${i}]`, out);
  }
  for (const [i, { weight, preference }] of (node?.preferredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
    const path = `${at}.nodeAffinity.${preferredPath}[${i}]`;
    validateWeight(weight, `${path}.weight`, out);
    validateNodeTerm(preference, `${path}.preference`, out);
  }
  for (const kind of ['podAffinity', 'podAntiAffinity'] as const) {
    for (const [i, term] of (affinity?.[kind]?.requiredDuringSchedulingIgnoredDuringExecution ?? []).entries())
      validatePodTerm(term, `${at}.${kind}.${requiredPath}[${i}]`, out);
    for (const [i, { weight, podAffinityTerm }] of (
      affinity?.[kind]?.preferredDuringSchedulingIgnoredDuringExecution ?? []
    ).entries()) {
      const path = `${at}.${kind}.${preferredPath}[${i}]`;
      validateWeight(weight, `${path}.weight`, out);
      validatePodTerm(podAffinityTerm, `${path}.podAffinityTerm`, out);
    }
  }
}

function validateWeight(weight: number, at: string, out: Causes): void {
  if (weight < 1 || weight > 100) out.push(causes.invalid(at, weight, 'must be in the range 1-100'));
}

function validateNodeTerm(term: NodeSelectorTerm, at: string, out: Causes): void {
  for (const [i, { key, operator, values }] of (term.matchExpressions ?? []).entries()) {
    const path = `${at}.matchExpressions[${i}]`;
    const count = values?.length ?? 0;
    switch (operator) {
      case 'In':
      case 'NotIn':
        if (count === 0)
          out.push(causes.required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
        break;
      case 'Exists':
      case 'DoesNotExist':
        if (count > 0)
          out.push(
            causes.forbidden(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
          );
        break;
      case 'Gt':
      case 'Lt':
        if (count !== 1)
          out.push(causes.required(`${path}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'"));
        break;
      default:
        out.push(causes.invalid(`${path}.operator`, operator, 'not a valid selector operator'));
    }
    qualifiedName(key, `${path}.key`, out);
  }
}

function validatePodTerm(term: PodAffinityTerm, at: string, out: Causes): void {
  validateLabelSelector(term.labelSelector, `${at}.labelSelector`, out);
  validateLabelSelector(term.namespaceSelector, `${at}.namespaceSelector`, out);
  if (required(term.topologyKey, `${at}.topologyKey`, out, 'can not be empty'))
    qualifiedName(term.topologyKey, `${at}.topologyKey`, out);
}

function validateSpread(spec: PodSpec, at: string, out: Causes): void {
  for (const [i, c] of (spec.topologySpreadConstraints ?? []).entries()) {
    const path = `${at}.topologySpreadConstraints[${i}]`;
    positive(c.maxSkew, `${path}.maxSkew`, out);
    required(c.topologyKey, `${path}.topologyKey`, out, 'can not be empty');
    oneOf(c.whenUnsatisfiable, ['DoNotSchedule', 'ScheduleAnyway'], `${path}.whenUnsatisfiable`, out);
    validateLabelSelector(c.labelSelector, `${path}.labelSelector`, out);
  }
}

/** The template of a workload. `restartPolicies`: those the workload can work with. */
export function validatePodTemplate(
  template: PodTemplateSpec | undefined,
  restartPolicies: readonly string[],
  at: string,
  out: Causes,
): void {
  labels(template?.metadata?.labels, `${at}.labels`, out);
  for (const key of Object.keys(template?.metadata?.annotations ?? {}))
    qualifiedName(key.toLowerCase(), `${at}.annotations`, out);
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
