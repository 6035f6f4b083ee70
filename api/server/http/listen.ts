import http, { type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http';
import http2, { type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { Duplex, Writable } from 'node:stream';
import tls, { type TLSSocket } from 'node:tls';
import type { BodyTap, Exchange, Peer } from './exchange.js';
import { peerReader } from './peer.js';

export interface TlsOptions {
  /** PEM, leaf first. */
  readonly cert: string;
  readonly key: string;
  /** PEM certificates that client certificates must chain to; absent: client certificates are not looked at. */
  readonly clientCa?: string;
  /** PEM certificates that those of authenticating proxies must chain to; such a certificate is nobody's identity. */
  readonly requestHeaderCa?: string;
}

export interface ListenOptions {
  readonly bind: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly tls: TlsOptions;
  handle(exchange: Exchange): void;
  /** How long an HTTP/2 connection may be idle, in milliseconds; ten minutes unless said otherwise. */
  readonly idleMs?: number;
  /** HTTP/1.1 upgrades: the raw socket, and what of the stream has been read already. */
  upgrade(request: IncomingMessage, peer: Peer, socket: Duplex, head: Buffer): void;
  onError(error: Error): void;
  onHandshakeError?(): void;
}

export interface Listener {
  readonly port: number;
  /** What new connections are shown; who is believed stays as it was. */
  renew(pair: Pick<TlsOptions, 'cert' | 'key'>): void;
  close(): Promise<void>;
}

const maxStreams = 1000;
const idleMs = 600_000;
const nobody: Peer = { address: '' };
const connectionHeaders: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/**
 * One TLS port for HTTP/2 and HTTP/1.1, told apart by ALPN. Rejects with an error that names the port when it is taken.
 * Client certificates are asked for and, where they do not chain to `clientCa`, treated as absent.
 */
export function listen(options: ListenOptions): Promise<Listener> {
  const peers = new WeakMap<object, Peer>();
  const sockets = new Set<TLSSocket>();
  const authorities = [options.tls.clientCa, options.tls.requestHeaderCa].filter((ca) => ca !== undefined);
  const peerOf = peerReader(options.tls);
  const h1 = http.createServer({ keepAliveTimeout: 120_000 });
  // It never listens itself, and only what listens ends clients that do not finish their requests in time.
  h1.emit('listening');
  const h2 = http2.createServer({
    settings: { maxConcurrentStreams: maxStreams, initialWindowSize: 1 << 20 },
    maxSessionMemory: 256,
  });
  const context: tls.SecureContextOptions = {
    minVersion: 'TLSv1.2',
    ...(authorities.length > 0 ? { ca: authorities } : {}),
  };
  const server = tls.createServer({
    ...context,
    cert: options.tls.cert,
    key: options.tls.key,
    ALPNProtocols: ['h2', 'http/1.1'],
    ...(authorities.length > 0 ? { requestCert: true, rejectUnauthorized: false } : {}),
  });

  server.on('secureConnection', (socket) => {
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', options.onError);
    peers.set(socket, peerOf(socket));
    if (socket.alpnProtocol === 'h2') h2.emit('connection', socket);
    else h1.emit('connection', socket);
  });
  server.on('tlsClientError', (error) => {
    options.onHandshakeError?.();
    options.onError(error);
  });
  h2.on('session', (session: ServerHttp2Session) => {
    peers.set(session, peerOf(session.socket as TLSSocket));
    session.on('error', options.onError);
    closeWhenIdle(session, options.idleMs ?? idleMs);
  });
  h2.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', options.onError);
    const peer = stream.session && peers.get(stream.session);
    // A stream whose connection is gone has nobody to answer, and above all nobody's identity.
    if (peer) options.handle(new Http2Exchange(stream, headers, peer));
    else stream.destroy();
  });
  h1.on('request', (request, response) => {
    options.handle(new Http1Exchange(request, response, peers.get(request.socket) ?? nobody));
  });
  h1.on('upgrade', (request, socket, head) => {
    socket.on('error', options.onError);
    options.upgrade(request, peers.get(request.socket) ?? nobody, socket, head);
  });
  h1.on('clientError', (error, socket) => {
    options.onError(error);
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
  });

  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(portError(error, options)));
    server.listen({ host: options.bind, port: options.port }, () => {
      server.removeAllListeners('error');
      server.on('error', options.onError);
      resolve({
        port: (server.address() as AddressInfo).port,
        renew: ({ cert, key }) => server.setSecureContext({ ...context, cert, key }),
        close: () =>
          new Promise((done) => {
            server.close(() => done());
            h1.close();
            for (const socket of sockets) socket.destroy();
          }),
      });
    });
  });
}

