import { CelBudget, type KubeObject } from '@trimtab/machinery';
import type { Authorizer, ObjectReader } from '../../contracts.js';
import type { ServedKind } from '../../registry/served-kind.js';
import { matchingKind } from '../dynamic/match.js';
import { type AdmissionView, convert, type FullAttributes, viewOf } from '../dynamic/view.js';
import type { CompiledPolicy } from './compiled-policy.js';
import { bindingsOf } from './environment.js';
import { type Bindings, lazyVariables, matchAll } from './expressions.js';
import { paramsOf } from './params.js';
import type { AnyBinding, AnyPolicy, BoundPolicy } from './policy-index.js';

export interface PolicyParts {
  readonly reader: ObjectReader;
  readonly authorizer: Authorizer;
}

/** One evaluation of a policy: for one binding and one parameter. */
export interface Evaluation<B> {
  readonly binding: B;
  /** In the version the policy asked for. */
  readonly kind: ServedKind;
  readonly view: AdmissionView;
  readonly bindings: Bindings;
  readonly budget: CelBudget;
}

/** What kept a policy or binding from being asked; its failure policy says what that means. */
export interface Misconfigured<B> {
  readonly binding?: B;
  readonly error: string;
}

/**
 * Calls `each` for every binding and parameter that the request falls under, unless match conditions leave it out, with what
 * expressions may name. Whatever goes wrong before is given to `failed`.
 */
export async function forEachEvaluation<P extends AnyPolicy, B extends AnyBinding>(
  { policy, constraints, bindings }: BoundPolicy<P, B>,
  compiled: CompiledPolicy,
  attributes: FullAttributes,
  parts: PolicyParts,
  each: (evaluation: Evaluation<B>) => void,
  failed: (problem: Misconfigured<B>) => void,
): Promise<void> {
  const own = viewOf(attributes);
  let kind: ServedKind | undefined;
  try {
    kind = matchingKind(constraints, attributes, own, parts.reader);
  } catch (error) {
    failed({ error: `failed to configure policy: ${text(error)}` });
    return;
  }
  if (!kind) return;
  const view = await shownAs(kind, own, attributes);
  const namespace = () => namespaceOf(attributes, parts.reader);
  const common = bindingsOf(attributes, view, parts.authorizer, namespace);
  for (const { binding, constraints: narrower } of bindings) {
    let params: readonly (KubeObject | undefined)[];
    try {
      if (narrower && !matchingKind(narrower, attributes, own, parts.reader, true)) continue;
      params = await paramsOf(policy.spec?.paramKind, binding.spec?.paramRef, attributes, parts.reader);
    } catch (error) {
      failed({ binding, error: `failed to configure binding: ${text(error)}` });
      continue;
    }
    for (const param of params) {
      const withParams = { ...common, params: param ?? null };
      const matched = matchAll(compiled.conditions, withParams);
      if (matched.error !== undefined) failed({ binding, error: matched.error });
      if (!matched.matches) continue;
      const budget = new CelBudget();
      const variables = lazyVariables(compiled.variables, withParams, budget);
      each({ binding, kind, view, bindings: { ...withParams, variables }, budget });
    }
  }
}

const text = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function shownAs(kind: ServedKind, view: AdmissionView, attributes: FullAttributes): Promise<AdmissionView> {
  const from = attributes.request.kind;
  if (kind === from || !view.whole) return view;
  const { object, oldObject } = view;
  return {
    ...view,
    kind,
    object: object && (await convert(object, from, kind)),
    oldObject: oldObject && (await convert(oldObject, from, kind)),
  };
}

/** The namespace the request is in; requests for a Namespace have none but themselves. */
function namespaceOf({ namespace, type }: FullAttributes, reader: ObjectReader): KubeObject | undefined {
  if (namespace === '' || (type.group === '' && type.resource === 'namespaces')) return undefined;
  return reader.get('/namespaces', '', namespace);
}
