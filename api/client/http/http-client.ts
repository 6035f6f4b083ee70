import type { Readable } from 'node:stream';
import type { Clock, KubeList, KubeObject, ObjectKey, ResourceType, Status } from '@trimtab/machinery';
import { apiVersionOf, internalError, Pods, StatusError, serviceUnavailable, systemClock } from '@trimtab/machinery';
import { Observable } from 'rxjs';
import type {
  Client,
  DeleteOptions,
  GetOptions,
  ListOptions,
  Patch,
  PatchOptions,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from '../client.js';
import type { LogOptions } from '../node-streams.js';
import type { HttpRequest, HttpResponse } from './exchange.js';
import type { Connection } from './kubeconfig.js';
import { LineSplitter } from './lines.js';
import { collectionPath, objectPath, type Query, withQuery } from './paths.js';
import { Transport, type TransportOptions, unreachable } from './transport.js';

export interface HttpClientOptions extends Omit<TransportOptions, 'clock'> {
  readonly clock?: Clock;
  readonly userAgent?: string;
}

const PATCH_TYPES: Readonly<Record<Patch['type'], string>> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
};

/** {@link Client} over HTTP, against any Kubernetes. Connections are shared and made when first needed. */
export class HttpClient implements Client {
  readonly connection: Connection;
  readonly #transport: Transport;
  readonly #userAgent: string;

  constructor(options: HttpClientOptions) {
    this.connection = options.connection;
    this.#transport = new Transport({ ...options, clock: options.clock ?? systemClock });
    this.#userAgent = options.userAgent ?? 'trimtab';
  }

  /** Ends all connections; what is under way fails. */
  close(): void {
    this.#transport.close();
  }

  async get<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey, options: GetOptions = {}): Promise<T> {
    const { subresource, ...query } = options;
    return this.#json({ method: 'GET', path: withQuery(objectPath(type, key, subresource), { ...query }) });
  }

  async list<T extends KubeObject>(type: ResourceType<T>, options: ListOptions = {}): Promise<KubeList<T>> {
    const { namespace, ...query } = options;
    return this.#json({ method: 'GET', path: withQuery(collectionPath(type, namespace), { ...query }) });
  }

  async create<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const { namespace, name } = object.metadata;
    const path = options.subresource
      ? objectPath(type, { namespace, name: name ?? '' }, options.subresource)
      : collectionPath(type, namespace);
    return this.#json({ method: 'POST', path: withQuery(path, writeQuery(options)), ...body(typed(type, object)) });
  }

  async update<T extends KubeObject>(type: ResourceType<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const { namespace, name = '' } = object.metadata;
    const path = objectPath(type, { namespace, name }, options.subresource);
    return this.#json({ method: 'PUT', path: withQuery(path, writeQuery(options)), ...body(typed(type, object)) });
  }

  async patch<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    patch: Patch,
    options: PatchOptions = {},
  ): Promise<T> {
    const path = withQuery(objectPath(type, key, options.subresource), {
      ...writeQuery(options),
      force: options.force,
    });
    const content = patch.type === 'apply' ? typed(type, patch.body as KubeObject) : patch.body;
    return this.#json({ method: 'PATCH', path, ...body(content, PATCH_TYPES[patch.type]) });
  }

  async delete<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    options: DeleteOptions = {},
  ): Promise<unknown> {
    return this.#json({ method: 'DELETE', path: objectPath(type, key), ...body(deleteBody(options)) });
  }

  async deleteCollection<T extends KubeObject>(
    type: ResourceType<T>,
    options: ListOptions & DeleteOptions = {},
  ): Promise<unknown> {
    const { namespace, gracePeriodSeconds, propagationPolicy, preconditions, dryRun, ...query } = options;
    return this.#json({
      method: 'DELETE',
      path: withQuery(collectionPath(type, namespace), { ...query }),
      ...body(deleteBody({ gracePeriodSeconds, propagationPolicy, preconditions, dryRun })),
    });
  }

  async subresource<B, R>(
    type: ResourceType,
    key: ObjectKey,
    subresource: string,
    verb: 'get' | 'create' | 'update',
    content?: B,
    options: WriteOptions = {},
  ): Promise<R> {
    const path = objectPath(type, key, subresource);
    if (verb === 'get') return this.#json({ method: 'GET', path });
    const method = verb === 'create' ? 'POST' : 'PUT';
    return this.#json({ method, path: withQuery(path, writeQuery(options)), ...body(content ?? {}) });
  }

  async raw(path: string): Promise<string> {
    return textOf(await this.#answered({ method: 'GET', path }));
  }

  watch<T extends KubeObject>(type: ResourceType<T>, options: WatchOptions = {}): Observable<WatchEvent<T>> {
    const { namespace, ...query } = options;
    const path = withQuery(collectionPath(type, namespace), { ...query, watch: true });
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
      this.#answered({ method: 'GET', path, signal: abort.signal }).then(read, fail);
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

  /** The response, if it is a success; else its Status as an error. */
  async #answered(request: HttpRequest): Promise<HttpResponse> {
    const token = await authorization(this.connection);
    const response = await this.#transport.request({
      ...request,
      headers: {
        accept: 'application/json',
        'user-agent': this.#userAgent,
        ...request.headers,
        ...(token ? { authorization: token } : {}),
      },
    });
    if (response.status < 400) return response;
    throw statusErrorOf(response.status, response.headers['retry-after'], await textOf(response).catch(() => ''));
  }
}

export async function authorization({ token }: Connection): Promise<string | undefined> {
  const value = typeof token === 'function' ? await token() : token;
  return value ? `Bearer ${value}` : undefined;
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

const writeQuery = ({ fieldManager, dryRun }: WriteOptions): Query => ({
  fieldManager,
  ...(dryRun ? { dryRun: 'All' } : {}),
});

const body = (content: unknown, type = 'application/json') => ({
  headers: { 'content-type': type },
  body: JSON.stringify(content),
});

const deleteBody = ({ dryRun, ...options }: DeleteOptions) => ({
  apiVersion: 'v1',
  kind: 'DeleteOptions',
  ...options,
  ...(dryRun ? { dryRun: ['All'] } : {}),
});

/** Objects made in memory often carry no kind; the wire needs it. */
const typed = <T extends KubeObject>(type: ResourceType<T>, object: T): T =>
  object.kind && object.apiVersion ? object : { ...object, apiVersion: apiVersionOf(type), kind: type.kind };
