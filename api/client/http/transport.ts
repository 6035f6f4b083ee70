import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import tls from 'node:tls';
import { type Clock, serviceUnavailable } from '@trimtab/machinery';
import type { HttpRequest, HttpResponse } from './exchange.js';
import type { Connection } from './kubeconfig.js';
import { SessionPool } from './session-pool.js';
import { openTunnel, tunnellingAgent } from './tunnel.js';

export interface TransportOptions {
  readonly connection: Connection;
  readonly clock: Clock;
  /** How long a connection may be silent before it is pinged, and how long the answer may take; default 30 s and 15 s. */
  readonly readIdleMs?: number;
  readonly pingTimeoutMs?: number;
}

const CONNECT_TIMEOUT_MS = 30_000;

/** TLS options that say who we are and whom we trust. */
export async function tlsOptions(connection: Connection): Promise<tls.ConnectionOptions> {
  const { ca, serverName, insecure, credentials } = connection;
  const { cert, key } = credentials ? await credentials.get() : connection;
  return {
    ...(ca ? { ca } : {}),
    ...(cert ? { cert } : {}),
    ...(key ? { key } : {}),
    ...(serverName ? { servername: serverName } : {}),
    ...(insecure ? { rejectUnauthorized: false } : {}),
  };
}

/** An HTTP/1.1 agent for this connection: its identity, its trust, its proxy. */
export async function agentFor(connection: Connection): Promise<http.Agent> {
  const secure = connection.server.startsWith('https:');
  const options = await tlsOptions(connection);
  if (connection.proxy) return tunnellingAgent(connection.proxy, { ...options, secure });
  return secure ? new https.Agent({ keepAlive: true, ...options }) : new http.Agent({ keepAlive: true });
}

/**
 * Speaks HTTP/2 over TLS where the server does (ALPN), HTTP/1.1 with kept-alive connections otherwise, both behind one
 * request. Every failure to reach the server is a StatusError `ServiceUnavailable`.
 */
export class Transport {
  readonly #url: URL;
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #pool: SessionPool;
  #agent: Promise<http.Agent> | undefined;
  #protocol: Promise<'h2' | 'http/1.1'> | undefined;

  constructor(options: TransportOptions) {
    const { connection, clock, readIdleMs = 30_000, pingTimeoutMs = 15_000 } = options;
    this.#url = new URL(connection.server);
    this.#connection = connection;
    this.#clock = clock;
    this.#pool = new SessionPool({
      connect: async () => this.#session(await this.#tlsSocket(['h2'])),
      clock,
      readIdleMs,
      pingTimeoutMs,
    });
  }

  async request(request: HttpRequest): Promise<HttpResponse> {
    try {
      if ((await this.#negotiated()) === 'http/1.1') return await this.#request1(request);
      return await this.#pool.request({ ...request, path: this.#path(request.path) }, this.#url.host);
    } catch (error) {
      throw unreachable(this.#connection.server, error);
    }
  }

  close(): void {
    this.#pool.close();
    this.#dropAgent();
  }

  /** Whoever asks from now on is on a new connection, with the identity of then; what is under way goes on. */
  reconnect(): void {
    this.#pool.retire();
    this.#dropAgent();
    this.#protocol = undefined;
  }

  #dropAgent(): void {
    void this.#agent?.then(
      (agent) => agent.destroy(),
      () => {},
    );
    this.#agent = undefined;
  }

  #path(path: string): string {
    return this.#url.pathname === '/' ? path : this.#url.pathname + path;
  }

  /** Asked once; a failure is forgotten, so that a server that comes up later is found. */
  #negotiated(): Promise<'h2' | 'http/1.1'> {
    if (this.#url.protocol !== 'https:') return Promise.resolve('http/1.1');
    this.#protocol ??= this.#tlsSocket(['h2', 'http/1.1']).then(
      (socket) => {
        if (socket.alpnProtocol === 'h2') {
          this.#pool.adopt(this.#session(socket));
          return 'h2';
        }
        socket.destroy();
        return 'http/1.1';
      },
      (error: unknown) => {
        this.#protocol = undefined;
        throw error;
      },
    );
    return this.#protocol;
  }

  async #tlsSocket(protocols: string[]): Promise<tls.TLSSocket> {
    const { hostname } = this.#url;
    const { proxy } = this.#connection;
    const host = hostname.replace(/^\[|\]$/g, '');
    const port = Number(this.#url.port || 443);
    const identity = await tlsOptions(this.#connection);
    const through = proxy ? await openTunnel(new URL(proxy), host, port) : undefined;
    return new Promise((resolve, reject) => {
      const socket = tls.connect({
        host,
        port,
        ...(through ? { socket: through } : {}),
        ALPNProtocols: protocols,
        ...(/[a-z]/i.test(host) && !host.includes(':') ? { servername: host } : {}),
        ...identity,
      });
      socket.setNoDelay(true);
      socket.setTimeout(CONNECT_TIMEOUT_MS, () => socket.destroy(new Error('connecting timed out')));
      socket.once('error', reject);
      socket.once('secureConnect', () => {
        socket.setTimeout(0);
        socket.off('error', reject);
        // A session leaves a socket that failed under it open.
        socket.on('error', () => socket.destroy());
        resolve(socket);
      });
    });
  }

  #session(socket: tls.TLSSocket): http2.ClientHttp2Session {
    return http2.connect(this.#url.origin, { createConnection: () => socket });
  }

  async #request1({ method, path, headers, body, signal, silenceMs }: HttpRequest): Promise<HttpResponse> {
    const { request } = this.#url.protocol === 'https:' ? https : http;
    this.#agent ??= agentFor(this.#connection).catch((error: unknown) => {
      this.#agent = undefined;
      throw error;
    });
    const agent = await this.#agent;
    return new Promise((resolve, reject) => {
      const outgoing = request(
        new URL(this.#path(path), this.#url),
        {
          method,
          agent,
          headers: { ...headers, ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }) },
          ...(signal ? { signal } : {}),
        },
        (incoming) => {
          if (silenceMs !== undefined) this.#cutWhenSilent(incoming, silenceMs);
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            body: incoming,
            cut: () => !incoming.complete,
          });
        },
      );
      outgoing.once('error', reject);
      outgoing.end(body);
    });
  }

  /** HTTP/1.1 has no ping: a stream that says nothing for so long, not even a bookmark, is taken to be dead. */
  #cutWhenSilent(incoming: http.IncomingMessage, silenceMs: number): void {
    let cancel = () => {};
    const wait = () => {
      cancel();
      cancel = this.#clock.after(silenceMs, () => incoming.destroy(new Error(`silent for ${silenceMs / 1000} s`)));
    };
    // Listening is reading: not before whoever asked does.
    incoming.once('resume', () => incoming.on('data', wait));
    incoming.once('close', () => cancel());
    wait();
  }
}

/** What a person needs to know when the server cannot be reached. */
export function unreachable(server: string, error: unknown): Error {
  const { code, message } = error as { readonly code?: string; readonly message?: string };
  if (code === 'ABORT_ERR' || (error as Error).name === 'AbortError') return error as Error;
  return serviceUnavailable(`cannot reach ${server}: ${message || code || String(error)}`);
}
