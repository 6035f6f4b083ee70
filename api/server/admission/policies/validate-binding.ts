import { causes, type ParamRef, type ValidatingAdmissionPolicyBinding } from '@trimtab/machinery';
import type { Strategy } from '../../contracts.js';
import { type Causes, dnsSubdomain, optionalOneOf, required } from '../../registry/strategies/checks.js';
import { compileDefaults } from '../../registry/strategies/defaults.js';
import { validateLabelSelector } from '../../registry/strategies/selector-validation.js';
import { strategyFor } from '../../registry/strategies/typed.js';
import { matchDefaults, validateMatch } from './validate-policy.js';

const fill = compileDefaults({
  ...matchDefaults('spec.matchResources'),
  'spec.paramRef.parameterNotFoundAction': 'Deny',
});

/** The rules of bindings; only those of validating policies say what a failed validation leads to. */
export const bindingStrategy = (actions: boolean): Strategy =>
  strategyFor<ValidatingAdmissionPolicyBinding>({
    default: (binding) => fill(binding) as ValidatingAdmissionPolicyBinding,
    validate({ spec }, out) {
      if (required(spec?.policyName, 'spec.policyName', out)) dnsSubdomain(spec!.policyName!, 'spec.policyName', out);
      if (spec?.paramRef) validateParamRef(spec.paramRef, 'spec.paramRef', out);
      validateMatch(spec?.matchResources, 'spec.matchResources', false, out);
      if (actions) validateActions(spec?.validationActions ?? [], 'spec.validationActions', out);
    },
  });

function validateParamRef({ name, selector, parameterNotFoundAction }: ParamRef, at: string, out: Causes): void {
  if (name && selector) {
    out.push(causes.forbidden(`${at}.name`, 'name and selector are mutually exclusive'));
    out.push(causes.forbidden(`${at}.selector`, 'name and selector are mutually exclusive'));
  }
  if (!name && !selector) out.push(causes.required(at, 'one of name or selector must be specified'));
  if (selector) validateLabelSelector(selector, `${at}.selector`, out);
  optionalOneOf(parameterNotFoundAction, ['Allow', 'Deny'], `${at}.parameterNotFoundAction`, out);
}

function validateActions(actions: readonly string[], at: string, out: Causes): void {
  if (actions.length === 0) out.push(causes.required(at, 'at least one validation action is required'));
  const seen = new Set<string>();
  for (const [i, action] of actions.entries()) {
    optionalOneOf(action, ['Audit', 'Deny', 'Warn'], `${at}[${i}]`, out);
    if (seen.has(action)) out.push(causes.duplicate(`${at}[${i}]`, action));
    seen.add(action);
  }
  if (seen.has('Deny') && seen.has('Warn'))
    out.push(
      causes.invalid(
        at,
        actions,
        'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)',
      ),
    );
}
