import type { GroupVersionKind, KubeObject, Status } from '@trimtab/machinery';
import type { ServedKind } from '../../registry/served-kind.js';
import { type AdmissionView, type FullAttributes, optionsOf } from '../dynamic/view.js';

/** `admission.k8s.io` AdmissionReview: what a webhook is asked, and how its answer is read. Pure. */

const group = 'admission.k8s.io';
export const reviewVersions: readonly string[] = ['v1', 'v1beta1'];

export interface ReviewSubject {
  /** The version the webhook asked for. */
  readonly kind: ServedKind;
  readonly object?: KubeObject;
  readonly oldObject?: KubeObject;
}

/** The first version a webhook names that is spoken here. */
export const reviewVersionOf = (versions: readonly string[] | undefined): string | undefined =>
  versions?.find((version) => reviewVersions.includes(version));

export function reviewRequest(
  version: string,
  uid: string,
  attributes: FullAttributes,
  view: AdmissionView,
  subject: ReviewSubject,
): object {
  const { user, name, namespace, subresource, dryRun, request } = attributes;
  const sub = subresource ? { subResource: subresource } : {};
  return {
    kind: 'AdmissionReview',
    apiVersion: `${group}/${version}`,
    request: {
      uid,
      kind: kindOf(view.whole ? subject.kind : view.kind),
      resource: resourceOf(subject.kind),
      ...sub,
      requestKind: kindOf(view.kind),
      requestResource: resourceOf(request.kind),
      ...(subresource ? { requestSubResource: subresource } : {}),
      ...(name ? { name } : {}),
      ...(namespace ? { namespace } : {}),
      operation: view.operation,
      userInfo: {
        username: user.name,
        ...(user.uid ? { uid: user.uid } : {}),
        ...(user.groups.length > 0 ? { groups: user.groups } : {}),
        ...(user.extra && Object.keys(user.extra).length > 0 ? { extra: user.extra } : {}),
      },
      object: subject.object ?? null,
      oldObject: subject.oldObject ?? null,
      dryRun,
      options: optionsOf(attributes),
    },
  };
}

const kindOf = ({ group: g, version, kind }: GroupVersionKind) => ({ group: g, version, kind });
const resourceOf = ({ group: g, version, resource }: ServedKind) => ({ group: g, version, resource });

/** What a webhook has decided. */
export interface Verdict {
  readonly allowed: boolean;
  readonly status?: Partial<Status>;
  readonly auditAnnotations: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
  /** The operations of a JSON patch, not looked at yet. */
  readonly patch?: unknown;
}

/** Throws an Error that says why the answer is none (`received invalid webhook response: …`). */
export function readReview(answer: unknown, version: string, uid: string, mutating: boolean): Verdict {
  const review = answer as { readonly kind?: unknown; readonly apiVersion?: unknown; readonly response?: unknown };
  const invalid = (why: string) => new Error(`received invalid webhook response: ${why}`);
  const response = review.response as Readonly<Record<string, unknown>> | null | undefined;
  if (typeof response !== 'object' || response === null) throw invalid('webhook response was absent');
  if (version === 'v1') {
    if (response.uid !== uid)
      throw invalid(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response.uid ?? '')}`);
    const [expected, got] = [`${group}/v1, Kind=AdmissionReview`, typeText(review)];
    if (expected !== got) throw invalid(`expected webhook response of ${expected}, got ${got}`);
  }
  const strings = (value: unknown): readonly string[] =>
    Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
  const annotations = Object.entries((response.auditAnnotations as object | undefined) ?? {}).filter(
    (pair): pair is [string, string] => typeof pair[1] === 'string',
  );
  return {
    allowed: response.allowed === true,
    status: (response.status as Partial<Status> | undefined) ?? undefined,
    auditAnnotations: Object.fromEntries(annotations),
    warnings: strings(response.warnings),
    patch: patchOf(response, version, mutating, invalid),
  };
}

function typeText({ kind, apiVersion }: { readonly kind?: unknown; readonly apiVersion?: unknown }): string {
  const version = typeof apiVersion === 'string' ? apiVersion : '';
  return `${version.includes('/') ? version : `/${version}`}, Kind=${typeof kind === 'string' ? kind : ''}`;
}

function patchOf(
  { patch, patchType }: Readonly<Record<string, unknown>>,
  version: string,
  mutating: boolean,
  invalid: (why: string) => Error,
): unknown {
  const has = typeof patch === 'string' && patch !== '';
  if (!mutating) {
    if (has && version === 'v1') throw invalid('validating webhook may not return response.patch');
    if (patchType != null && version === 'v1') throw invalid('validating webhook may not return response.patchType');
    return undefined;
  }
  if (version === 'v1') {
    if (has && patchType == null) throw invalid('webhook returned response.patch but not response.patchType');
    if (!has && patchType != null) throw invalid('webhook returned response.patchType but not response.patch');
    if (patchType === '') throw invalid('webhook returned invalid response.patchType of ""');
  }
  if (!has) return undefined;
  if (patchType != null && patchType !== 'JSONPatch')
    throw new Error(`unsupported patch type ${JSON.stringify(patchType)}`);
  return JSON.parse(Buffer.from(patch, 'base64').toString()) as unknown;
}
