import https from 'node:https';
import { isIP } from 'node:net';
import { connectionFailure, statusFailure, WebhookCallError } from './call-errors.js';
import { placeOf, type WebhookClientConfig, type WebhookPlace } from './client-config.js';
import type { ServiceResolver } from './service-resolver.js';

/** Asks webhooks, whatever they are for: admission and conversion of custom kinds. */
export interface WebhookCaller {
  /**
   * Sends `body` as JSON and gives the JSON object answered. Rejects with a {@link WebhookCallError}: nothing to connect to,
   * a certificate that is not the wanted one, an answer outside 2xx or no object, or `timeoutMs` gone by.
   */
  call(clientConfig: WebhookClientConfig, body: object, timeoutMs: number): Promise<object>;
}

export interface WebhookCallerOptions {
  readonly services: ServiceResolver;
  /** A client certificate to show to the webhook of this server name (kubernetes: AdmissionConfiguration's kubeConfigFile). */
  readonly identity?: (serverName: string) => { readonly certificate: string; readonly key: string } | undefined;
}

export interface ClosableWebhookCaller extends WebhookCaller {
  /** Ends idle connections. */
  close(): void;
}

const idleMs = 90_000;
/** More than any patch of an object of 3 MiB needs. */
const maxAnswer = 16 * 1024 * 1024;

/** Speaks HTTP/1.1 over TLS and keeps connections for the next call. Redirects are not followed. */
export function httpsWebhookCaller({ services, identity }: WebhookCallerOptions): ClosableWebhookCaller {
  const agent = new https.Agent({ keepAlive: true, timeout: idleMs });
  return {
    async call(clientConfig, body, timeoutMs) {
      let place: WebhookPlace;
      try {
        place = placeOf(clientConfig, timeoutMs);
      } catch (error) {
        throw new WebhookCallError((error as Error).message);
      }
      const { serverName, port } = place;
      const failed = (why: string, timedOut = false) =>
        new WebhookCallError(`Post ${JSON.stringify(place.url)}: ${why}`, timedOut);
      let target: { readonly host: string; readonly port: number };
      try {
        const { service } = place;
        target = service ? services.resolve(service.namespace, service.name, service.port) : { host: serverName, port };
      } catch (error) {
        throw failed((error as Error).message);
      }
      const deadline = AbortSignal.timeout(timeoutMs);
      const own = identity?.(serverName);
      const options: https.RequestOptions = {
        agent,
        method: 'POST',
        host: target.host,
        port: target.port,
        path: place.url.slice(place.url.indexOf('/', 'https://'.length)),
        headers: {
          host: `${serverName.includes(':') ? `[${serverName}]` : serverName}:${port}`,
          accept: 'application/json, */*',
          'content-type': 'application/json',
          'user-agent': 'trimtab-admission',
        },
        // An address is no name to ask for, and the certificate is checked against the host instead.
        ...(isIP(serverName) ? {} : { servername: serverName }),
        ...(place.ca === undefined ? {} : { ca: place.ca }),
        ...(own ? { cert: own.certificate, key: own.key } : {}),
        signal: deadline,
      };
      const text = JSON.stringify(body);
      for (;;) {
        try {
          return read(await post(options, text));
        } catch (error) {
          if (deadline.aborted) throw failed('context deadline exceeded', true);
          // The other side may end an idle connection just as it is taken up again.
          if (error instanceof StaleConnection) continue;
          if (error instanceof WebhookCallError) throw error;
          throw failed(connectionFailure(error, target.host, target.port, serverName));
        }
      }
    },
    close: () => agent.destroy(),
  };
}

class StaleConnection extends Error {}

interface Answer {
  readonly status: number;
  readonly text: string;
}

function post(options: https.RequestOptions, text: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = https.request(options, (incoming) => {
      const chunks: Buffer[] = [];
      let size = 0;
      incoming.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size <= maxAnswer) chunks.push(chunk);
        else incoming.destroy(new WebhookCallError(`the answer is larger than ${maxAnswer} bytes`));
      });
      incoming.once('end', () => resolve({ status: incoming.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
      incoming.once('error', reject);
    });
    request.once('error', (error: NodeJS.ErrnoException) =>
      reject(request.reusedSocket && error.code === 'ECONNRESET' ? new StaleConnection() : error),
    );
    request.end(text);
  });
}

function read({ status, text }: Answer): object {
  if (status < 200 || status > 299) throw new WebhookCallError(statusFailure(status, text));
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new WebhookCallError(
      `couldn't get version/kind; json parse error: ${error instanceof Error ? error.message : error}`,
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new WebhookCallError("couldn't get version/kind; json parse error: the answer is not an object");
  return value;
}
