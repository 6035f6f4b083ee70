import { isIP } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import * as grpc from '@grpc/grpc-js';
import { type Clock, sleep } from '@trimtab/machinery';
import { StoreFailedError } from '../engine.js';
import { type Failure, failureOf } from './errors.js';
import type { Header, Method } from './messages.js';

export interface TlsFiles {
  /** PEM. Absent: the machine's own authorities. */
  readonly ca?: Buffer;
  readonly certificate?: Buffer;
  readonly key?: Buffer;
}

export interface ConnectionOptions {
  /** `host:port`, tried in turn. */
  readonly endpoints: readonly string[];
  /** Absent: no TLS. */
  readonly tls?: TlsFiles;
  readonly clock: Clock;
}

/** A call that was not answered as hoped; `failure` says what that means. */
export class CallFailed extends Error {
  constructor(
    readonly failure: Failure,
    readonly endpoint: string,
    override readonly cause: unknown,
  ) {
    super(failure.error.message, { cause });
  }
}

export interface StreamHandlers<Response> {
  next(response: Response): void;
  /** Once, however it ended, unless it was stopped from here. */
  ended(error: CallFailed): void;
}

/** How long one member is waited for. */
const ATTEMPT_MS = 3_000;
const PAUSE_MS = 100;

/**
 * Channels are asked of often enough to notice within seconds that nobody is there any more, and no more often than members
 * allow (--grpc-keepalive-min-time, 5 s).
 */
const CHANNEL_OPTIONS: grpc.ChannelOptions = {
  'grpc.keepalive_time_ms': 6_000,
  'grpc.keepalive_timeout_ms': 2_000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.min_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  'grpc.enable_http_proxy': 0,
};

/** How one endpoint is reached. An address is no name to be sent (RFC 6066, section 3), and is what the certificate must be for. */
function secured(
  endpoint: string,
  tls: ConnectionOptions['tls'],
): { readonly credentials: grpc.ChannelCredentials; readonly channel?: grpc.ChannelOptions } {
  if (!tls) return { credentials: grpc.credentials.createInsecure() };
  const { ca = null, key = null, certificate = null } = tls;
  const host = endpoint.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  if (isIP(host) === 0) return { credentials: grpc.credentials.createSsl(ca, key, certificate) };
  const verify: grpc.VerifyOptions = { checkServerIdentity: (_, shown) => checkServerIdentity(host, shown) };
  return {
    credentials: grpc.credentials.createSsl(ca, key, certificate, verify),
    channel: { 'grpc.ssl_target_name_override': 'etcd' },
  };
}

/**
 * One member of an etcd cluster at a time, and the next when it fails. Everything goes to the same member, so that what it has
 * answered its watch tells right after. A member without a leader refuses at once.
 */
export class Connection {
  readonly #clients = new Map<string, grpc.Client>();
  readonly #metadata = new grpc.Metadata();
  readonly #moved = new Set<() => void>();
  #current = 0;
  #cluster: string | undefined;
  #closed = false;

  constructor(readonly options: ConnectionOptions) {
    this.#metadata.set('hasleader', 'true');
  }

  get endpoint(): string {
    return this.options.endpoints[this.#current]!;
  }

  /** One call to the present member. Rejects with {@link CallFailed}. */
  call<Request, Response extends object>(
    { path, encode, decode }: Method<Request, Response>,
    request: Request,
    timeoutMs = ATTEMPT_MS,
  ): Promise<Response> {
    const { endpoint } = this;
    return new Promise((resolve, reject) => {
      const fail = (cause: unknown) => reject(new CallFailed(failureOf(cause, endpoint), endpoint, cause));
      if (this.#closed) {
        fail(new StoreFailedError('the store is closed'));
        return;
      }
      const deadline = new Date(this.options.clock.now() + timeoutMs);
      this.#client(endpoint).makeUnaryRequest(
        path,
        encode,
        decode,
        request,
        this.#metadata,
        { deadline },
        (error, response) => {
          if (error !== null || response === undefined) fail(error);
          else if (this.#foreign(response))
            reject(new CallFailed({ type: 'refused', error: this.#stranger(endpoint) }, endpoint, undefined));
          else resolve(response);
        },
      );
    });
  }

  /** A call that may be made twice: members are tried in turn until one answers, refuses, or time is up. */
  async ask<Request, Response extends object>(
    method: Method<Request, Response>,
    request: Request,
    deadline: number,
  ): Promise<Response> {
    for (;;) {
      try {
        return await this.call(method, request);
      } catch (error) {
        await this.next(error, deadline);
      }
    }
  }

  /** Goes on to the next member, after a moment; rejects with the error where that does not help or time is up. */
  async next(error: unknown, deadline: number): Promise<void> {
    const { clock } = this.options;
    const passing = error instanceof CallFailed && ['unknown', 'elsewhere'].includes(error.failure.type);
    if (!passing || this.#closed || clock.now() >= deadline) throw error;
    this.leave(error.endpoint);
    await sleep(clock, PAUSE_MS);
  }

  /** Away from a member that has failed. */
  leave(endpoint: string): void {
    if (endpoint !== this.endpoint) return;
    this.#current = (this.#current + 1) % this.options.endpoints.length;
    if (this.options.endpoints.length > 1) for (const moved of this.#moved) moved();
  }

  /** Calls back whenever another member is asked from now on. */
  onMove(moved: () => void): () => void {
    this.#moved.add(moved);
    return () => this.#moved.delete(moved);
  }

  /** Sends one request and hears many answers. Gives the function that stops it. */
  stream<Request, Response extends object>(
    { path, encode, decode }: Method<Request, Response>,
    request: Request,
    { next, ended }: StreamHandlers<Response>,
  ): () => void {
    const { endpoint } = this;
    const call = this.#client(endpoint).makeBidiStreamRequest(path, encode, decode, this.#metadata, {});
    let over = false;
    const end = (cause: unknown) => {
      if (over) return;
      over = true;
      call.cancel();
      ended(new CallFailed(failureOf(cause, endpoint), endpoint, cause));
    };
    call.on('data', (response: Response) => {
      if (over) return;
      if (this.#foreign(response)) end(this.#stranger(endpoint));
      else next(response);
    });
    call.on('error', end);
    call.on('end', () => end(new Error('ended the stream')));
    call.write(request);
    return () => {
      over = true;
      call.cancel();
    };
  }

  close(): void {
    this.#closed = true;
    for (const client of this.#clients.values()) client.close();
  }

  #client(endpoint: string): grpc.Client {
    let client = this.#clients.get(endpoint);
    if (client === undefined) {
      const { credentials, channel } = secured(endpoint, this.options.tls);
      client = new grpc.Client(endpoint, credentials, { ...CHANNEL_OPTIONS, ...channel });
      this.#clients.set(endpoint, client);
    }
    return client;
  }

  /** Whether somebody of another cluster has answered; the first who answers says which one is ours. */
  #foreign(response: object): boolean {
    const header = (response as { readonly header?: Header | null }).header;
    if (!header) return false;
    const cluster = header.clusterId.toString();
    this.#cluster ??= cluster;
    return cluster !== this.#cluster;
  }

  readonly #stranger = (endpoint: string): StoreFailedError =>
    new StoreFailedError(
      `etcd at ${endpoint} belongs to another cluster than it did or than the other members; every address of --storage must be one cluster's, and a cluster made anew needs API servers started anew`,
    );
}
