import type { Readable } from 'node:stream';
import type { Clock, KubeObject, ObjectKey, ResourceType, Status } from '@trimtab/machinery';
import { internalError, Pods, StatusError, serviceUnavailable, systemClock } from '@trimtab/machinery';
import { Observable } from 'rxjs';
import { type ApiCall, CallingClient } from '../calls.js';
import type { WatchEvent, WatchOptions } from '../client.js';
import type { LogOptions } from '../node-streams.js';
import type { HttpRequest, HttpResponse } from './exchange.js';
import type { Connection } from './kubeconfig.js';
import { LineSplitter } from './lines.js';
import { objectPath, withQuery } from './paths.js';
import { httpRequestOf, watchRequestOf } from './requests.js';
import { Transport, type TransportOptions, unreachable } from './transport.js';

export interface HttpClientOptions extends Omit<TransportOptions, 'clock'> {
  readonly clock?: Clock;
  readonly userAgent?: string;
  /** Asked for where a request names nothing else; default `application/json`. */
  readonly accept?: string;
}

/** Bookmarks come every minute; a watch over HTTP/1.1 that is silent for longer is taken to be dead (kopf's figure). */
const SILENT_WATCH_MS = 70_000;

/** {@link Client} over HTTP, against any Kubernetes. Connections are shared and made when first needed. */
export class HttpClient extends CallingClient {
  readonly connection: Connection;
  readonly #transport: Transport;
  readonly #userAgent: string;
  readonly #accept: string;

  constructor(options: HttpClientOptions) {
    super();
    this.connection = options.connection;
    this.#transport = new Transport({ ...options, clock: options.clock ?? systemClock });
    this.#userAgent = options.userAgent ?? 'trimtab';
    this.#accept = options.accept ?? 'application/json';
  }

  /** Ends all connections; what is under way fails. */
  close(): void {
    this.#transport.close();
  }

  async call(call: ApiCall): Promise<unknown> {
    const request = httpRequestOf(call);
    return call.verb === 'raw' ? textOf(await this.#answered(request)) : this.#json(request);
  }

  /** Any request outside the resource tree, and the text of its answer; what is no success is thrown as its Status. */
  async send(method: HttpRequest['method'], path: string, body?: object): Promise<string> {
    const content = body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    const answer = await this.#answered({ method, path, ...content });
    return textOf(answer);
  }

  watch<T extends KubeObject>(type: ResourceType<T>, options: WatchOptions = {}): Observable<WatchEvent<T>> {
    const request = watchRequestOf(type as unknown as ResourceType, options);
    return new Observable((subscriber) => {
      const abort = new AbortController();
      const fail = (error: unknown) => {
        if (!abort.signal.aborted) subscriber.error(asStatusError(this.connection.server, error));
      };
      const read = ({ body: stream, cut }: HttpResponse) => {
        const lines = new LineSplitter();
        stream.on('data', (chunk: Buffer) => {
          try {
            for (const line of lines.push(chunk)) if (!subscriber.closed) subscriber.next(parseEvent<T>(line));
          } catch (error) {
            fail(error);
            abort.abort();
          }
        });
        stream.once('error', fail);
        stream.once('end', () => {
          if (cut() || lines.unfinished) fail(serviceUnavailable('the watch was cut'));
          else if (!abort.signal.aborted) subscriber.complete();
        });
        stream.once('close', () => fail(serviceUnavailable('the watch was cut')));
      };
      this.#answered({ ...request, signal: abort.signal, silenceMs: SILENT_WATCH_MS }).then(read, fail);
      return () => abort.abort();
    });
  }

  /** A container's log as bytes; ends when it is read to the end, or when the container does for `follow`. */
  async logs(key: ObjectKey, options: Partial<LogOptions> = {}, signal?: AbortSignal): Promise<Readable> {
    const path = withQuery(objectPath(Pods, key, 'log'), { ...options });
    const { body: stream } = await this.#answered({ method: 'GET', path, ...(signal ? { signal } : {}) });
    return stream;
  }

  async #json<R>(request: HttpRequest): Promise<R> {
    const text = await textOf(await this.#answered(request)).catch((error: unknown) => {
      throw asStatusError(this.connection.server, error);
    });
    try {
      return JSON.parse(text) as R;
    } catch {
      throw internalError(`${request.method} ${request.path} answered something that is not JSON`);
    }
  }

  /** The response, if it is a success; else its Status as an error. Credentials that run out are renewed once. */
  async #answered(request: HttpRequest, renewed = false): Promise<HttpResponse> {
    const { credentials } = this.connection;
    const response = await this.#transport.request({
      ...request,
      headers: {
        accept: this.#accept,
        'user-agent': this.#userAgent,
        ...(await identityHeaders(this.connection)),
        ...request.headers,
      },
    });
    if (response.status < 400) return response;
    if (response.status === 401 && credentials && !renewed) {
      response.body.resume();
      credentials.refused();
      this.#transport.reconnect();
      return this.#answered(request, true);
    }
    throw statusErrorOf(response.status, response.headers['retry-after'], await textOf(response).catch(() => ''));
  }
}

