import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import type { Clock } from '@trimtab/machinery';
import { type Issuer, type KeyPair, newKey, type Subject, signCertificate, signRequest } from './certificate.js';
import { checkNames, namesOf, sameNames } from './names.js';
import { ensurePrivateDirectory, readIfThere, writePrivateFile } from './pki-files.js';
import { readSigningRequest } from './signing-request.js';

export interface PkiOptions {
  /** Host names the API server is reached by, beyond localhost and `kubernetes.default.svc` and its shorter forms. */
  readonly names?: readonly string[];
  /** IP addresses it is reached by, beyond the loopback ones: the first service IP, the node's addresses. */
  readonly addresses?: readonly string[];
  /** Nodes that get a kubelet certificate (`system:node:<name>` in `system:nodes`). */
  readonly nodeNames?: readonly string[];
  /** The cluster's DNS domain; default `cluster.local`. */
  readonly dnsDomain?: string;
  readonly clock: Clock;
}

/** The cluster's identities. All PEM; what is in it stays valid at least until `renewAt`. */
export interface Pki {
  readonly caCertificate: string;
  readonly serving: KeyPair;
  readonly admin: KeyPair;
  readonly nodes: Readonly<Record<string, KeyPair>>;
  /**
   * With which the API server speaks for its callers to aggregated servers; an authority of its own, which signs nobody else.
   * Its key pair is made when it is first read.
   */
  readonly frontProxy: KeyPair & { readonly caCertificate: string };
  /** Signs and verifies service-account tokens. */
  readonly serviceAccountKey: { readonly privateKey: KeyObject; readonly publicKey: KeyObject };
  /** When to call {@link ensurePki} again, in milliseconds since the epoch. */
  readonly renewAt: number;
  /** A client certificate that is kept nowhere: for another node, or for a user. */
  issueClient(subject: Subject): KeyPair;
  /**
   * The certificate for a request in PEM form, for `seconds` (a year where not said), never beyond the authority's own end.
   * Throws when it is no request, or not signed with its own key. Whether it may be had is for the caller to know.
   */
  sign(request: string, usages: readonly string[], seconds?: number): string;
}

const day = 86_400_000;
const lifetime = { authority: 3650 * day, leaf: 365 * day };
/** A certificate this close to its end is replaced. */
const renewBefore = 30 * day;
/** Clocks of clients may run a little behind ours. */
const skew = 5 * 60_000;

const authorities = {
  ca: { commonName: 'trimtab-ca' },
  'front-proxy-ca': { commonName: 'trimtab-front-proxy-ca' },
} as const;
const clients = {
  admin: { commonName: 'kubernetes-admin', organizations: ['system:masters'] },
  'front-proxy-client': { commonName: 'front-proxy-client' },
} as const satisfies Record<string, Subject>;

const nodeSubject = (name: string): Subject => ({
  commonName: `system:node:${name}`,
  organizations: ['system:nodes'],
});

/**
 * The cluster's certificates and keys, made where they are missing and read where they exist. Files lie in `dir` with mode
 * 0600 (`ca`, `apiserver`, `admin`, `node-<name>`, `front-proxy-ca`, `front-proxy-client`,
 * each `.crt` and `.key`, and `sa.key`),
 * each replaced as a whole. A leaf is made anew when its names or its subject are not the wanted ones, when it does not
 * belong to its key or to the authority, or within 30 days of its end; the authority's certificate is renewed for the same
 * key, so that leaves stay good. Throws when a key file cannot be read or the authority's certificate is not its key's.
 */
export function ensurePki(dir: string, options: PkiOptions): Pki {
  ensurePrivateDirectory(dir);
  const now = options.clock.now();
  const authority = ensureAuthority(dir, 'ca', now);
  const proxyAuthority = ensureAuthority(dir, 'front-proxy-ca', now);
  const names = servingNames(options);
  checkNames(names);

  let renewAt = Math.min(authority.end, proxyAuthority.end) - renewBefore;
  const leaf = (
    file: string,
    subject: Subject,
    usage: 'server' | 'client',
    san: readonly string[] = [],
    signer = authority,
  ): KeyPair => {
    const kept = keptLeaf(dir, file, subject, san, signer, now);
    const pair = kept ?? issueLeaf(signer.issuer, subject, usage, san, now);
    if (!kept) {
      // The key first: a certificate without its key would look whole.
      writePrivateFile(dir, `${file}.key`, pair.key);
      writePrivateFile(dir, `${file}.crt`, pair.certificate);
    }
    renewAt = Math.min(renewAt, Date.parse(new X509Certificate(pair.certificate).validTo) - renewBefore);
    return pair;
  };

  let proxyPair: KeyPair | undefined;
  const proxy = (): KeyPair => {
    proxyPair ??= leaf('front-proxy-client', clients['front-proxy-client'], 'client', [], proxyAuthority);
    return proxyPair;
  };

  return {
    caCertificate: authority.certificate,
    serving: leaf('apiserver', { commonName: 'kube-apiserver' }, 'server', names),
    admin: leaf('admin', clients.admin, 'client'),
    nodes: Object.fromEntries(
      (options.nodeNames ?? []).map((name) => [name, leaf(`node-${name}`, nodeSubject(name), 'client')]),
    ),
    frontProxy: {
      caCertificate: proxyAuthority.certificate,
      get certificate() {
        return proxy().certificate;
      },
      get key() {
        return proxy().key;
      },
    },
    serviceAccountKey: ensureServiceAccountKey(dir),
    renewAt,
    sign(request, usages, seconds = lifetime.leaf / 1000) {
      const at = options.clock.now();
      const notAfter = Math.min(at + seconds * 1000, authority.end);
      const notBefore = at - Math.min(skew, seconds * 1000);
      return signRequest(readSigningRequest(request), { usages, notBefore, notAfter }, authority.issuer);
    },
    issueClient: (subject) => issueLeaf(authority.issuer, subject, 'client', [], options.clock.now()),
  };
}

