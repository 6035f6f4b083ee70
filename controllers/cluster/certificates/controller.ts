import {
  type ControllerDefinition,
  change,
  changeStatus,
  controller,
  type Effect,
  remove,
  requeueAfter,
} from '@trimtab/framework';
import { type CertificateSigningRequest, CertificateSigningRequests, timestamp } from '@trimtab/machinery';
import type { Identities, RequestVerdict } from '../identities.js';
import { endOf, has } from './facts.js';

const reasons = {
  selfnodeclient: 'Auto approving self kubelet client certificate after SubjectAccessReview.',
  nodeclient: 'Auto approving kubelet client certificate after SubjectAccessReview.',
} as const;

/** Kubelets' client certificates that who asks may have without anybody looking. */
function approve(csr: CertificateSigningRequest, { autoApproval }: RequestVerdict, now: number): readonly Effect[] {
  if (autoApproval === undefined) return [];
  const at = timestamp(now);
  return change(
    CertificateSigningRequests,
    csr,
    (draft) => {
      draft.status ??= {};
      draft.status.conditions = [
        ...(draft.status.conditions ?? []),
        {
          type: 'Approved',
          status: 'True',
          reason: 'AutoApproved',
          message: reasons[autoApproval],
          lastUpdateTime: at,
          lastTransitionTime: at,
        },
      ];
    },
    { subresource: 'approval' },
  );
}

/** What is approved is signed, or said for good why it is not. */
function sign(
  csr: CertificateSigningRequest,
  verdict: RequestVerdict,
  identities: Identities,
  now: number,
): readonly Effect[] {
  const at = timestamp(now);
  return changeStatus(CertificateSigningRequests, csr, (draft) => {
    draft.status ??= {};
    if (verdict.refusal === undefined) draft.status.certificate = Buffer.from(identities.sign(csr)).toString('base64');
    else
      draft.status.conditions = [
        ...(draft.status.conditions ?? []),
        {
          type: 'Failed',
          status: 'True',
          reason: 'SignerValidationFailure',
          message: verdict.refusal,
          lastUpdateTime: at,
          lastTransitionTime: at,
        },
      ];
  });
}

/**
 * The life of a CertificateSigningRequest: approved by itself where a kubelet asks for its own, signed once approved where one
 * of Kubernetes' own signers is asked, and removed when nobody needs it any more.
 */
export const certificateController = (identities: Identities): ControllerDefinition =>
  controller<CertificateSigningRequest>({
    name: 'certificate-controller',
    for: CertificateSigningRequests,
    reconcile({ object: csr, now }) {
      if (!csr || csr.metadata.deletionTimestamp) return [];
      const end = endOf(csr);
      if (end <= now) return [remove(CertificateSigningRequests, csr)];
      const later = Number.isFinite(end) ? [requeueAfter(end - now)] : [];
      if (csr.status?.certificate || has(csr, 'Denied') || has(csr, 'Failed')) return later;
      const verdict = identities.judge(csr);
      if (!has(csr, 'Approved')) return [...approve(csr, verdict, now), ...later];
      return verdict.known ? [...sign(csr, verdict, identities, now), ...later] : later;
    },
  });
