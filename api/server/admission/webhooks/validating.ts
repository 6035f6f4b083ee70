import type { ConditionMatcher } from '../dynamic/conditions.js';
import { type FullAttributes, viewOf } from '../dynamic/view.js';
import { ask, type DispatchParts, denial, failure, type Invocation, invocationOf, Versions } from './dispatch.js';
import type { Hook } from './hook-index.js';

/** Asks every validating webhook that is for the request, all at once; the first that refuses, in their order, decides. */
export async function callValidating(
  hooks: readonly Hook[],
  attributes: FullAttributes,
  parts: DispatchParts,
  conditions: ConditionMatcher,
): Promise<void> {
  const versions = new Versions(attributes, viewOf(attributes));
  const invocations: Invocation[] = [];
  for (const hook of hooks) {
    const invocation = await invocationOf(hook, versions, parts, conditions);
    if (invocation) invocations.push(invocation);
  }
  const { clock } = attributes.request;
  const since = clock.now();
  const errors = await Promise.all(
    invocations.map(async (invocation, index) => {
      try {
        const verdict = await ask(invocation, versions, parts, false);
        return verdict.allowed ? undefined : denial(invocation.hook.webhook.name, verdict.status);
      } catch (error) {
        return failure(error, invocation, attributes, `validating.webhook.admission.k8s.io/round_0_index_${index}`);
      }
    }),
  );
  attributes.request.waited(clock.now() - since);
  for (const error of errors) if (error !== undefined) throw error;
}
