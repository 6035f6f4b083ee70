import { isIP } from 'node:net';

/** What went wrong on the way to a webhook, in the words Kubernetes' clients and operators know. Pure. */

/** `Post "<url>": <why>`, or why the answer cannot be used. */
export class WebhookCallError extends Error {
  override readonly name = 'WebhookCallError';
  constructor(
    message: string,
    /** It took longer than it was given. */
    readonly timedOut = false,
  ) {
    super(message);
  }
}

/** How a webhook that could not be asked is told of: `failed calling webhook "x": failed to call webhook: Post …`. */
export const failedCallingWebhook = (name: string, reason: string): string =>
  `failed calling webhook ${JSON.stringify(name)}: ${reason}`;

interface SystemError {
  readonly code?: string;
  readonly message?: string;
  readonly reason?: string;
  readonly cert?: { readonly subjectaltname?: string; readonly subject?: { readonly CN?: string } };
}

const dialing: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  EADDRNOTAVAIL: 'connect: cannot assign requested address',
  ETIMEDOUT: 'i/o timeout',
};

const unknownAuthority = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
]);

/** A connection's failure as the original's network library words it. */
export function connectionFailure(error: unknown, host: string, port: number, serverName: string): string {
  const { code = '', message = String(error), cert } = error as SystemError;
  const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const dial = dialing[code];
  if (dial) return `dial tcp ${address}: ${dial}`;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `dial tcp: lookup ${host}: no such host`;
  if (code === 'ECONNRESET' || code === 'EPIPE' || message === 'socket hang up') return 'EOF';
  const verify = 'tls: failed to verify certificate: x509:';
  if (unknownAuthority.has(code)) return `${verify} certificate signed by unknown authority`;
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    return `${verify} certificate has expired or is not yet valid`;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `${verify} ${otherNames(cert, serverName)}`;
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || /wrong version number|packet length too long/.test(message))
    return 'http: server gave HTTP response to HTTPS client';
  return message;
}

function otherNames(cert: SystemError['cert'], wanted: string): string {
  const names = (cert?.subjectaltname ?? '')
    .split(', ')
    .filter(Boolean)
    .map((name) => name.slice(name.indexOf(':') + 1));
  if (isIP(wanted)) {
    const addresses = names.filter((name) => isIP(name));
    return addresses.length > 0
      ? `certificate is valid for ${addresses.join(', ')}, not ${wanted}`
      : `cannot validate certificate for ${wanted} because it doesn't contain any IP SANs`;
  }
  return names.length > 0
    ? `certificate is valid for ${names.join(', ')}, not ${wanted}`
    : `certificate is not valid for any names, but wanted to match ${wanted}`;
}

const byStatus: Readonly<Record<number, string>> = {
  400: 'the server rejected our request for an unknown reason',
  401: 'the server has asked for the client to provide credentials',
  404: 'the server could not find the requested resource',
  405: 'the server does not allow this method on the requested resource',
  406: 'the server was unable to respond with a content type that the client supports',
  409: 'the server reported a conflict',
  413: 'Request entity too large',
  415: 'the body of the request was in an unknown format',
  422: 'the server rejected our request due to an error in our request',
  429: 'the server has received too many requests and has asked us to try again later',
  503: 'the server is currently unable to handle the request',
  504: 'the server was unable to return a response in the time allotted, but may still be processing the request',
};

/** What an answer outside 2xx means. */
export function statusFailure(code: number, body: string): string {
  const text = body.trim().slice(0, 2048);
  if (code === 403) return text || 'forbidden';
  const known = byStatus[code];
  if (known) return known;
  if (code >= 500)
    return `an error on the server (${JSON.stringify(text || 'unknown')}) has prevented the request from succeeding`;
  return `the server responded with the status code ${code} but did not return more information`;
}
