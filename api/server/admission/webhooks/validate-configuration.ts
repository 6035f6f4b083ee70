import { causes, type KubeObject, type MutatingWebhook, type MutatingWebhookConfiguration } from '@trimtab/machinery';
import type { Strategy } from '../../contracts.js';
import { nameProblems } from '../../registry/names.js';
import { type Causes, optionalOneOf } from '../../registry/strategies/checks.js';
import { validateLabelSelector } from '../../registry/strategies/selector-validation.js';
import { strategyFor } from '../../registry/strategies/typed.js';
import { validateClientConfig } from '../../webhook/client-config.js';
import { type ExpressionCheck, validateConditions } from '../dynamic/validate-conditions.js';
import { validateRule } from '../dynamic/validate-rules.js';
import { reviewVersions } from './review.js';

/**
 * The rules of both webhook configurations (kubernetes: admissionregistration/validation). `check` reads match conditions.
 */
export function webhookConfigurationStrategy(check: ExpressionCheck): Strategy {
  return strategyFor<KubeObject>({
    validate(object, out) {
      const seen = new Set<string>();
      for (const [i, webhook] of ((object as MutatingWebhookConfiguration).webhooks ?? []).entries()) {
        const at = `webhooks[${i}]`;
        validateWebhook(webhook, at, check, out);
        if (seen.has(webhook.name)) out.push(causes.duplicate(`${at}.name`, webhook.name));
        seen.add(webhook.name);
      }
    },
  });
}

function validateWebhook(webhook: MutatingWebhook, at: string, check: ExpressionCheck, out: Causes): void {
  qualified(webhook.name, `${at}.name`, out);
  for (const [i, rule] of (webhook.rules ?? []).entries()) validateRule(rule, `${at}.rules[${i}]`, true, out);
  optionalOneOf(webhook.failurePolicy, ['Fail', 'Ignore'], `${at}.failurePolicy`, out);
  optionalOneOf(webhook.matchPolicy, ['Equivalent', 'Exact'], `${at}.matchPolicy`, out);
  if (!webhook.sideEffects) out.push(causes.required(`${at}.sideEffects`, 'must specify one of None, NoneOnDryRun'));
  else optionalOneOf(webhook.sideEffects, ['None', 'NoneOnDryRun'], `${at}.sideEffects`, out);
  const { timeoutSeconds } = webhook;
  if (timeoutSeconds !== undefined && (timeoutSeconds < 1 || timeoutSeconds > 30))
    out.push(
      causes.invalid(`${at}.timeoutSeconds`, timeoutSeconds, 'the timeout value must be between 1 and 30 seconds'),
    );
  validateLabelSelector(webhook.namespaceSelector, `${at}.namespaceSelector`, out);
  validateLabelSelector(webhook.objectSelector, `${at}.objectSelector`, out);
  out.push(...validateClientConfig(`${at}.clientConfig`, webhook.clientConfig));
  reviews(webhook.admissionReviewVersions ?? [], `${at}.admissionReviewVersions`, out);
  optionalOneOf(webhook.reinvocationPolicy, ['IfNeeded', 'Never'], `${at}.reinvocationPolicy`, out);
  validateConditions(webhook.matchConditions, `${at}.matchConditions`, check, out);
}

function qualified(name: string | undefined, at: string, out: Causes): void {
  if (!name) {
    out.push(causes.required(at));
    return;
  }
  const problems = nameProblems(name, 'subdomain');
  for (const problem of problems) out.push(causes.invalid(at, name, problem));
  if (problems.length === 0 && name.split('.').length < 3)
    out.push(causes.invalid(at, name, 'should be a domain with at least three segments separated by dots'));
}

function reviews(versions: readonly string[], at: string, out: Causes): void {
  const known = reviewVersions.join(', ');
  if (versions.length === 0) {
    out.push(causes.required(at, `must specify one of ${known}`));
    return;
  }
  const seen = new Set<string>();
  for (const [i, version] of versions.entries()) {
    for (const problem of nameProblems(version, 'label')) out.push(causes.invalid(`${at}[${i}]`, version, problem));
    if (seen.has(version)) out.push(causes.invalid(`${at}[${i}]`, version, 'duplicate version'));
    seen.add(version);
  }
  if (!versions.some((version) => reviewVersions.includes(version)))
    out.push(causes.invalid(at, versions, `must include at least one of ${known}`));
}
