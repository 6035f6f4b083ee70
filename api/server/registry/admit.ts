import type { KubeObject } from '@trimtab/machinery';
import type { AdmissionAttributes } from '../contracts.js';
import type { Registry, RequestContext, Target } from './context.js';

export type AdmissionInput = Pick<AdmissionAttributes, 'operation' | 'object' | 'oldObject' | 'dryRun'>;

/** Spelled out field by field: every plugin of every write reads one of these, and spreads make them slow to make and read. */
function attributes(
  context: RequestContext,
  { kind, namespace, name, subresource }: Target,
  { operation, oldObject, dryRun }: AdmissionInput,
  object: KubeObject | undefined,
): AdmissionAttributes {
  return {
    operation,
    type: kind,
    subresource,
    namespace,
    name,
    user: context.user,
    dryRun,
    object,
    oldObject,
    warn: (message) => context.warn(message),
  };
}

/** Runs every mutating plugin in turn; gives the object to go on with. */
export async function mutate(
  registry: Registry,
  context: RequestContext,
  target: Target,
  input: AdmissionInput & { readonly object: KubeObject },
): Promise<KubeObject> {
  let { object } = input;
  let shown = attributes(context, target, input, object);
  for (const plugin of registry.admission) {
    if (!plugin.mutate) continue;
    const given = plugin.mutate(shown);
    const next = given instanceof Promise ? await given : given;
    if (next === object) continue;
    object = next;
    shown = attributes(context, target, input, object);
  }
  return object;
}

/** Runs every validating plugin in turn; the first that refuses decides. */
export async function validate(
  registry: Registry,
  context: RequestContext,
  target: Target,
  input: AdmissionInput,
): Promise<void> {
  const shown = attributes(context, target, input, input.object);
  for (const plugin of registry.admission) {
    const verdict = plugin.validate?.(shown);
    if (verdict instanceof Promise) await verdict;
  }
}
