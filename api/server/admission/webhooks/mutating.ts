import {
  applyJsonPatch,
  equalJson,
  internalError,
  type KubeObject,
  parseJsonPatch,
  StatusError,
} from '@trimtab/machinery';
import type { ServedKind } from '../../registry/served-kind.js';
import { asSent } from '../dynamic/as-sent.js';
import type { ConditionMatcher } from '../dynamic/conditions.js';
import { Rounds } from '../dynamic/rounds.js';
import { type FullAttributes, viewOf } from '../dynamic/view.js';
import { ask, type DispatchParts, denial, failure, type Invocation, invocationOf, Versions } from './dispatch.js';
import type { Hook } from './hook-index.js';

const pluginName = 'MutatingAdmissionWebhook';

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
  const rounds = new Rounds(pluginName, attributes);
  let current = attributes;
  let versions = new Versions(current, viewOf(current));
  let index = -1;
  for (const hook of hooks) {
    const invocation = await invocationOf(hook, versions, parts, conditions);
    if (!invocation) continue;
    index++;
    if (!rounds.includes(hook.uid)) continue;
    const round = `mutation.webhook.admission.k8s.io/round_${rounds.number}_index_${index}`;
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
        rounds.changed();
      }
    } catch (error) {
      const real = failure(error, invocation, attributes, round);
      if (real !== undefined) throw real;
    } finally {
      rounds.asked(hook.uid, hook.webhook.reinvocationPolicy);
    }
  }
  return rounds.over(current.object);
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
  return view.apply(await asSent(patched, before, kind, attributes, internalError));
}
