import { readFileSync } from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import type { Readable } from 'node:stream';
import type { TlsOptions } from './hosts.js';

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

/** Sends requests to one host over kept connections; redirects elsewhere are followed without its credentials. */
export class Transport {
  readonly #secure: https.Agent;
  readonly #plain = new http.Agent({ keepAlive: true, maxSockets: 8 });
  readonly #userAgent: string;

  /** Throws where a file of `tls` cannot be read. */
  constructor(tls: TlsOptions | undefined, userAgent: string) {
    this.#userAgent = userAgent;
    this.#secure = new https.Agent({
      keepAlive: true,
      maxSockets: 8,
      ...(tls?.caFile ? { ca: readFileSync(tls.caFile) } : {}),
      ...(tls?.certFile ? { cert: readFileSync(tls.certFile) } : {}),
      ...(tls?.keyFile ? { key: readFileSync(tls.keyFile) } : {}),
      rejectUnauthorized: !tls?.insecureSkipVerify,
    });
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
    this.#secure.destroy();
    this.#plain.destroy();
  }

  #once({ method, url, headers, body, signal }: RegistryRequest): Promise<http.IncomingMessage> {
    const secure = url.protocol === 'https:';
    return new Promise((resolve, reject) => {
      const options: https.RequestOptions = {
        method,
        agent: secure ? this.#secure : this.#plain,
        headers: { 'User-Agent': this.#userAgent, ...headers },
        timeout: STALL_MS,
        ...(signal ? { signal } : {}),
      };
      const request = secure ? https.request(url, options) : http.request(url, options);
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
