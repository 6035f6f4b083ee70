import type { KubeObject } from '@trimtab/machinery';
import type { AdmissionAttributes } from '../contracts.js';
import type { Registry, RequestContext, Target } from './context.js';

export type AdmissionInput = Pick<AdmissionAttributes, 'operation' | 'object' | 'oldObject' | 'dryRun'>;

function attributes(context: RequestContext, target: Target, input: AdmissionInput): AdmissionAttributes {
  const { kind, namespace, name, subresource } = target;
  return {
    ...input,
    type: kind,
    subresource,
    namespace,
    name,
    user: context.user,
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
  for (const plugin of registry.admission)
    if (plugin.mutate) object = await plugin.mutate(attributes(context, target, { ...input, object }));
  return object;
}

/** Runs every validating plugin in turn; the first that refuses decides. */
export async function validate(
  registry: Registry,
  context: RequestContext,
  target: Target,
  input: AdmissionInput,
): Promise<void> {
  for (const plugin of registry.admission)
    if (plugin.validate) await plugin.validate(attributes(context, target, input));
}
