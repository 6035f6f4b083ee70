import {
  applyJsonPatch,
  CelError,
  type CelValue,
  celToJson,
  equalJson,
  forbidden,
  type KubeObject,
  type MutatingAdmissionPolicy,
  type MutatingAdmissionPolicyBinding,
  mergeApplied,
  parseJsonPatch,
  type Schema,
  StatusError,
} from '@trimtab/machinery';
import { asSent } from '../dynamic/as-sent.js';
import { Rounds } from '../dynamic/rounds.js';
import { convert, type FullAttributes } from '../dynamic/view.js';
import { atomicPaths } from './atomic-paths.js';
import { type CompiledMutatingPolicy, type CompiledMutation, compileMutating } from './compiled-policy.js';
import { bindingsOf } from './environment.js';
import { type Evaluation, forEachEvaluation, type PolicyParts } from './evaluation.js';
import { evaluate, isFailed, lazyVariables } from './expressions.js';
import type { BoundPolicy } from './policy-index.js';

type Policy = MutatingAdmissionPolicy;
type Binding = MutatingAdmissionPolicyBinding;

const pluginName = 'MutatingAdmissionPolicy';
const compiled = new WeakMap<Policy, CompiledMutatingPolicy>();

/**
 * Lets every policy that is bound and for the request change the object, one after another. Once the object has changed since
 * a policy with `reinvocationPolicy: IfNeeded` saw it, it is asked again in the second round.
 */
export async function mutateByPolicies(
  bound: readonly BoundPolicy<Policy, Binding>[],
  attributes: FullAttributes,
  parts: PolicyParts,
): Promise<KubeObject | undefined> {
  const rounds = new Rounds(pluginName, attributes);
  let current = attributes;
  for (const each of bound) {
    const { policy } = each;
    const name = policy.metadata.name ?? '';
    if (!rounds.includes(name)) continue;
    let program = compiled.get(policy);
    if (!program) {
      program = compileMutating(policy);
      compiled.set(policy, program);
    }
    const closed = policy.spec?.failurePolicy !== 'Ignore';
    const evaluations: Evaluation<Binding>[] = [];
    await forEachEvaluation(
      each,
      program,
      current,
      parts,
      (evaluation) => void evaluations.push(evaluation),
      ({ binding, error }) => {
        if (closed) throw denialError(attributes, policy, binding, error);
      },
    );
    for (const evaluation of evaluations) {
      const changed = await mutateOnce(program, evaluation, current, parts).catch((error: unknown) => {
        if (!(error instanceof MutationError)) throw error;
        if (closed) throw denialError(attributes, policy, evaluation.binding, error.message);
        return undefined;
      });
      if (!changed || equalJson(changed, current.object)) continue;
      current = { ...current, object: changed };
      rounds.changed();
    }
    if (evaluations.length > 0) rounds.asked(name, policy.spec?.reinvocationPolicy);
  }
  return rounds.over(current.object);
}

class MutationError extends Error {}

/** The object after all mutations of one evaluation, each of which sees what those before it have made. */
async function mutateOnce(
  { mutations, variables }: CompiledMutatingPolicy,
  evaluation: Evaluation<Binding>,
  attributes: FullAttributes,
  parts: PolicyParts,
): Promise<KubeObject | undefined> {
  const { kind, budget, bindings } = evaluation;
  let { view } = evaluation;
  if (!view.object) return undefined;
  // Bindings and parameters before this one may have changed the object.
  if (view.whole) view = { ...view, object: await convert(attributes.object!, attributes.request.kind, kind) };
  const before = view.object!;
  for (const mutation of mutations) {
    const fresh = {
      ...bindings,
      ...bindingsOf(attributes, view, parts.authorizer, bindings.namespaceObject as () => KubeObject | undefined),
    };
    const scope = { ...fresh, variables: lazyVariables(variables, fresh, budget) };
    const outcome = evaluate(mutation.expression, scope, budget);
    if (isFailed(outcome)) throw new MutationError(outcome.error);
    view = { ...view, object: applied(mutation, outcome.value, view.object!, kind.schema) };
  }
  if (!view.whole) return view.apply(view.object!);
  return asSent(view.object, before, kind, attributes, (why) => new MutationError(why));
}

function applied({ type }: CompiledMutation, value: CelValue, object: KubeObject, schema: Schema): KubeObject {
  try {
    const json = celToJson(value);
    if (type === 'JSONPatch') return applyJsonPatch(object, parseJsonPatch(json));
    const atomic = atomicPaths(json, schema);
    if (atomic.length > 0)
      throw new MutationError(
        `error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: ${atomic.join(', ')}`,
      );
    return mergeApplied(object, json, schema) as KubeObject;
  } catch (error) {
    if (error instanceof StatusError || error instanceof CelError) throw new MutationError(error.message);
    throw error;
  }
}

function denialError(
  { type, name }: FullAttributes,
  policy: Policy,
  binding: Binding | undefined,
  message: string,
): StatusError {
  const by = binding
    ? `'${policy.metadata.name}' with binding '${binding.metadata.name}'`
    : `'${policy.metadata.name}'`;
  const text = `policy ${by} denied request: ${message}`;
  const { status } = forbidden({ group: type.group, resource: type.resource }, name, text);
  return new StatusError({
    ...status,
    reason: 'Invalid',
    code: 422,
    details: { ...status.details, causes: [{ message: text }] },
  });
}
