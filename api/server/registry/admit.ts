import type { DeleteOptions, WriteOptions } from '@trimtab/client';
import type { KubeObject } from '@trimtab/machinery';
import type { Operation } from '@trimtab/store';
import type { AdmissionAttributes, AdmissionRequest, Reinvocation } from '../contracts.js';
import { TimedStep } from '../tally/timed-step.js';
import type { Registry, RequestContext, Target } from './context.js';

export interface AdmissionInput extends Pick<AdmissionAttributes, 'operation' | 'object' | 'oldObject' | 'dryRun'> {
  readonly options?: WriteOptions | DeleteOptions;
}

const noOptions = {};

/** Spelled out field by field: every plugin of every write reads one of these, and spreads make them slow to make and read. */
function attributes(
  context: RequestContext,
  { kind, namespace, name, subresource }: Target,
  { operation, oldObject, dryRun }: AdmissionInput,
  object: KubeObject | undefined,
  request: AdmissionRequest,
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
    request,
    warn: (message) => context.warn(message),
  };
}

const once: Reinvocation = { again: false, wanted: false, memory: new Map() };

function requestOf(
  { kinds, tally, clock }: Registry,
  context: RequestContext,
  { kind }: Target,
  { options = noOptions }: AdmissionInput,
  reinvocation: Reinvocation,
): AdmissionRequest {
  const annotate = (key: string, value: string) => context.annotate?.(key, value);
  const waited = (ms: number) => context.waited?.(ms);
  return { kind, kinds, options, reinvocation, together: [], tally, clock, annotate, waited };
}

/**
 * Runs every mutating plugin in turn, and all of them a second time when one has asked for it; gives the object to go on
 * with. A deletion has none, and nothing to mutate: plugins may still refuse it.
 */
export async function mutate<T extends KubeObject | undefined>(
  registry: Registry,
  context: RequestContext,
  target: Target,
  input: AdmissionInput & { readonly object: T },
): Promise<T> {
  const reinvocation = { again: false, wanted: false, memory: new Map<string, unknown>() };
  const object = await mutateOnce(registry, context, target, input, reinvocation);
  if (!reinvocation.wanted) return object as T;
  const second = { again: true, wanted: false, memory: reinvocation.memory };
  return (await mutateOnce(registry, context, target, { ...input, object }, second)) as T;
}

async function mutateOnce(
  registry: Registry,
  context: RequestContext,
  target: Target,
  input: AdmissionInput,
  reinvocation: Reinvocation,
): Promise<KubeObject | undefined> {
  const request = requestOf(registry, context, target, input, reinvocation);
  let { object } = input;
  let shown = attributes(context, target, input, object, request);
  const step = new TimedStep(registry, input.operation, 'admit');
  try {
    for (const plugin of registry.admission) {
      if (!plugin.mutate) continue;
      step.begin(plugin);
      const given = plugin.mutate(shown);
      const next = given instanceof Promise ? await given : given;
      step.end();
      if (next === object) continue;
      object = next;
      shown = attributes(context, target, input, object, request);
    }
  } finally {
    step.over();
  }
  return object;
}

/**
 * Runs every validating plugin in turn; the first that refuses decides. Gives the operations that plugins want committed
 * together with the write.
 */
export async function validate(
  registry: Registry,
  context: RequestContext,
  target: Target,
  input: AdmissionInput,
): Promise<readonly Operation[]> {
  const request = requestOf(registry, context, target, input, once);
  const shown = attributes(context, target, input, input.object, request);
  const step = new TimedStep(registry, input.operation, 'validate');
  try {
    for (const plugin of registry.admission) {
      if (!plugin.validate) continue;
      step.begin(plugin);
      const verdict = plugin.validate(shown);
      if (verdict instanceof Promise) await verdict;
      step.end();
    }
  } finally {
    step.over();
  }
  return request.together;
}

/** Both at once, for what is answered and not stored; gives the object to answer to. */
export async function admit<T extends KubeObject | undefined>(
  registry: Registry,
  context: RequestContext,
  target: Target,
  input: AdmissionInput & { readonly object: T },
): Promise<T> {
  const object = await mutate(registry, context, target, input);
  await validate(registry, context, target, { ...input, object });
  return object;
}
