import type { Readable } from 'node:stream';

/** One request and its answer, whichever HTTP version carries them. */

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With the query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
  /** A body that is silent for so long is dead; only where the connection itself cannot be asked. */
  readonly silenceMs?: number;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Readable;
  /** Once the body has ended: whether the connection broke before the server was done, which Node tells as an end. */
  cut(): boolean;
}
