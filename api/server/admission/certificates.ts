import { type CertificateSigningRequest, type ClusterTrustBundle, equalJson, forbidden } from '@trimtab/machinery';
import { mastersGroup } from '../authentication/groups.js';
import type { AdmissionAttributes, AdmissionPlugin, Authorizer, UserInfo } from '../contracts.js';
import { concerns, refuse } from './attributes.js';
import { subjectOfRequest } from './certificate-request.js';

/** Who may approve and sign for a signer, and attest its trust: verbs on `signers`, by name or `domain/*`. */

const group = 'certificates.k8s.io';

function mayFor(authorizer: Authorizer, user: UserInfo, verb: string, signer: string): boolean {
  const allowed = (name: string) =>
    authorizer.authorize({
      user,
      verb,
      resource: { group, version: '*', resource: 'signers', subresource: '', namespace: '', name },
    }).allowed;
  const slash = signer.indexOf('/');
  return allowed(signer) || (slash >= 0 && allowed(`${signer.slice(0, slash)}/*`));
}

const updates = ({ type, subresource, operation }: AdmissionAttributes, wanted: string): boolean =>
  type.group === group &&
  type.resource === 'certificatesigningrequests' &&
  subresource === wanted &&
  operation === 'UPDATE';

export const certificateApproval = (authorizer: Authorizer): AdmissionPlugin => ({
  name: 'CertificateApproval',
  validate(attributes) {
    if (!updates(attributes, 'approval')) return;
    const signer = (attributes.object as CertificateSigningRequest).spec?.signerName ?? '';
    if (mayFor(authorizer, attributes.user, 'approve', signer)) return;
    throw refuse(attributes, `user not permitted to approve requests with signerName ${JSON.stringify(signer)}`);
  },
});

export const certificateSigning = (authorizer: Authorizer): AdmissionPlugin => ({
  name: 'CertificateSigning',
  validate(attributes) {
    if (!updates(attributes, 'status')) return;
    const now = attributes.object as CertificateSigningRequest;
    const before = attributes.oldObject as CertificateSigningRequest;
    if (
      now.status?.certificate === before.status?.certificate &&
      equalJson(now.status?.conditions ?? [], before.status?.conditions ?? [])
    )
      return;
    const signer = before.spec?.signerName ?? '';
    if (mayFor(authorizer, attributes.user, 'sign', signer)) return;
    throw refuse(attributes, `user not permitted to sign requests with signerName ${JSON.stringify(signer)}`);
  },
});

const clientSigner = 'kubernetes.io/kube-apiserver-client';

/** Nobody gets a client certificate that makes him one of those who may do everything. */
export const certificateSubjectRestriction: AdmissionPlugin = {
  name: 'CertificateSubjectRestriction',
  validate(attributes) {
    if (!concerns(attributes, `${group}/certificatesigningrequests`, 'CREATE')) return;
    const { spec } = attributes.object as CertificateSigningRequest;
    if (spec?.signerName !== clientSigner) return;
    let organizations: readonly string[];
    try {
      organizations = subjectOfRequest(Buffer.from(spec.request ?? '', 'base64').toString('latin1')).organizations;
    } catch (error) {
      throw refuse(attributes, `failed to parse CSR: ${error instanceof Error ? error.message : error}`);
    }
    if (organizations.includes(mastersGroup))
      throw refuse(attributes, `use of ${clientSigner} signer with ${mastersGroup} group is not allowed`);
  },
};

/** Writing what is to be trusted of a signer takes the right to attest it; served where beta versions are. */
export const clusterTrustBundleAttest = (authorizer: Authorizer): AdmissionPlugin => ({
  name: 'ClusterTrustBundleAttest',
  validate(attributes) {
    if (!concerns(attributes, `${group}/clustertrustbundles`, 'CREATE', 'UPDATE')) return;
    const signer = (attributes.object as ClusterTrustBundle).spec?.signerName ?? '';
    if (signer === '' || mayFor(authorizer, attributes.user, 'attest', signer)) return;
    throw forbidden(
      { group, resource: 'clustertrustbundles' },
      attributes.name,
      `user not permitted to attest for signerName ${JSON.stringify(signer)}`,
    );
  },
});
