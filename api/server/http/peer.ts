import { X509Certificate } from 'node:crypto';
import type { DetailedPeerCertificate, PeerCertificate, TLSSocket } from 'node:tls';
import type { Peer } from './exchange.js';
import type { TlsOptions } from './listen.js';

/** Where a certificate's subject may carry the user's uid (kubernetes: AllowParsingUserUIDFromCertAuth). */
const uidAttribute = '1.3.6.1.4.1.57683.2';

/**
 * Tells who is at the other end of a connection. What chains to the authority of clients is an identity; what chains to the
 * authority of authenticating proxies may speak for others and is nobody itself; the two are told apart by the authority
 * the chain ends at, never by what the certificate says of itself.
 */
export function peerReader(tls: TlsOptions): (socket: TLSSocket) => Peer {
  const clients = fingerprints(tls.clientCa);
  const proxies = fingerprints(tls.requestHeaderCa);
  return (socket) => {
    const address = socket.remoteAddress ?? '';
    if (!socket.authorized) return { address };
    const leaf = socket.getPeerCertificate(proxies.size > 0);
    const chain = proxies.size > 0 ? chainOf(leaf as DetailedPeerCertificate) : undefined;
    const from = (authorities: ReadonlySet<string>) => chain?.some((print) => authorities.has(print)) ?? true;
    const subject = leaf.subject as PeerCertificate['subject'] | undefined;
    const [commonName = ''] = values(subject, 'CN');
    if (commonName === '') return { address };
    const [uid] = values(subject, uidAttribute);
    return {
      address,
      ...(from(clients)
        ? {
            expiresAt: Date.parse(leaf.valid_to),
            certificate: { commonName, organizations: values(subject, 'O'), ...(uid ? { uid } : {}) },
          }
        : {}),
      ...(proxies.size > 0 && from(proxies) ? { proxyCertificate: { commonName } } : {}),
    };
  };
}

function values(subject: object | undefined, attribute: string): readonly string[] {
  const value = (subject as Readonly<Record<string, unknown>> | undefined)?.[attribute];
  if (Array.isArray(value)) return value.map(String);
  return value === undefined || value === '' ? [] : [String(value)];
}

const longestChain = 16;

function chainOf(leaf: DetailedPeerCertificate): readonly string[] {
  const prints: string[] = [];
  let at: DetailedPeerCertificate | undefined = leaf;
  while (at?.fingerprint256 && prints.length < longestChain && !prints.includes(at.fingerprint256)) {
    prints.push(at.fingerprint256);
    at = at.issuerCertificate;
  }
  return prints;
}

function fingerprints(pem: string | undefined): ReadonlySet<string> {
  const blocks = (pem ?? '').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return new Set(blocks.map((block) => new X509Certificate(block).fingerprint256));
}
