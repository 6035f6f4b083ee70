import type { CertificateSigningRequest } from '@trimtab/machinery';

/** How a certificate request stands with the signers Kubernetes itself has. */
export interface RequestVerdict {
  /** One of those signers is asked; requests to others are signed elsewhere. */
  readonly known: boolean;
  /** Why it will never be signed. */
  readonly refusal?: string;
  /** A kubelet's client certificate may be approved without anybody looking: its own, or a new node's. */
  readonly autoApproval?: 'selfnodeclient' | 'nodeclient';
}

/** What the control plane lends the controllers that hand out identities: its keys stay where they are. */
export interface Identities {
  /** Pure; never throws. `autoApproval` only where who asked has the permission of that name. */
  judge(csr: CertificateSigningRequest): RequestVerdict;
  /** The certificate in PEM form. */
  sign(csr: CertificateSigningRequest): string;
  /** The token that a Secret of type `kubernetes.io/service-account-token` holds; it lives as long as the Secret. */
  secretToken(of: {
    readonly namespace: string;
    readonly account: string;
    readonly uid: string;
    readonly secret: string;
  }): Promise<string>;
}
