import { X509Certificate } from 'node:crypto';
import type { CertificateSigningRequest } from '@trimtab/machinery';

const hour = 3600_000;
/** kubernetes: pkg/controller/certificates/cleaner. */
export const lifetimes = { approved: hour, denied: hour, failed: hour, pending: 24 * hour } as const;

export const conditionTime = (csr: CertificateSigningRequest, type: string): number | undefined => {
  const condition = csr.status?.conditions?.find((c) => c.type === type);
  return condition && Date.parse(condition.lastUpdateTime ?? csr.metadata.creationTimestamp ?? '');
};

export const has = (csr: CertificateSigningRequest, type: string): boolean =>
  csr.status?.conditions?.some((c) => c.type === type) ?? false;

/** When nobody needs a request any more: an hour after it was decided, a day after nobody decided, or when its certificate ends. */
export function endOf(csr: CertificateSigningRequest): number {
  const created = Date.parse(csr.metadata.creationTimestamp ?? '');
  const { certificate } = csr.status ?? {};
  const after = (type: string, lifetime: number): number =>
    (conditionTime(csr, type) ?? Number.POSITIVE_INFINITY) + lifetime;
  const decided = Math.min(
    after('Denied', lifetimes.denied),
    after('Failed', lifetimes.failed),
    certificate ? after('Approved', lifetimes.approved) : Number.POSITIVE_INFINITY,
  );
  const isPending = !has(csr, 'Approved') && !has(csr, 'Denied') && !has(csr, 'Failed');
  return Math.min(
    decided,
    isPending ? created + lifetimes.pending : Number.POSITIVE_INFINITY,
    certificateEnd(certificate),
  );
}

function certificateEnd(base64: string | undefined): number {
  if (!base64) return Number.POSITIVE_INFINITY;
  try {
    return Date.parse(new X509Certificate(Buffer.from(base64, 'base64')).validTo);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
