import type { Identities, RequestVerdict } from '@trimtab/controllers';
import type { CertificateSigningRequest } from '@trimtab/machinery';
import {
  clientSigner,
  kubeletClientSigner,
  kubeletServingSigner,
  legacyUnknownSigner,
  readSigningRequest,
  refusalToSign,
} from '@trimtab/server';
import type { ControlPlane } from './control-plane.js';

const known: ReadonlySet<string> = new Set([
  clientSigner,
  kubeletClientSigner,
  kubeletServingSigner,
  legacyUnknownSigner,
]);
const pemOf = (csr: CertificateSigningRequest): string => Buffer.from(csr.spec.request, 'base64').toString('utf8');

/** The control plane's keys and authorizer, as far as the controllers that hand out identities need them. */
export function identitiesOf(plane: Pick<ControlPlane, 'pki' | 'security'>): Identities {
  const { security } = plane;
  return {
    judge(csr): RequestVerdict {
      if (!known.has(csr.spec.signerName)) return { known: false };
      const { signerName, usages = [], username = '', groups = [] } = csr.spec;
      const request = readSigningRequest(pemOf(csr));
      const refusal = refusalToSign({ signerName, usages, username }, request);
      if (refusal !== undefined || signerName !== kubeletClientSigner)
        return { known: true, ...(refusal === undefined ? {} : { refusal }) };
      const kinds =
        request.commonName === username ? (['selfnodeclient', 'nodeclient'] as const) : (['nodeclient'] as const);
      const autoApproval = kinds.find(
        (subresource) =>
          security.authorizer.authorize({
            user: { name: username, groups },
            verb: 'create',
            resource: {
              group: 'certificates.k8s.io',
              version: 'v1',
              resource: 'certificatesigningrequests',
              subresource,
              namespace: '',
              name: '',
            },
          }).allowed,
      );
      return { known: true, ...(autoApproval ? { autoApproval } : {}) };
    },
    sign: (csr) => plane.pki.sign(pemOf(csr), csr.spec.usages ?? [], csr.spec.expirationSeconds),
    secretToken: ({ namespace, account, uid, secret }) =>
      security.tokens.issueForSecret({ namespace, serviceAccount: { name: account, uid }, secretName: secret }),
  };
}
