import {
  type APIService,
  type ClusterRole,
  type ControllerRevision,
  causes,
  equalJson,
  type Lease,
  type LeaseCandidate,
  type Namespace,
  type Node,
  type PodTemplate,
  type PriorityClass,
  type Role,
  type RoleBinding,
  type RuntimeClass,
} from '@trimtab/machinery';
import { labelValueProblems } from '../names.js';
import {
  type Causes,
  cidr,
  dnsLabel,
  dnsSubdomain,
  immutable,
  inRange,
  labels,
  nonNegative,
  oneOf,
  optionalOneOf,
  pathSegment,
  positive,
  qualifiedName,
  required,
} from './checks.js';
import { validateResources } from './container-validation.js';
import { validatePodTemplate } from './pod-validation.js';
import { validateToleration } from './scheduling-validation.js';
import { validateLabelSelector } from './selector-validation.js';
import type { KindRules } from './typed.js';

const nameLabel = 'kubernetes.io/metadata.name';

export const namespace: KindRules<Namespace> = {
  /** Every namespace carries its name as a label, so that selectors can name it (KEP-2161). */
  default(object) {
    const { name, labels } = object.metadata;
    if (!name || labels?.[nameLabel] === name) return object;
    return { ...object, metadata: { ...object.metadata, labels: { ...labels, [nameLabel]: name } } };
  },
  prepareForCreate: (object) => ({
    ...object,
    spec: { ...object.spec, finalizers: [...new Set([...(object.spec?.finalizers ?? []), 'kubernetes'])] },
    status: { phase: 'Active' },
  }),
  /** The finalizers in the spec go only through `/finalize`. */
  prepareForUpdate: (object, old, subresource) => (subresource === 'finalize' ? object : { ...object, spec: old.spec }),
};

export const node: KindRules<Node> = {
  validate({ spec }, out) {
    for (const [i, taint] of (spec?.taints ?? []).entries()) {
      const at = `spec.taints[${i}]`;
      qualifiedName(taint.key, `${at}.key`, out);
      const problems = labelValueProblems(taint.value ?? '');
      if (problems.length > 0) out.push(causes.invalid(`${at}.value`, taint.value, problems.join(';')));
      oneOf(taint.effect, ['NoExecute', 'NoSchedule', 'PreferNoSchedule'], `${at}.effect`, out);
      const twin = (spec?.taints ?? []).findIndex((t) => t.key === taint.key && t.effect === taint.effect);
      if (twin < i)
        out.push({
          ...causes.duplicate(at, taint),
          message: `Duplicate value: ${JSON.stringify(taint)}: taints must be unique by key and effect pair`,
        });
    }
    const ranges = spec?.podCIDRs ?? [];
    for (const [i, range] of ranges.entries()) cidr(range, `spec.podCIDRs[${i}]`, out);
    const families = new Set(ranges.map((range) => range.includes(':')));
    if (ranges.length > 1 && families.size !== ranges.length)
      out.push(causes.invalid('spec.podCIDRs', ranges, 'may specify no more than one CIDR for each IP family'));
  },
  validateChange(now, old, out) {
    const fixed = (field: 'podCIDRs' | 'providerID', shown: string) => {
      if (old.spec?.[field]?.length && !equalJson(now.spec?.[field], old.spec[field]))
        out.push(causes.forbidden(`spec.${field}`, `node updates may not change ${shown} except from "" to valid`));
    };
    fixed('podCIDRs', 'podCIDR');
    fixed('providerID', 'providerID');
  },
};

