import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { Duplex, Readable } from 'node:stream';
import type { KeyPair } from '../certificates/certificate.js';
import type { ServiceResolver } from '../webhook/service-resolver.js';
import type { RemoteService } from './api-service.js';

export interface RemoteRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: OutgoingHttpHeaders;
  readonly body?: Readable;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

export type RemoteAnswer =
  | { readonly answer: IncomingMessage }
  | { readonly answer: IncomingMessage; readonly socket: Duplex; readonly head: Buffer };

/**
 * One connection pool for each aggregated server: to an endpoint of its Service, under the Service's name, with this server's
 * own certificate for speaking for others. Rejects with an Error that says why it cannot be reached.
 */
export class RemoteTransport {
  readonly #agents = new Map<string, { readonly key: string; readonly agent: Agent }>();

  constructor(
    readonly services: ServiceResolver,
    readonly client: () => KeyPair,
  ) {}

  send(remote: RemoteService, request: RemoteRequest): Promise<RemoteAnswer> {
    return new Promise((resolve, reject) => {
      const { namespace, name, port } = remote.service;
      const place = this.services.resolve(namespace, name, port);
      const out = httpsRequest({
        agent: this.#agent(remote),
        host: place.host,
        port: place.port,
        servername: `${name}.${namespace}.svc`,
        method: request.method,
        path: request.path,
        headers: { host: `${name}.${namespace}.svc:${port}`, ...request.headers },
        ...(request.signal ? { signal: request.signal } : {}),
        ...(request.timeoutMs ? { timeout: request.timeoutMs } : {}),
      });
      out.once('timeout', () => out.destroy(new Error(`no answer within ${(request.timeoutMs ?? 0) / 1000} s`)));
      out.once('error', reject);
      out.once('response', (answer) => resolve({ answer }));
      out.once('upgrade', (answer, socket, head) => resolve({ answer, socket, head }));
      if (request.body) request.body.pipe(out);
      else out.end();
    });
  }

  forget(name: string): void {
    this.#agents.get(name)?.agent.destroy();
    this.#agents.delete(name);
  }

  close(): void {
    for (const name of [...this.#agents.keys()]) this.forget(name);
  }

  #agent(remote: RemoteService): Agent {
    const { certificate, key } = this.client();
    const about = JSON.stringify([remote, certificate]);
    const known = this.#agents.get(remote.name);
    if (known?.key === about) return known.agent;
    known?.agent.destroy();
    const agent = new Agent({
      keepAlive: true,
      cert: certificate,
      key,
      rejectUnauthorized: !remote.insecure,
      ...(remote.ca ? { ca: remote.ca } : {}),
    });
    this.#agents.set(remote.name, { key: about, agent });
    return agent;
  }
}
