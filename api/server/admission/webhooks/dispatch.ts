import {
  badRequest,
  forbidden,
  internalError,
  type KubeObject,
  type MatchCondition,
  type Random,
  StatusError,
} from '@trimtab/machinery';
import type { Authorizer, ObjectReader } from '../../contracts.js';
import { newUid } from '../../registry/names.js';
import type { ServedKind } from '../../registry/served-kind.js';
import { tellWebhook, unasked } from '../../tally/webhook-figures.js';
import { failedCallingWebhook, WebhookCallError } from '../../webhook/call-errors.js';
import type { WebhookCaller } from '../../webhook/caller.js';
import type { ConditionMatcher } from '../dynamic/conditions.js';
import { matchingKind } from '../dynamic/match.js';
import { type AdmissionView, convert, type FullAttributes, typedAs } from '../dynamic/view.js';
import type { Hook } from './hook-index.js';
import { type ReviewSubject, readReview, reviewRequest, reviewVersionOf, type Verdict } from './review.js';

export interface DispatchParts {
  readonly reader: ObjectReader;
  readonly caller: WebhookCaller;
  readonly random: Random;
  readonly authorizer: Authorizer;
}

/** A webhook that is for the request, and the version it wants to see. */
export interface Invocation {
  readonly hook: Hook;
  readonly kind: ServedKind;
}

/** The request's objects in the versions that webhooks ask for, each converted once. */
export class Versions {
  readonly #made = new Map<ServedKind, Promise<ReviewSubject>>();

  constructor(
    readonly attributes: FullAttributes,
    readonly view: AdmissionView,
  ) {}

  in(kind: ServedKind): Promise<ReviewSubject> {
    let made = this.#made.get(kind);
    if (!made) {
      made = this.#make(kind);
      this.#made.set(kind, made);
    }
    return made;
  }

  async #make(kind: ServedKind): Promise<ReviewSubject> {
    const { object, oldObject, whole, kind: shown } = this.view;
    const own = this.attributes.request.kind;
    const show = async (each: KubeObject | undefined) =>
      each && (whole ? typedAs(kind, await convert(each, own, kind)) : typedAs(shown, each));
    return { kind, object: await show(object), oldObject: await show(oldObject) };
  }
}

/** Whether the webhook is for this request. Throws 403 when its match conditions cannot be evaluated and it fails closed. */
export async function invocationOf(
  hook: Hook,
  versions: Versions,
  parts: DispatchParts,
  conditions: ConditionMatcher,
): Promise<Invocation | undefined> {
  const { attributes, view } = versions;
  const kind = matchingKind(hook.constraints, attributes, view, parts.reader);
  if (!kind) return undefined;
  if (hook.matchConditions.length === 0) return { hook, kind };
  const matched = await matches(hook.matchConditions, hook, kind, versions, conditions);
  return matched ? { hook, kind } : undefined;
}

async function matches(
  list: readonly MatchCondition[],
  { webhook }: Hook,
  kind: ServedKind,
  versions: Versions,
  conditions: ConditionMatcher,
): Promise<boolean> {
  const { attributes, view } = versions;
  const subject = await versions.in(kind);
  const outcome = await conditions.match(list, attributes, {
    ...view,
    ...subject,
    kind: view.whole ? kind : view.kind,
  });
  if (outcome.error === undefined) return outcome.matches;
  if (webhook.failurePolicy === 'Ignore') return false;
  const { group, resource } = attributes.type;
  throw forbidden({ group, resource }, attributes.name, outcome.error);
}

/** The webhook could not be asked; what that means is up to its failure policy. */
export class CallingFailed extends Error {}

/**
 * Asks one webhook. Throws {@link CallingFailed} when it cannot be asked or understood, and 400 when a dry run would have an
 * effect.
 */
export async function ask(
  invocation: Invocation,
  versions: Versions,
  parts: DispatchParts,
  mutating: boolean,
): Promise<Verdict> {
  const { request, operation } = versions.attributes;
  const { webhook } = invocation.hook;
  const since = request.clock.now();
  const told = (rejected: boolean, code: number) => {
    // Validating webhooks are asked side by side, so it is for who asks them to say how long that was.
    if (mutating) request.waited(request.clock.now() - since);
    tellWebhook(request.tally, {
      name: webhook.name,
      operation,
      type: mutating ? 'admit' : 'validating',
      seconds: (request.clock.now() - since) / 1000,
      rejected,
      code,
      ignored: webhook.failurePolicy === 'Ignore',
    });
  };
  try {
    const verdict = await askOnce(invocation, versions, parts, mutating);
    told(!verdict.allowed, verdict.allowed ? 200 : (verdict.status?.code ?? 400));
    return verdict;
  } catch (error) {
    told(!(error instanceof CallingFailed && webhook.failurePolicy === 'Ignore'), unasked);
    throw error;
  }
}

async function askOnce(
  { hook, kind }: Invocation,
  versions: Versions,
  parts: DispatchParts,
  mutating: boolean,
): Promise<Verdict> {
  const { webhook } = hook;
  const { attributes, view } = versions;
  if (attributes.dryRun && webhook.sideEffects !== 'None' && webhook.sideEffects !== 'NoneOnDryRun')
    throw badRequest(`admission webhook ${JSON.stringify(webhook.name)} does not support dry run`);
  const version = reviewVersionOf(webhook.admissionReviewVersions);
  const failed = (reason: string) => new CallingFailed(failedCallingWebhook(webhook.name, reason));
  if (!version)
    throw failed(
      'could not create admission objects: webhook does not accept known AdmissionReview versions (v1, v1beta1)',
    );
  const uid = newUid(parts.random);
  const review = reviewRequest(version, uid, attributes, view, await versions.in(kind));
  let answer: object;
  try {
    answer = await parts.caller.call(webhook.clientConfig, review, (webhook.timeoutSeconds ?? 10) * 1000);
  } catch (error) {
    if (error instanceof WebhookCallError) throw failed(`failed to call webhook: ${error.message}`);
    throw error;
  }
  let verdict: Verdict;
  try {
    verdict = readReview(answer, version, uid, mutating);
  } catch (error) {
    if (error instanceof SyntaxError) throw internalError(error.message);
    throw failed((error as Error).message);
  }
  for (const [key, value] of Object.entries(verdict.auditAnnotations))
    attributes.request.annotate(`${webhook.name}/${key}`, value);
  for (const warning of verdict.warnings) attributes.warn(warning);
  return verdict;
}

/** The error for a webhook that said no: with its status, and a code that is one of an error. */
export function denial(name: string, given: Verdict['status']): StatusError {
  const by = `admission webhook ${JSON.stringify(name)} denied the request`;
  const { code, message, reason, details, metadata } = given ?? {};
  const why = message || reason;
  return new StatusError({
    code: typeof code === 'number' && code >= 400 ? code : 400,
    message: why ? `${by}: ${why}` : `${by} without explanation`,
    ...(reason ? { reason } : {}),
    ...(details ? { details } : {}),
    ...(metadata ? { metadata } : {}),
  });
}

/** Passes over a webhook that could not be asked where it says so; otherwise gives the error the client gets. */
export function failure(error: unknown, { hook }: Invocation, attributes: FullAttributes, round: string): unknown {
  if (!(error instanceof CallingFailed)) return error;
  if (hook.webhook.failurePolicy !== 'Ignore') return internalError(error.message);
  attributes.request.annotate(`failed-open.${round}`, hook.webhook.name);
  return undefined;
}