interface Rule {
  readonly verbs?: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

function validateRules(rules: readonly Rule[] | undefined, namespaced: boolean, out: Causes): void {
  for (const [i, rule] of (rules ?? []).entries()) {
    const at = `rules[${i}]`;
    required(rule.verbs, `${at}.verbs`, out, 'verbs must contain at least one value');
    if (rule.nonResourceURLs?.length) {
      if (namespaced)
        out.push(
          causes.invalid(
            `${at}.nonResourceURLs`,
            rule.nonResourceURLs,
            'namespaced rules cannot apply to non-resource URLs',
          ),
        );
      if (rule.apiGroups?.length || rule.resources?.length)
        out.push(
          causes.invalid(
            `${at}.nonResourceURLs`,
            rule.nonResourceURLs,
            'rules cannot apply to both regular resources and non-resource URLs',
          ),
        );
      continue;
    }
    required(rule.apiGroups, `${at}.apiGroups`, out, 'resource rules must supply at least one api group');
    required(rule.resources, `${at}.resources`, out, 'resource rules must supply at least one resource');
  }
}

export const role: KindRules<Role> = { validate: ({ rules }, out) => validateRules(rules, true, out) };

export const clusterRole: KindRules<ClusterRole> = {
  validate({ rules, aggregationRule }, out) {
    validateRules(rules, false, out);
    if (!aggregationRule) return;
    const at = 'aggregationRule.clusterRoleSelectors';
    required(
      aggregationRule.clusterRoleSelectors,
      at,
      out,
      'at least one clusterRoleSelector required if aggregationRule is non-nil',
    );
    for (const [i, selector] of (aggregationRule.clusterRoleSelectors ?? []).entries())
      validateLabelSelector(selector, `${at}[${i}]`, out);
  },
};

const rbacGroup = 'rbac.authorization.k8s.io';

/** A RoleBinding names a Role of its namespace or a ClusterRole, a ClusterRoleBinding only a ClusterRole. */
export function binding(roleKinds: readonly string[]): KindRules<RoleBinding> {
  return {
    validate({ roleRef, subjects }, out) {
      optionalOneOf(roleRef.apiGroup, [rbacGroup], 'roleRef.apiGroup', out);
      oneOf(roleRef.kind, roleKinds, 'roleRef.kind', out);
      if (required(roleRef.name, 'roleRef.name', out)) pathSegment(roleRef.name, 'roleRef.name', out);
      for (const [i, subject] of (subjects ?? []).entries()) {
        const at = `subjects[${i}]`;
        const named = required(subject.name, `${at}.name`, out);
        if (subject.kind === 'ServiceAccount') {
          if (named) dnsSubdomain(subject.name, `${at}.name`, out);
          if (subject.apiGroup) out.push(causes.notSupported(`${at}.apiGroup`, subject.apiGroup, ['']));
          required(subject.namespace, `${at}.namespace`, out);
        } else if (subject.kind === 'User' || subject.kind === 'Group') {
          if (subject.apiGroup !== rbacGroup)
            out.push(causes.notSupported(`${at}.apiGroup`, subject.apiGroup ?? '', [rbacGroup]));
        } else out.push(causes.notSupported(`${at}.kind`, subject.kind, ['ServiceAccount', 'User', 'Group']));
      }
    },
    validateChange: (now, old, out) =>
      void immutable(now.roleRef, old.roleRef, equalJson, 'roleRef', out, 'cannot change roleRef'),
  };
}

const maxUserPriority = 1_000_000_000;

export const priorityClass: KindRules<PriorityClass> = {
  validate({ value, metadata, preemptionPolicy }, out) {
    const system = metadata.name === 'system-cluster-critical' || metadata.name === 'system-node-critical';
    if (metadata.name?.startsWith('system-') && !system)
      out.push(
        causes.forbidden(
          'metadata.name',
          "priority class names with 'system-' prefix are reserved for system use only",
        ),
      );
    if ((value ?? 0) > maxUserPriority && !system)
      out.push(causes.forbidden('value', `maximum allowed value of a user defined priority is ${maxUserPriority}`));
    optionalOneOf(preemptionPolicy, ['Never', 'PreemptLowerPriority'], 'preemptionPolicy', out);
  },
  validateChange(now, old, out) {
    if (now.value !== old.value) out.push(causes.forbidden('value', 'may not be changed in an update.'));
    immutable(now.preemptionPolicy, old.preemptionPolicy, equalJson, 'preemptionPolicy', out);
  },
};

export const runtimeClass: KindRules<RuntimeClass> = {
  validate({ handler, overhead, scheduling }, out) {
    dnsLabel(handler ?? '', 'handler', out);
    if (overhead) validateResources({ limits: overhead.podFixed }, 'overhead.podFixed', out);
    labels(scheduling?.nodeSelector, 'scheduling.nodeSelector', out);
    for (const [i, toleration] of (scheduling?.tolerations ?? []).entries())
      validateToleration(toleration, `scheduling.tolerations[${i}]`, out);
  },
  validateChange: (now, old, out) => void immutable(now.handler, old.handler, equalJson, 'handler', out),
};

export const controllerRevision: KindRules<ControllerRevision> = {
  validate({ data, revision }, out) {
    if (data === undefined || data === null) out.push(causes.required('data', 'data is mandatory'));
    nonNegative(revision, 'revision', out);
  },
  validateChange: (now, old, out) => void immutable(now.data, old.data, equalJson, 'data', out),
};

export const podTemplate: KindRules<PodTemplate> = {
  validate: ({ template }, out) => validatePodTemplate(template, ['Always', 'Never', 'OnFailure'], 'template', out),
};

export const apiService: KindRules<APIService> = {
  prepareForCreate: (object) => ({ ...object, status: {} }),
  validate({ metadata, spec }, out) {
    const name = `${spec?.version ?? ''}.${spec?.group ?? ''}`;
    if (metadata.name !== name)
      out.push(causes.invalid('metadata.name', metadata.name, `must be \`spec.version+"."+spec.group\`: "${name}"`));
    if (spec?.group) dnsSubdomain(spec.group, 'spec.group', out);
    if (required(spec?.version, 'spec.version', out)) dnsLabel(spec?.version ?? '', 'spec.version', out);
    inRange(spec?.groupPriorityMinimum ?? 0, 1, 20_000, 'spec.groupPriorityMinimum', out);
    inRange(spec?.versionPriority ?? 0, 1, 1000, 'spec.versionPriority', out);
    if (!spec?.service) {
      if (spec?.caBundle)
        out.push(
          causes.invalid('spec.caBundle', `${spec.caBundle.length} bytes`, 'local APIServices may not have a caBundle'),
        );
      if (spec?.insecureSkipTLSVerify)
        out.push(
          causes.invalid('spec.insecureSkipTLSVerify', true, 'local APIServices may not have insecureSkipTLSVerify'),
        );
      return;
    }
    required(spec.service.namespace, 'spec.service.namespace', out);
    required(spec.service.name, 'spec.service.name', out);
    inRange(spec.service.port, 1, 65535, 'spec.service.port', out);
    if (spec.insecureSkipTLSVerify && spec.caBundle)
      out.push(causes.invalid('spec.insecureSkipTLSVerify', true, 'may not be true if caBundle is present'));
  },
};

/** A Lease, of which coordinated leader election names who should have it next (KEP-4355). */
export const lease: KindRules<Lease> = {
  validate({ spec }, out) {
    positive(spec?.leaseDurationSeconds, 'spec.leaseDurationSeconds', out);
    nonNegative(spec?.leaseTransitions, 'spec.leaseTransitions', out);
    if (spec?.holderIdentity === '') out.push(causes.invalid('spec.holderIdentity', '', 'must not be empty'));
    if (spec?.strategy) electionStrategy(spec.strategy, 'spec.strategy', out);
    if (spec?.preferredHolder && !spec.strategy)
      out.push(causes.forbidden('spec.preferredHolder', 'may only be specified if `strategy` is defined'));
  },
};

function electionStrategy(strategy: string, at: string, out: Causes): void {
  if (!strategy.includes('/')) oneOf(strategy, ['OldestEmulationVersion'], at, out);
  else qualifiedName(strategy, at, out);
}

/** One who could have a Lease (KEP-4355). */
export const leaseCandidate: KindRules<LeaseCandidate> = {
  validate({ spec }, out) {
    required(spec?.leaseName, 'spec.leaseName', out);
    if (required(spec?.strategy, 'spec.strategy', out)) electionStrategy(spec?.strategy ?? '', 'spec.strategy', out);
    const version = /^\d+\.\d+(\.\d+)?([-+].*)?$/;
    const binary = spec?.binaryVersion;
    if (required(binary, 'spec.binaryVersion', out) && !version.test(binary ?? ''))
      out.push(causes.invalid('spec.binaryVersion', binary, 'must be a semantic version'));
    const emulated = spec?.emulationVersion;
    if (emulated && !version.test(emulated))
      out.push(causes.invalid('spec.emulationVersion', emulated, 'must be a semantic version'));
    else if (spec?.strategy === 'OldestEmulationVersion')
      required(emulated, 'spec.emulationVersion', out, "must be specified when `strategy` is 'OldestEmulationVersion'");
  },
  validateChange: (now, old, out) =>
    void immutable(now.spec?.leaseName, old.spec?.leaseName, equalJson, 'spec.leaseName', out),
};
