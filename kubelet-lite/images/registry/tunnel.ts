import * as http from 'node:http';
import * as https from 'node:https';
import type { Duplex } from 'node:stream';
import { connect } from 'node:tls';

/** What a proxy is told about who asks; nothing where its URL names nobody. */
export function proxyAuthorization({ username, password }: URL): Readonly<Record<string, string>> {
  if (username === '') return {};
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { 'Proxy-Authorization': `Basic ${Buffer.from(pair).toString('base64')}` };
}

type Connected = (error: Error | null, socket: Duplex) => void;

/** Kept connections with TLS end to end, each through a tunnel that a proxy was asked for (RFC 9110, CONNECT). */
export class TunnelAgent extends https.Agent {
  readonly #proxy: URL;
  readonly #timeoutMs: number;

  constructor(proxy: URL, options: https.AgentOptions, timeoutMs: number) {
    super(options);
    this.#proxy = proxy;
    this.#timeoutMs = timeoutMs;
  }

  /** Called by the agent's base, with the options of the request and what is to be told. */
  override createConnection(options: https.RequestOptions, connected: Connected): undefined {
    const authority = `${options.host}:${options.port ?? 443}`;
    const failed = (why: string, code?: string): void =>
      (connected as (error: Error) => void)(
        Object.assign(new Error(`proxy ${this.#proxy.host}: ${why}`), code ? { code } : {}),
      );
    const ask = this.#proxy.protocol === 'https:' ? https.request : http.request;
    const request = ask({
      host: this.#proxy.hostname.replace(/^\[|\]$/g, ''),
      port: this.#proxy.port || (this.#proxy.protocol === 'https:' ? 443 : 80),
      method: 'CONNECT',
      path: authority,
      headers: { Host: authority, ...proxyAuthorization(this.#proxy) },
      timeout: this.#timeoutMs,
      agent: false,
    });
    request.on('connect', (response: http.IncomingMessage, socket: Duplex) => {
      if (response.statusCode !== 200) {
        socket.destroy();
        const status = response.statusCode ?? 0;
        const why = `CONNECT ${authority}: ${status} ${response.statusMessage ?? ''}`.trimEnd();
        return failed(why, status < 500 ? 'ERR_PROXY' : undefined);
      }
      connected(
        null,
        connect({ ...(options as object), socket, servername: options.servername ?? options.host ?? '' }),
      );
    });
    request.on('timeout', () => request.destroy(new Error(`nothing came for ${this.#timeoutMs / 1000} s`)));
    request.on('error', (error: NodeJS.ErrnoException) => failed(error.message || String(error.code), error.code));
    request.end();
    return undefined;
  }
}
