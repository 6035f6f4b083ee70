import {
  applyJsonPatch,
  equalJson,
  internalError,
  type KubeObject,
  parseJsonPatch,
  StatusError,
} from '@trimtab/machinery';
import type { ServedKind } from '../../registry/served-kind.js';
import type { ConditionMatcher } from '../dynamic/conditions.js';
import { keepManagedFields } from '../dynamic/managed-fields.js';
import { convert, type FullAttributes, viewOf } from '../dynamic/view.js';
import { ask, type DispatchParts, denial, failure, type Invocation, invocationOf, Versions } from './dispatch.js';
import type { Hook } from './hook-index.js';

const pluginName = 'MutatingAdmissionWebhook';

/** What the first round leaves for the second. */
interface Memory {
  output: KubeObject | undefined;
  /** Webhooks that want to see the object again when others have changed it after them. */
  readonly invoked: Set<string>;
  readonly again: Set<string>;
}

/**
 * Asks every mutating webhook that is for the request, one after another, each with what those before it have made of the
 * object. A changed object sends those that asked for it (`reinvocationPolicy: IfNeeded`) once more.
 */
export async function callMutating(
  hooks: readonly Hook[],
  attributes: FullAttributes,
  parts: DispatchParts,
  conditions: ConditionMatcher,
): Promise<KubeObject | undefined> {
  const { reinvocation } = attributes.request;
  const memory = memoryOf(attributes);
  const requireAgain = () => {
    for (const uid of memory.invoked) memory.again.add(uid);
    memory.invoked.clear();
  };
  if (reinvocation.again && !equalJson(memory.output, attributes.object)) requireAgain();
  let current = attributes;
  let versions = new Versions(current, viewOf(current));
  let index = -1;
  for (const hook of hooks) {
    const invocation = await invocationOf(hook, versions, parts, conditions);
    if (!invocation) continue;
    index++;
    if (reinvocation.again && !memory.again.has(hook.uid)) continue;
    const round = `mutation.webhook.admission.k8s.io/round_${reinvocation.again ? 1 : 0}_index_${index}`;
    try {
      const changed = await callOne(invocation, versions, parts);
      attributes.request.annotate(
        round,
        JSON.stringify({
          configuration: hook.configuration,
          webhook: hook.webhook.name,
          mutated: changed !== undefined,
        }),
      );
      if (changed) {
        current = { ...current, object: changed };
        versions = new Versions(current, viewOf(current));
        requireAgain();
        reinvocation.wanted = true;
      }
    } catch (error) {
      const real = failure(error, invocation, attributes, round);
      if (real !== undefined) throw real;
    } finally {
      if (hook.webhook.reinvocationPolicy === 'IfNeeded') memory.invoked.add(hook.uid);
    }
  }
  memory.output = current.object;
  return current.object;
}

function memoryOf({ request }: FullAttributes): Memory {
  const { memory } = request.reinvocation;
  const kept = (memory.get(pluginName) as Memory | undefined) ?? {
    output: undefined,
    invoked: new Set(),
    again: new Set(),
  };
  memory.set(pluginName, kept);
  return kept;
}

/** The object after the webhook, or undefined where it changes nothing. */
async function callOne(
  invocation: Invocation,
  versions: Versions,
  parts: DispatchParts,
): Promise<KubeObject | undefined> {
  const { name } = invocation.hook.webhook;
  const verdict = await ask(invocation, versions, parts, true);
  if (!verdict.allowed) throw denial(name, verdict.status);
  if (verdict.patch === undefined) return undefined;
  const { object } = await versions.in(invocation.kind);
  const operations = patchOf(verdict.patch);
  if (operations.length === 0) return undefined;
  if (!object)
    throw internalError(
      `admission webhook ${JSON.stringify(name)} attempted to modify the object, which is not supported for this operation`,
    );
  let patched: KubeObject;
  try {
    patched = applyJsonPatch(object, operations);
  } catch (error) {
    throw error instanceof StatusError ? internalError(error.message) : error;
  }
  return equalJson(patched, object) ? undefined : accept(invocation.kind, versions, patched, object);
}

function patchOf(value: unknown) {
  try {
    return parseJsonPatch(value);
  } catch (error) {
    throw internalError(error instanceof Error ? error.message : String(error));
  }
}

/** Pruned and defaulted as if a client had sent it, and in the request's own version again. */
async function accept(
  kind: ServedKind,
  { attributes, view }: Versions,
  patched: KubeObject,
  before: KubeObject,
): Promise<KubeObject> {
  if (!view.whole) return view.apply(patched);
  const decoded = kind.decode(patched);
  if (decoded.errors.length > 0) throw internalError(decoded.errors[0]!.message);
  const filled = kind.strategy.default?.(decoded.value) ?? decoded.value;
  const own = attributes.request.kind;
  const object = await convert(keepManagedFields(filled, before, attributes), kind, own);
  return view.apply(object);
}
