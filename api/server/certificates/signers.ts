import type { SigningRequest } from './signing-request.js';

/** The signers Kubernetes itself has, and what each of them signs (kubernetes.io/docs: «Kubernetes signers»). Pure. */

export const clientSigner = 'kubernetes.io/kube-apiserver-client';
export const kubeletClientSigner = 'kubernetes.io/kube-apiserver-client-kubelet';
export const kubeletServingSigner = 'kubernetes.io/kubelet-serving';
export const legacyUnknownSigner = 'kubernetes.io/legacy-unknown';

export interface SigningSpec {
  readonly signerName: string;
  readonly usages: readonly string[];
  readonly username: string;
}

const nodePrefix = 'system:node:';

/** Why this signer does not sign that; undefined: it does, once it is approved. Signers not known here sign elsewhere. */
export function refusalToSign(
  { signerName, usages, username }: SigningSpec,
  request: SigningRequest,
): string | undefined {
  switch (signerName) {
    case clientSigner:
      return clientUsages(usages);
    case kubeletClientSigner:
      return (
        nodeSubject(request) ??
        (hasNames(request) ? 'DNS names, IP addresses, email addresses and URIs are not allowed' : undefined) ??
        exactUsages(usages, 'client auth')
      );
    case kubeletServingSigner:
      return (
        nodeSubject(request) ??
        (request.commonName === username
          ? undefined
          : `the subject common name must be the name of who asks, ${username}`) ??
        (request.dnsNames.length + request.ipAddresses.length > 0
          ? undefined
          : 'DNS or IP subjectAltName is required') ??
        (request.emailAddresses.length + request.uris.length > 0
          ? 'email and URI subjectAltNames are not allowed'
          : undefined) ??
        exactUsages(usages, 'server auth')
      );
    default:
      return undefined;
  }
}

function nodeSubject({ organizations, commonName }: SigningRequest): string | undefined {
  if (organizations.length !== 1 || organizations[0] !== 'system:nodes')
    return 'subject organization is not system:nodes';
  return commonName.startsWith(nodePrefix) && commonName.length > nodePrefix.length
    ? undefined
    : 'subject common name does not begin with system:node:';
}

const hasNames = (r: SigningRequest): boolean =>
  r.dnsNames.length + r.ipAddresses.length + r.emailAddresses.length + r.uris.length > 0;

/** A key that can encipher is asked for with RSA keys and needless with others. */
function exactUsages(usages: readonly string[], needed: string): string | undefined {
  const allowed = ['digital signature', 'key encipherment', needed];
  const wrong = usages.find((usage) => !allowed.includes(usage));
  if (wrong !== undefined) return `usage "${wrong}" is not allowed`;
  return usages.includes(needed) && usages.includes('digital signature')
    ? undefined
    : `usages "digital signature" and "${needed}" are required`;
}

function clientUsages(usages: readonly string[]): string | undefined {
  const allowed = ['digital signature', 'key encipherment', 'client auth'];
  const wrong = usages.find((usage) => !allowed.includes(usage));
  if (wrong !== undefined) return `usage "${wrong}" is not allowed`;
  return usages.includes('client auth') ? undefined : 'usage "client auth" is required';
}
