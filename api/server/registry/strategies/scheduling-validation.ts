import {
  type Affinity,
  causes,
  type NodeSelectorTerm,
  type PodAffinityTerm,
  type PodSpec,
  type Toleration,
} from '@trimtab/machinery';
import { labelValueProblems } from '../names.js';
import { type Causes, dnsLabel, optionalOneOf, qualifiedName, required } from './checks.js';
import { validateLabelSelector } from './selector-validation.js';

/** What a pod asks of the node it runs on (kubernetes: core/validation, affinity, tolerations and spreading). */

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

export function validateAffinity(affinity: Affinity | undefined, at: string, out: Causes): void {
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

export function validateNodeTerm(term: NodeSelectorTerm, at: string, out: Causes): void {
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
    for (const [v, value] of (values ?? []).entries())
      for (const problem of labelValueProblems(value)) out.push(causes.invalid(`${path}.values[${v}]`, value, problem));
  }
  for (const [i, { key, operator, values }] of (term.matchFields ?? []).entries()) {
    const path = `${at}.matchFields[${i}]`;
    if (operator !== 'In' && operator !== 'NotIn')
      out.push(causes.invalid(`${path}.operator`, operator, 'not a valid selector operator'));
    else if (values?.length !== 1)
      out.push(
        causes.required(
          `${path}.values`,
          "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
        ),
      );
    if (key !== 'metadata.name') out.push(causes.invalid(`${path}.key`, key, 'not a valid field selector key'));
  }
}

function validatePodTerm(term: PodAffinityTerm, at: string, out: Causes): void {
  validateLabelSelector(term.labelSelector, `${at}.labelSelector`, out);
  validateLabelSelector(term.namespaceSelector, `${at}.namespaceSelector`, out);
  for (const [i, name] of (term.namespaces ?? []).entries()) dnsLabel(name, `${at}.namespaces[${i}]`, out);
  for (const field of ['matchLabelKeys', 'mismatchLabelKeys'] as const)
    validateLabelKeys(term[field], term.labelSelector, `${at}.${field}`, out);
  if (required(term.topologyKey, `${at}.topologyKey`, out, 'can not be empty'))
    qualifiedName(term.topologyKey, `${at}.topologyKey`, out);
}

function validateLabelKeys(
  keys: readonly string[] | undefined,
  selector: object | undefined,
  at: string,
  out: Causes,
): void {
  if (!keys?.length) return;
  if (!selector) out.push(causes.forbidden(at, 'must not be specified when labelSelector is not set'));
  for (const [i, key] of keys.entries()) qualifiedName(key, `${at}[${i}]`, out);
}

const positiveText = 'must be greater than zero';

/** How a pod's peers are to be spread over the nodes. */
export function validateSpread(constraints: PodSpec['topologySpreadConstraints'], at: string, out: Causes): void {
  const seen = new Set<string>();
  for (const [i, c] of (constraints ?? []).entries()) {
    const path = `${at}[${i}]`;
    if (c.maxSkew <= 0) out.push(causes.invalid(`${path}.maxSkew`, c.maxSkew, positiveText));
    if (required(c.topologyKey, `${path}.topologyKey`, out, 'can not be empty'))
      qualifiedName(c.topologyKey, `${path}.topologyKey`, out);
    optionalOneOf(c.whenUnsatisfiable, ['DoNotSchedule', 'ScheduleAnyway'], `${path}.whenUnsatisfiable`, out);
    const pair = `{${c.topologyKey}, ${c.whenUnsatisfiable}}`;
    if (seen.has(pair)) out.push(causes.duplicate(`${path}.{topologyKey, whenUnsatisfiable}`, pair));
    seen.add(pair);
    if (c.minDomains !== undefined) {
      if (c.minDomains <= 0) out.push(causes.invalid(`${path}.minDomains`, c.minDomains, positiveText));
      if (c.whenUnsatisfiable !== 'DoNotSchedule')
        out.push(
          causes.invalid(
            `${path}.minDomains`,
            c.minDomains,
            `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${c.whenUnsatisfiable}`,
          ),
        );
    }
    optionalOneOf(c.nodeAffinityPolicy, ['Honor', 'Ignore'], `${path}.nodeAffinityPolicy`, out);
    optionalOneOf(c.nodeTaintsPolicy, ['Honor', 'Ignore'], `${path}.nodeTaintsPolicy`, out);
    validateLabelKeys(c.matchLabelKeys, c.labelSelector, `${path}.matchLabelKeys`, out);
    validateLabelSelector(c.labelSelector, `${path}.labelSelector`, out);
  }
}