/** Ends a connection on which nothing is asked or answered for so long; a watch that has nothing to say is no idleness. */
function closeWhenIdle(session: ServerHttp2Session, after: number): void {
  let open = 0;
  session.on('stream', (stream: ServerHttp2Stream) => {
    open++;
    stream.once('close', () => open--);
  });
  const idle = () => {
    if (open === 0) session.close();
    else session.setTimeout(after, idle);
  };
  session.setTimeout(after, idle);
}

function portError(error: NodeJS.ErrnoException, { bind, port }: ListenOptions): Error {
  if (error.code === 'EADDRINUSE')
    return new Error(`cannot listen on ${bind}:${port}: port ${port} is in use by another process`, { cause: error });
  if (error.code === 'EACCES')
    return new Error(`cannot listen on ${bind}:${port}: port ${port} needs more privileges`, { cause: error });
  if (error.code === 'EADDRNOTAVAIL')
    return new Error(`cannot listen on ${bind}:${port}: this machine has no address ${bind}`, { cause: error });
  return error;
}

/** Most requests never ask for their signal, and a reason of our own spares making an exception for each that ends. */
function abortWith(stream: Writable): AbortController {
  const abort = new AbortController();
  if (stream.destroyed) abort.abort('closed');
  else stream.once('close', () => abort.abort('closed'));
  return abort;
}

class Http2Exchange implements Exchange {
  readonly method: string;
  readonly url: string;
  extraHeaders?: OutgoingHttpHeaders;
  code?: number | undefined;
  tap?: BodyTap;
  #abort: AbortController | undefined;

  constructor(
    readonly body: ServerHttp2Stream,
    readonly headers: IncomingHttpHeaders,
    readonly peer: Peer,
  ) {
    this.method = headers[':method'] ?? 'GET';
    this.url = headers[':path'] ?? '/';
  }

  get signal(): AbortSignal {
    this.#abort ??= abortWith(this.body);
    return this.#abort.signal;
  }

  get left(): boolean {
    return this.body.aborted;
  }

  get answered(): boolean {
    return this.body.headersSent || this.body.closed || this.body.destroyed;
  }

  respond(status: number, headers: OutgoingHttpHeaders, body?: Buffer): void {
    if (this.answered) return;
    this.code = status;
    if (!body || body.length === 0) {
      this.body.respond({ ':status': status, ...headers, ...this.extraHeaders }, { endStream: true });
      return;
    }
    this.body.respond({ ':status': status, ...headers, ...this.extraHeaders, 'content-length': body.length });
    if (this.method === 'HEAD') this.body.end();
    else this.body.end(body);
  }

  open(status: number, headers: OutgoingHttpHeaders) {
    if (!this.answered) {
      this.code = status;
      this.body.respond({ ':status': status, ...headers, ...this.extraHeaders });
      this.tap?.opened(status);
    }
    return this.body;
  }
}

class Http1Exchange implements Exchange {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  extraHeaders?: OutgoingHttpHeaders;
  code?: number | undefined;
  tap?: BodyTap;
  #abort: AbortController | undefined;

  constructor(
    readonly body: IncomingMessage,
    readonly response: ServerResponse,
    readonly peer: Peer,
  ) {
    this.method = body.method ?? 'GET';
    this.url = body.url ?? '/';
    this.headers = body.headers;
  }

  get signal(): AbortSignal {
    this.#abort ??= abortWith(this.response);
    return this.#abort.signal;
  }

  get left(): boolean {
    return this.response.destroyed && !this.response.writableFinished;
  }

  get answered(): boolean {
    return this.response.headersSent || this.response.destroyed;
  }

  respond(status: number, headers: OutgoingHttpHeaders, body?: Buffer): void {
    if (this.answered) return;
    this.code = status;
    this.response.writeHead(status, { ...headers, ...this.extraHeaders, 'content-length': body?.length ?? 0 });
    this.response.end(this.method === 'HEAD' ? undefined : body);
  }

  open(status: number, headers: OutgoingHttpHeaders) {
    if (!this.answered) {
      this.code = status;
      this.response.writeHead(status, { ...headers, ...this.extraHeaders });
      this.tap?.opened(status);
      this.response.flushHeaders();
    }
    return this.response;
  }
}

/** Headers that HTTP/2 has no place for are left out when an answer is passed on. */
export function withoutConnectionHeaders(headers: http.IncomingHttpHeaders): OutgoingHttpHeaders {
  const named = (headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase());
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !connectionHeaders.has(name) && !named.includes(name)),
  );
}