function servingNames(options: PkiOptions): readonly string[] {
  const domain = options.dnsDomain ?? 'cluster.local';
  const service = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', `kubernetes.default.svc.${domain}`];
  return [
    ...new Set(['localhost', ...service, ...(options.names ?? []), '127.0.0.1', '::1', ...(options.addresses ?? [])]),
  ];
}

interface Authority {
  readonly certificate: string;
  readonly issuer: Issuer;
  readonly end: number;
}

function ensureAuthority(dir: string, file: keyof typeof authorities, now: number): Authority {
  const keyText = readIfThere(dir, `${file}.key`);
  const stored = readIfThere(dir, `${file}.crt`);
  const key = keyText === undefined ? newKey() : readKey(dir, `${file}.key`, keyText);
  const issuer: Issuer = { subject: authorities[file], key, publicKey: createPublicKey(key) };
  if (stored !== undefined) {
    const certificate = parse(stored);
    if (keyText === undefined || !certificate?.checkPrivateKey(key))
      throw new Error(
        `${dir}/${file}.crt does not belong to ${dir}/${file}.key: every certificate it signed hangs on this pair. Restore both from a backup, or remove the directory to start with a new authority (all kubeconfigs must then be handed out again)`,
      );
    const end = Date.parse(certificate.validTo);
    if (end - renewBefore > now) return { certificate: stored, issuer, end };
  }
  const end = now + lifetime.authority;
  const certificate = signCertificate(
    { subject: authorities[file], usage: 'authority', notBefore: now - skew, notAfter: end },
    issuer.publicKey,
    issuer,
  );
  if (keyText === undefined) writePrivateFile(dir, `${file}.key`, exportKey(key));
  writePrivateFile(dir, `${file}.crt`, certificate);
  return { certificate, issuer, end };
}

function keptLeaf(
  dir: string,
  file: string,
  subject: Subject,
  names: readonly string[],
  authority: Authority,
  now: number,
): KeyPair | undefined {
  const key = readIfThere(dir, `${file}.key`);
  const text = readIfThere(dir, `${file}.crt`);
  const certificate = text === undefined ? undefined : parse(text);
  if (key === undefined || text === undefined || certificate === undefined) return undefined;
  const wanted = [...(subject.organizations ?? []).map((o) => `O=${o}`), `CN=${subject.commonName}`].join('\n');
  const good =
    certificate.subject === wanted &&
    Date.parse(certificate.validTo) - renewBefore > now &&
    sameNames(namesOf(certificate.subjectAltName), names) &&
    certificate.verify(authority.issuer.publicKey) &&
    certificate.checkPrivateKey(readKey(dir, `${file}.key`, key));
  return good ? { certificate: text, key } : undefined;
}

function issueLeaf(
  issuer: Issuer,
  subject: Subject,
  usage: 'server' | 'client',
  names: readonly string[],
  now: number,
): KeyPair {
  const key = newKey();
  const request = { subject, usage, names, notBefore: now - skew, notAfter: now + lifetime.leaf };
  return { certificate: signCertificate(request, createPublicKey(key), issuer), key: exportKey(key) };
}

function ensureServiceAccountKey(dir: string): Pki['serviceAccountKey'] {
  const stored = readIfThere(dir, 'sa.key');
  const privateKey = stored === undefined ? newKey() : readKey(dir, 'sa.key', stored);
  if (stored === undefined) writePrivateFile(dir, 'sa.key', exportKey(privateKey));
  return { privateKey, publicKey: createPublicKey(privateKey) };
}

const exportKey = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

function readKey(dir: string, file: string, text: string): KeyObject {
  try {
    return createPrivateKey(text);
  } catch (cause) {
    throw new Error(
      `${dir}/${file} does not hold a private key in PEM form: restore it, or remove it to have a new one`,
      {
        cause,
      },
    );
  }
}

function parse(text: string): X509Certificate | undefined {
  try {
    return new X509Certificate(text);
  } catch {
    return undefined;
  }
}
