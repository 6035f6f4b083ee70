import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import http2 from 'node:http2';
import type { Clock } from '@trimtab/machinery';
import type { HttpRequest, HttpResponse } from './exchange.js';

/** Streams a session carries before another is opened: servers commonly allow 100 to 250. */
const STREAMS_PER_SESSION = 100;

export interface SessionPoolOptions {
  readonly connect: () => Promise<ClientHttp2Session>;
  readonly clock: Clock;
  readonly readIdleMs: number;
  readonly pingTimeoutMs: number;
}

interface Load {
  streams: number;
}

interface Reserved {
  readonly session: ClientHttp2Session;
  readonly load: Load;
}

/**
 * HTTP/2 sessions to one server: one for nearly everything, more only when it is full. A session from which nothing has
 * come for `readIdleMs` is pinged, and given up with all its streams when the answer does not come within
 * `pingTimeoutMs`: a peer that has vanished without a word is noticed in 45 s, not in a quarter of an hour.
 */
export class SessionPool {
  readonly #options: SessionPoolOptions;
  readonly #sessions = new Map<ClientHttp2Session, Load>();
  #connecting: Promise<ClientHttp2Session> | undefined;
  #closed = false;

  constructor(options: SessionPoolOptions) {
    this.#options = options;
  }

  async request(request: HttpRequest, authority: string): Promise<HttpResponse> {
    try {
      return await this.#send(await this.#reserve(), request, authority);
    } catch (error) {
      // The server has promised not to have looked at it.
      if (!isUnprocessed(error) || request.signal?.aborted) throw error;
      return this.#send(await this.#reserve(), request, authority);
    }
  }

  adopt(session: ClientHttp2Session): ClientHttp2Session {
    if (this.#closed) session.destroy();
    this.#sessions.set(session, { streams: 0 });
    const stopWatching = this.#watchOver(session);
    const drop = () => {
      stopWatching();
      this.#sessions.delete(session);
    };
    session.once('close', drop);
    // No more requests; it goes for good when the last stream has ended.
    session.once('goaway', () => session.close());
    session.on('error', drop);
    return session;
  }

  /** No more requests on the sessions there are; each goes when its last stream has ended. */
  retire(): void {
    for (const session of this.#sessions.keys()) session.close();
    this.#sessions.clear();
  }

  close(): void {
    this.#closed = true;
    for (const session of this.#sessions.keys()) session.destroy();
  }

  /** A session with room, and one stream of it set aside. */
  async #reserve(): Promise<Reserved> {
    for (;;) {
      if (this.#closed) throw new Error('the client is closed');
      for (const [session, load] of this.#sessions) {
        const allowed = session.remoteSettings?.maxConcurrentStreams ?? STREAMS_PER_SESSION;
        if (session.closed || session.destroyed || load.streams >= Math.min(allowed, STREAMS_PER_SESSION)) continue;
        load.streams++;
        return { session, load };
      }
      this.#connecting ??= this.#options
        .connect()
        .then((session) => this.adopt(session))
        .finally(() => {
          this.#connecting = undefined;
        });
      await this.#connecting;
    }
  }

  #send({ session, load }: Reserved, request: HttpRequest, authority: string): Promise<HttpResponse> {
    const { method, path, headers, body, signal } = request;
    return new Promise((resolve, reject) => {
      const stream = openStream(session, load, { method, path, headers, body }, authority);
      const abort = () => stream.close(http2.constants.NGHTTP2_CANCEL);
      if (signal?.aborted) abort();
      signal?.addEventListener('abort', abort, { once: true });
      stream.once('close', () => {
        load.streams--;
        signal?.removeEventListener('abort', abort);
        reject(signal?.aborted ? abortError() : new Error('connection closed before the answer'));
      });
      stream.once('error', reject);
      stream.once('response', (received) => {
        const { ':status': status = 0, ...rest } = received;
        stream.off('error', reject);
        resolve({
          status,
          headers: rest,
          body: stream,
          cut: () => stream.rstCode !== http2.constants.NGHTTP2_NO_ERROR,
        });
      });
      if (body !== undefined) stream.end(body);
    });
  }

  #watchOver(session: ClientHttp2Session): () => void {
    const { clock, readIdleMs, pingTimeoutMs } = this.#options;
    let cancel = () => {};
    let seen = session.socket?.bytesRead ?? 0;
    const look = () => {
      cancel = clock.after(readIdleMs, () => {
        if (session.destroyed) return;
        const read = session.socket?.bytesRead ?? 0;
        if (read !== seen) {
          seen = read;
          look();
          return;
        }
        cancel = clock.after(pingTimeoutMs, () => session.destroy(new Error('no answer to ping; connection is dead')));
        session.ping((error) => {
          cancel();
          if (error || session.destroyed) return;
          seen = session.socket?.bytesRead ?? 0;
          look();
        });
      });
    };
    look();
    return () => cancel();
  }
}

/** Gives the reserved stream back when it cannot be opened at all. */
function openStream(
  session: ClientHttp2Session,
  load: Load,
  { method, path, headers, body }: HttpRequest,
  authority: string,
): ClientHttp2Stream {
  try {
    return session.request(
      { ':method': method, ':path': path, ':authority': authority, ...headers },
      { endStream: body === undefined },
    );
  } catch (error) {
    load.streams--;
    throw error;
  }
}

function isUnprocessed(error: unknown): boolean {
  const { code, message = '' } = error as { readonly code?: string; readonly message?: string };
  return (
    code === 'ERR_HTTP2_INVALID_SESSION' ||
    code === 'ERR_HTTP2_GOAWAY_SESSION' ||
    (code === 'ERR_HTTP2_STREAM_ERROR' && message.includes('NGHTTP2_REFUSED_STREAM'))
  );
}

function abortError(): Error {
  const error = new Error('aborted');
  error.name = 'AbortError';
  return error;
}
