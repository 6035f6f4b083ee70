import type { KubeObject } from '@trimtab/machinery';
import fastJsonPatch from 'fast-json-patch';
import { type Admission, admit } from './admission.js';

/** `admission.k8s.io/v1` AdmissionReview, as far as it is read. */
export interface AdmissionReview {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly request?: {
    readonly uid: string;
    readonly kind: { readonly group: string; readonly version: string; readonly kind: string };
    readonly operation: string;
    readonly object?: KubeObject | null;
    readonly oldObject?: KubeObject | null;
    readonly dryRun?: boolean;
    readonly userInfo?: { readonly username?: string };
  };
  readonly response?: AdmissionResponse;
}

export interface AdmissionResponse {
  readonly uid: string;
  readonly allowed: boolean;
  readonly patchType?: 'JSONPatch';
  /** Base64. */
  readonly patch?: string;
  readonly status?: { readonly code: number; readonly reason: string; readonly message: string };
}

/** Answers a review. */
export function review(
  admissions: readonly Admission[],
  phase: 'mutate' | 'validate',
  asked: AdmissionReview,
): AdmissionReview {
  const { request } = asked;
  if (!request) throw new Error('an AdmissionReview without a request');
  const answer = (response: Omit<AdmissionResponse, 'uid'>): AdmissionReview => ({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: { uid: request.uid, ...response },
  });
  const verdict = admit(admissions, phase, {
    kind: request.kind,
    operation: request.operation,
    object: request.object ?? undefined,
    old: request.oldObject ?? undefined,
    user: request.userInfo?.username ?? '',
    dryRun: request.dryRun ?? false,
  });
  if ('refused' in verdict)
    return answer({ allowed: false, status: { code: 422, reason: 'Invalid', message: verdict.refused } });
  if (phase === 'validate' || !request.object || !verdict.object) return answer({ allowed: true });
  const patch = fastJsonPatch.compare(request.object, verdict.object);
  if (patch.length === 0) return answer({ allowed: true });
  return answer({
    allowed: true,
    patchType: 'JSONPatch',
    patch: Buffer.from(JSON.stringify(patch)).toString('base64'),
  });
}
