import {
  forbidden,
  StatusError,
  type ValidatingAdmissionPolicy,
  type ValidatingAdmissionPolicyBinding,
} from '@trimtab/machinery';
import type { FullAttributes } from '../dynamic/view.js';
import { type CompiledValidatingPolicy, type CompiledValidation, compileValidating } from './compiled-policy.js';
import { type Evaluation, forEachEvaluation, type PolicyParts } from './evaluation.js';
import { evaluate, type Failed, isFailed } from './expressions.js';
import type { BoundPolicy } from './policy-index.js';

type Policy = ValidatingAdmissionPolicy;
type Binding = ValidatingAdmissionPolicyBinding;

const compiled = new WeakMap<Policy, CompiledValidatingPolicy>();
const maxMessage = 5 * 1024;
const maxAnnotation = 10 * 1024;
const codes: Readonly<Record<string, number>> = { Forbidden: 403, Unauthorized: 401, RequestEntityTooLarge: 413 };

interface Denial {
  readonly message: string;
  readonly reason?: string;
  readonly binding?: Binding;
  readonly policy: Policy;
}

/** Asks every policy that is bound and for the request, all of them; the first denial, in their order, decides. */
export async function validateByPolicies(
  bound: readonly BoundPolicy<Policy, Binding>[],
  attributes: FullAttributes,
  parts: PolicyParts,
): Promise<void> {
  const denials: Denial[] = [];
  const failures: object[] = [];
  const annotations = new Map<string, string[]>();
  for (const each of bound) {
    const { policy } = each;
    let program = compiled.get(policy);
    if (!program) {
      program = compileValidating(policy);
      compiled.set(policy, program);
    }
    const known = program;
    const closed = policy.spec?.failurePolicy !== 'Ignore';
    await forEachEvaluation(
      each,
      known,
      attributes,
      parts,
      (evaluation) => {
        const { binding } = evaluation;
        for (const { message, reason, index } of validations(known, evaluation, closed)) {
          const actions = binding.spec?.validationActions ?? [];
          if (actions.includes('Deny')) denials.push({ message, reason, binding, policy });
          if (actions.includes('Warn'))
            attributes.warn(
              `Validation failed for ValidatingAdmissionPolicy '${policy.metadata.name}' with binding '${binding.metadata.name}': ${message}`,
            );
          if (actions.includes('Audit'))
            failures.push({
              message,
              policy: policy.metadata.name,
              binding: binding.metadata.name,
              expressionIndex: index,
              validationActions: actions,
            });
        }
        for (const { key, value, error } of annotationsOf(known, evaluation)) {
          const name = `${policy.metadata.name}/${key}`;
          if (error !== undefined) {
            if (closed) denials.push({ message: error, binding, policy });
          } else if (value !== undefined)
            annotations.set(name, [...new Set([...(annotations.get(name) ?? []), value])]);
        }
      },
      ({ binding, error }) => {
        if (closed) denials.push({ message: error, binding, policy });
      },
    );
  }
  const { annotate } = attributes.request;
  if (failures.length > 0) annotate('validation.policy.admission.k8s.io/validation_failure', JSON.stringify(failures));
  for (const [key, values] of annotations) annotate(key, values.join(', '));
  if (denials[0]) throw denialError(attributes, denials[0]);
}

interface Violation {
  readonly message: string;
  readonly reason?: string;
  readonly index: number;
}

function* validations(
  { validations: list }: CompiledValidatingPolicy,
  evaluation: Evaluation<Binding>,
  closed: boolean,
): Generator<Violation> {
  const { bindings, budget } = evaluation;
  for (const [index, each] of list.entries()) {
    const outcome = evaluate(each.expression, bindings, budget);
    if (isFailed(outcome)) {
      if (closed) yield { message: outcome.error, index };
      if (outcome.budget) return;
    } else if (outcome.value !== true)
      yield { message: messageOf(each, evaluation), reason: each.validation.reason, index };
  }
}

/** What its message expression says, where that says one line; its message; or the expression itself. */
function messageOf({ validation, message }: CompiledValidation, { bindings, budget }: Evaluation<Binding>): string {
  if (message) {
    const outcome = evaluate(message, bindings, budget);
    if (!isFailed(outcome) && typeof outcome.value === 'string') {
      const text = outcome.value.trim();
      if (text !== '' && !text.includes('\n') && Buffer.byteLength(text) <= maxMessage) return text;
    }
  }
  return validation.message?.trim() || `failed expression: ${validation.expression.trim()}`;
}

function* annotationsOf(
  { annotations }: CompiledValidatingPolicy,
  { bindings, budget }: Evaluation<Binding>,
): Generator<{ readonly key: string; readonly value?: string; readonly error?: string }> {
  for (const { annotation, expression } of annotations) {
    const { key, valueExpression } = annotation;
    const outcome = evaluate(expression, bindings, budget);
    if (isFailed(outcome)) {
      yield { key, error: `valueExpression '${valueExpression}' resulted in error: ${(outcome as Failed).error}` };
      continue;
    }
    if (typeof outcome.value !== 'string') continue;
    const value = outcome.value.trim();
    if (value !== '') yield { key, value: value.slice(0, maxAnnotation) };
  }
}

function denialError({ type, name }: FullAttributes, { policy, binding, message, reason }: Denial): StatusError {
  const by = binding
    ? `'${policy.metadata.name}' with binding '${binding.metadata.name}'`
    : `'${policy.metadata.name}'`;
  const text = `ValidatingAdmissionPolicy ${by} denied request: ${message}`;
  const { status } = forbidden({ group: type.group, resource: type.resource }, name, text);
  return new StatusError({
    ...status,
    reason: reason || 'Invalid',
    code: codes[reason ?? ''] ?? 422,
    details: { ...status.details, causes: [{ message: text }] },
  });
}
