import {
  causes,
  type MatchResources,
  type MutatingAdmissionPolicy,
  type ParamKind,
  type ValidatingAdmissionPolicy,
  type Validation,
} from '@trimtab/machinery';
import type { Strategy } from '../../contracts.js';
import { type Causes, optionalOneOf, qualifiedName, required } from '../../registry/strategies/checks.js';
import { compileDefaults } from '../../registry/strategies/defaults.js';
import { validateLabelSelector } from '../../registry/strategies/selector-validation.js';
import { strategyFor } from '../../registry/strategies/typed.js';
import { validateConditions } from '../dynamic/validate-conditions.js';
import { validateRule } from '../dynamic/validate-rules.js';
import { type CompiledPolicy, compileMutating, compileValidating } from './compiled-policy.js';
import type { Expression } from './expressions.js';
import type { AnyPolicy } from './policy-index.js';

/** The rules of policies (kubernetes: admissionregistration/validation): all that is wrong, compile errors included. */

const maxMessage = 5 * 1024;
const reasons = ['Forbidden', 'Invalid', 'RequestEntityTooLarge', 'Unauthorized'];

export const matchDefaults = (at: string) => ({
  [`${at}.matchPolicy`]: 'Equivalent',
  [`${at}.namespaceSelector`]: {},
  [`${at}.objectSelector`]: {},
  [`${at}.resourceRules[].scope`]: '*',
  [`${at}.excludeResourceRules[].scope`]: '*',
});

const policyDefaults = { 'spec.failurePolicy': 'Fail', ...matchDefaults('spec.matchConstraints') };
const fillValidating = compileDefaults(policyDefaults);
const fillMutating = compileDefaults({ ...policyDefaults, 'spec.reinvocationPolicy': 'Never' });

export const validatingPolicyStrategy: Strategy = strategyFor<ValidatingAdmissionPolicy>({
  default: (policy) => fillValidating(policy) as ValidatingAdmissionPolicy,
  validate(policy, out) {
    const { spec } = policy;
    const compiled = compileValidating(policy);
    common(policy, compiled, out);
    const { validations = [], auditAnnotations = [] } = spec ?? {};
    if (validations.length === 0 && auditAnnotations.length === 0) {
      const both = 'validations or auditAnnotations must contain at least one item';
      out.push(causes.required('spec.validations', both), causes.required('spec.auditAnnotations', both));
    }
    for (const [i, validation] of validations.entries()) {
      const at = `spec.validations[${i}]`;
      validateValidation(validation, at, out);
      problem(compiled.validations[i]?.expression, `${at}.expression`, out);
      problem(compiled.validations[i]?.message, `${at}.messageExpression`, out);
    }
    const seen = new Set<string>();
    for (const [i, { key, valueExpression }] of auditAnnotations.entries()) {
      const at = `spec.auditAnnotations[${i}]`;
      if (required(key, `${at}.key`, out)) qualifiedName(key, `${at}.key`, out);
      if (seen.has(key)) out.push(causes.duplicate(`${at}.key`, key));
      seen.add(key);
      if (required(valueExpression?.trim(), `${at}.valueExpression`, out, 'must be non-empty'))
        problem(compiled.annotations[i]?.expression, `${at}.valueExpression`, out);
    }
  },
});

export const mutatingPolicyStrategy: Strategy = strategyFor<MutatingAdmissionPolicy>({
  default: (policy) => fillMutating(policy) as MutatingAdmissionPolicy,
  validate(policy, out) {
    const compiled = compileMutating(policy);
    common(policy, compiled, out);
    const { mutations = [], reinvocationPolicy } = policy.spec ?? {};
    if (mutations.length === 0) out.push(causes.required('spec.mutations', 'mutations must contain at least one item'));
    for (const [i, { patchType, applyConfiguration, jsonPatch }] of mutations.entries()) {
      const at = `spec.mutations[${i}]`;
      if (!required(patchType, `${at}.patchType`, out, 'patchType must be set')) continue;
      optionalOneOf(patchType, ['ApplyConfiguration', 'JSONPatch'], `${at}.patchType`, out);
      const [own, other, mine, theirs] =
        patchType === 'JSONPatch'
          ? [jsonPatch, applyConfiguration, 'jsonPatch', 'applyConfiguration']
          : [applyConfiguration, jsonPatch, 'applyConfiguration', 'jsonPatch'];
      if (other)
        out.push(causes.forbidden(`${at}.${theirs}`, `${theirs} must not be set when patchType is ${patchType}`));
      if (!own) out.push(causes.required(`${at}.${mine}`, `must be specified when patchType is ${patchType}`));
      else if (required(own.expression?.trim(), `${at}.${mine}.expression`, out, 'expression is not specified'))
        problem(compiled.mutations[i]?.expression, `${at}.${mine}.expression`, out);
    }
    optionalOneOf(reinvocationPolicy, ['IfNeeded', 'Never'], 'spec.reinvocationPolicy', out);
  },
});

