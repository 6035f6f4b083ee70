import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import type { Readable, Writable } from 'node:stream';

/** Who is at the other end of a connection, as TLS knows it. */
export interface Peer {
  readonly address: string;
  readonly certificate?: {
    readonly commonName: string;
    readonly organizations: readonly string[];
    readonly uid?: string;
  };
  /** When the certificate ends, in milliseconds since 1970. */
  readonly expiresAt?: number;
  /** Where it chains to the authority of authenticating proxies. */
  readonly proxyCertificate?: { readonly commonName: string };
}

/** One request and its answer, the same for HTTP/1.1 and HTTP/2. */
export interface Exchange {
  readonly method: string;
  /** The request target: path and query, percent-encoded. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly peer: Peer;
  readonly body: Readable;
  /** Sent with the answer, whatever it is. */
  extraHeaders?: OutgoingHttpHeaders;
  /** The status of the answer, once its head is out. */
  readonly code?: number | undefined;
  /** Bytes of the answer's body so far, as they are sent. */
  sent?: number;
  /** Told of the body received and of that answered, where somebody wants to know. */
  tap?: BodyTap;
  /** Whether the client has gone before the answer was complete, as far as that is known. */
  readonly left?: boolean;
  /** Aborted when the client has gone before the answer was complete. */
  readonly signal: AbortSignal;
  /** Whether the answer's head is out already, so that no other can be given. */
  readonly answered: boolean;
  /** Sends the whole answer. */
  respond(status: number, headers: OutgoingHttpHeaders, body?: Buffer): void;
  /** Sends the head and gives the stream the body goes to. */
  open(status: number, headers: OutgoingHttpHeaders): Writable;
}

export interface BodyTap {
  received(bytes: Buffer): void;
  answered(bytes: Buffer): void;
  /** The head of a streamed answer is out. */
  opened(code: number): void;
}

export function header(exchange: { readonly headers: IncomingHttpHeaders }, name: string): string | undefined {
  const value = exchange.headers[name.toLowerCase()];
  return Array.isArray(value) ? value.join(', ') : value;
}