/** What says, in every request, who asks. @throws StatusError when there are no credentials to be had. */
export async function identityHeaders(connection: Connection): Promise<HttpRequest['headers']> {
  const { token, basic, credentials, headers, server } = connection;
  const given = await credentials?.get().catch((error: unknown) => {
    throw unreachable(server, error);
  });
  const value = given?.token ?? (typeof token === 'function' ? await token() : token);
  if (value) return { ...headers, authorization: `Bearer ${value}` };
  if (!basic) return { ...headers };
  const { username, password } = basic;
  return { ...headers, authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
}

/** A server's own Status where it sent one; else one made from what there is. */
export function statusErrorOf(code: number, retryAfter: unknown, text: string): StatusError {
  const seconds = typeof retryAfter === 'string' && /^[0-9]+$/.test(retryAfter) ? Number(retryAfter) : undefined;
  const parsed = parseStatus(text);
  const details = { ...parsed?.details };
  const retryAfterSeconds = details.retryAfterSeconds ?? seconds;
  return new StatusError({
    code,
    message: text.trim() || `the server answered ${code}`,
    ...parsed,
    ...(retryAfterSeconds === undefined ? {} : { details: { ...details, retryAfterSeconds } }),
  });
}

function parseStatus(text: string): Status | undefined {
  try {
    const value = JSON.parse(text) as Partial<Status> | null;
    return value?.kind === 'Status' ? (value as Status) : undefined;
  } catch {
    return undefined;
  }
}

/** @throws StatusError for an ERROR event, and one with cause `UnexpectedServerResponse` for anything unintelligible. */
function parseEvent<T extends KubeObject>(line: string): WatchEvent<T> {
  let event: { readonly type?: string; readonly object?: unknown };
  try {
    event = JSON.parse(line) as typeof event;
  } catch {
    throw malformed(line);
  }
  switch (event.type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
    case 'BOOKMARK':
      if ((event.object as KubeObject | undefined)?.metadata) return event as WatchEvent<T>;
      throw malformed(line);
    case 'ERROR':
      throw StatusError.from(event.object as Status);
    default:
      throw malformed(line);
  }
}

const malformed = (line: string): StatusError => {
  const message = `unable to decode a watch event: ${line.slice(0, 200)}`;
  return new StatusError({
    code: 500,
    reason: 'InternalError',
    message,
    details: { causes: [{ reason: 'UnexpectedServerResponse', message }] },
  });
};

const asStatusError = (server: string, error: unknown): unknown =>
  error instanceof StatusError ? error : unreachable(server, error);

async function textOf({ body: stream, cut }: HttpResponse): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  if (cut()) throw new Error('the answer was cut');
  return Buffer.concat(chunks).toString('utf8');
}