function common({ spec }: AnyPolicy, compiled: CompiledPolicy, out: Causes): void {
  optionalOneOf(spec?.failurePolicy, ['Fail', 'Ignore'], 'spec.failurePolicy', out);
  if (spec?.paramKind) validateParamKind(spec.paramKind, 'spec.paramKind', out);
  if (required(spec?.matchConstraints, 'spec.matchConstraints', out))
    validateMatch(spec?.matchConstraints, 'spec.matchConstraints', true, out);
  const conditions = new Map(compiled.conditions.map(({ expression }) => [expression.source, expression.problem]));
  validateConditions(spec?.matchConditions, 'spec.matchConditions', (text) => conditions.get(text), out);
  const seen = new Set<string>();
  for (const [i, { name, expression }] of (spec?.variables ?? []).entries()) {
    const at = `spec.variables[${i}]`;
    if (required(name, `${at}.name`, out, 'name is not specified')) {
      if (!/^[_a-zA-Z][_a-zA-Z0-9]*$/.test(name) || reserved.has(name))
        out.push(causes.invalid(`${at}.name`, name, 'name is not a valid CEL identifier'));
      if (seen.has(name)) out.push(causes.duplicate(`${at}.name`, name));
      seen.add(name);
    }
    if (required(expression?.trim(), `${at}.expression`, out, 'expression is not specified'))
      problem(compiled.variables[i]?.expression, `${at}.expression`, out);
  }
}

const reserved = new Set([
  ...['false', 'in', 'null', 'true', 'as', 'break', 'const', 'continue', 'else', 'for', 'function', 'if', 'import'],
  ...['let', 'loop', 'package', 'namespace', 'return', 'var', 'void', 'while'],
]);

function problem(expression: Expression | undefined, at: string, out: Causes): void {
  if (expression?.problem !== undefined && expression.source !== '')
    out.push(causes.invalid(at, expression.source, expression.problem));
}

function validateValidation(
  { expression, message, messageExpression, reason }: Validation,
  at: string,
  out: Causes,
): void {
  required(expression?.trim(), `${at}.expression`, out, 'expression is not specified');
  if (message !== undefined) {
    if (message.trim() === '' && message !== '')
      out.push(causes.invalid(`${at}.message`, message, 'message must be non-empty if specified'));
    else if (message.trim().includes('\n'))
      out.push(causes.invalid(`${at}.message`, message, 'message must not contain line breaks'));
    else if (Buffer.byteLength(message) > maxMessage) out.push(causes.tooLong(`${at}.message`, maxMessage));
  }
  if (expression?.includes('\n') && !message && !messageExpression)
    out.push(causes.required(`${at}.message`, 'message must be specified if expression contains line breaks'));
  optionalOneOf(reason, reasons, `${at}.reason`, out);
}

function validateParamKind({ apiVersion, kind }: ParamKind, at: string, out: Causes): void {
  if (required(apiVersion, `${at}.apiVersion`, out) && !/^([a-z0-9.-]+\/)?[a-z0-9]+$/.test(apiVersion!))
    out.push(causes.invalid(`${at}.apiVersion`, apiVersion, `unexpected GroupVersion string: ${apiVersion}`));
  required(kind, `${at}.kind`, out);
}

export function validateMatch(match: MatchResources | undefined, at: string, rulesNeeded: boolean, out: Causes): void {
  if (!match) return;
  optionalOneOf(match.matchPolicy, ['Equivalent', 'Exact'], `${at}.matchPolicy`, out);
  validateLabelSelector(match.namespaceSelector, `${at}.namespaceSelector`, out);
  validateLabelSelector(match.objectSelector, `${at}.objectSelector`, out);
  for (const name of ['resourceRules', 'excludeResourceRules'] as const)
    for (const [i, rule] of (match[name] ?? []).entries()) validateRule(rule, `${at}.${name}[${i}]`, true, out);
  if (rulesNeeded && !match.resourceRules?.length) out.push(causes.required(`${at}.resourceRules`));
}
