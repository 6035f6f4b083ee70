import { readFileSync } from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import type { Readable } from 'node:stream';
import type { TlsOptions } from './hosts.js';
import { type Proxies, proxyFor } from './proxies.js';
import { proxyAuthorization, TunnelAgent } from './tunnel.js';

export interface RegistryRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Made anew for each attempt. */
  readonly body?: () => Readable | Uint8Array;
  readonly signal?: AbortSignal | undefined;
}

/** No answer came: the network's fault, or the host's name's, or its certificate's. */
export class TransportError extends Error {
  override name = 'TransportError';
  constructor(
    message: string,
    readonly code: string | undefined,
  ) {
    super(message);
  }
}

/** A connection on which nothing has moved for so long is given up. */
const STALL_MS = 30_000;
const MAX_REDIRECTS = 5;

/**
 * Sends requests to one host over kept connections, through a proxy where one is named; redirects elsewhere are followed without
 * its credentials.
 */
export class Transport {
  readonly #secure: https.Agent;
  readonly #plain = new http.Agent({ keepAlive: true, maxSockets: 8 });
  readonly #userAgent: string;
  readonly #proxies: Proxies;
  readonly #tls: https.AgentOptions;
  /** By the proxy's address. */
  readonly #tunnels = new Map<string, TunnelAgent>();

  /** Throws where a file of `tls` cannot be read. */
  constructor(tls: TlsOptions | undefined, userAgent: string, proxies: Proxies = {}) {
    this.#userAgent = userAgent;
    this.#proxies = proxies;
    this.#tls = {
      keepAlive: true,
      maxSockets: 8,
      ...(tls?.caFile ? { ca: readFileSync(tls.caFile) } : {}),
      ...(tls?.certFile ? { cert: readFileSync(tls.certFile) } : {}),
      ...(tls?.keyFile ? { key: readFileSync(tls.keyFile) } : {}),
      rejectUnauthorized: !tls?.insecureSkipVerify,
    };
    this.#secure = new https.Agent(this.#tls);
  }

  /** The answer with its body still to be read. Rejects with a {@link TransportError}. */
  async send(request: RegistryRequest): Promise<http.IncomingMessage> {
    let current = request;
    for (let hops = 0; ; hops++) {
      const response = await this.#once(current);
      const { location } = response.headers;
      const moved = [301, 302, 303, 307, 308].includes(response.statusCode ?? 0);
      if (!moved || location === undefined || request.method === 'POST') return response;
      response.resume();
      if (hops >= MAX_REDIRECTS) throw new TransportError(`${request.url.href}: redirected too often`, undefined);
      const url = new URL(location, current.url);
      if (current.url.protocol === 'https:' && url.protocol === 'http:' && url.host === current.url.host)
        throw new TransportError(`${request.url.href}: redirected from https to http`, undefined);
      const { authorization: _, ...rest } = lowerCase(current.headers ?? {});
      current = { ...current, url, headers: url.host === current.url.host ? (current.headers ?? {}) : rest };
    }
  }

  close(): void {
    for (const agent of [this.#secure, this.#plain, ...this.#tunnels.values()]) agent.destroy();
  }

  #once({ method, url, headers, body, signal }: RegistryRequest): Promise<http.IncomingMessage> {
    return new Promise((resolve, reject) => {
      const options: https.RequestOptions = {
        method,
        headers: { 'User-Agent': this.#userAgent, ...headers },
        timeout: STALL_MS,
        ...(signal ? { signal } : {}),
      };
      let request: http.ClientRequest;
      try {
        request = this.#request(url, options);
      } catch (error) {
        return reject(new TransportError((error as Error).message, 'ERR_PROXY'));
      }
      request.on('response', resolve);
      request.on('timeout', () => request.destroy(new Error(`nothing came for ${STALL_MS / 1000} s`)));
      request.on('error', (error: NodeJS.ErrnoException) =>
        reject(
          new TransportError(`${method} ${url.origin}${url.pathname}: ${error.message || error.code}`, error.code),
        ),
      );
      const content = body?.();
      if (content === undefined) request.end();
      else if (content instanceof Uint8Array) request.end(content);
      else {
        content.on('error', (error) => request.destroy(error));
        content.pipe(request);
      }
    });
  }

  #request(url: URL, options: https.RequestOptions): http.ClientRequest {
    const proxy = proxyFor(url, this.#proxies);
    if (url.protocol === 'https:') {
      const agent = proxy ? this.#tunnel(proxy) : this.#secure;
      return https.request(url, { ...options, agent });
    }
    if (!proxy) return http.request(url, { ...options, agent: this.#plain });
    // What is not secret is not tunnelled: the proxy is asked for the whole URL.
    const through = { path: url.href, headers: { Host: url.host, ...options.headers, ...proxyAuthorization(proxy) } };
    const [client, agent] = proxy.protocol === 'https:' ? [https, this.#secure] : [http, this.#plain];
    return client.request(new URL(proxy.origin), { ...options, ...through, agent });
  }

  #tunnel(proxy: URL): TunnelAgent {
    const agent = this.#tunnels.get(proxy.href) ?? new TunnelAgent(proxy, this.#tls, STALL_MS);
    this.#tunnels.set(proxy.href, agent);
    return agent;
  }
}

const lowerCase = (headers: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));

/** The whole body of an answer that is expected to be small. */
export async function bodyOf(response: http.IncomingMessage, limit = 4 << 20): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    size += (chunk as Buffer).length;
    if (size > limit) {
      response.destroy();
      throw new TransportError(`an answer is larger than ${limit} bytes`, undefined);
    }
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}
