import type { OutgoingHttpHeaders } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { internalError, StatusError } from '@trimtab/machinery';
import { type Exchange, header } from './exchange.js';
import { gzipBytes, gzipSlices } from './gzip.js';
import type { Slices } from './shared-slices.js';

const gzipFrom = 128 * 1024;

/** The headers every answer carries. */
export function commonHeaders(auditId: string, warnings: readonly string[]): OutgoingHttpHeaders {
  return {
    'audit-id': auditId,
    'cache-control': 'no-cache, private',
    ...(warnings.length > 0 ? { warning: warnings.map(warningHeader).join(', ') } : {}),
  };
}

const maxWarnings = 4096;
const shortWarning = 256;

/**
 * Each distinct text once. When they come to more than 4,096 characters each is cut to 256, and what does not fit then either
 * is left out (apiserver: filters/warning.go): a body may be wrong about a hundred thousand things.
 */
export class Warnings {
  readonly #texts = new Set<string>();
  #length = 0;
  #cut = false;

  add(text: string): void {
    if (this.#cut && this.#length >= maxWarnings) return;
    // Control characters have no place in a header.
    const clean = text.replace(/\p{Cc}+/gu, ' ');
    if (clean === '') return;
    if (!this.#cut && this.#length + clean.length > maxWarnings) {
      this.#cut = true;
      this.#length = 0;
      const before = [...this.#texts];
      this.#texts.clear();
      for (const each of before) this.#keep(each.slice(0, shortWarning));
    }
    this.#keep(this.#cut ? clean.slice(0, shortWarning) : clean);
  }

  #keep(text: string): void {
    if (this.#texts.has(text) || (this.#cut && this.#length >= maxWarnings)) return;
    this.#texts.add(text);
    this.#length += text.length;
  }

  get texts(): readonly string[] {
    return [...this.#texts];
  }
}

/** Header values are bytes; what is not printable ASCII is left as its UTF-8 bytes in Latin-1 form. */
function warningHeader(text: string): string {
  const quoted = text.replace(/[\\"]/g, '\\$&');
  return Buffer.from(`299 - "${quoted}"`, 'utf8').toString('latin1');
}

/** Sends a complete body, compressed where it is large and the client takes gzip. */
export async function sendBytes(
  exchange: Exchange,
  status: number,
  headers: OutgoingHttpHeaders,
  body: Buffer,
): Promise<void> {
  exchange.tap?.answered(body);
  if (body.length < gzipFrom || !acceptsGzip(exchange)) {
    exchange.sent = body.length;
    exchange.respond(status, { ...headers }, body);
    return;
  }
  const small = await gzipBytes(body);
  exchange.sent = small.length;
  exchange.respond(status, { ...headers, ...asGzip }, small);
}

/** Sends a body that is made slice by slice; short ones go out whole. Ends early when the client leaves. */
export async function sendSlices(
  exchange: Exchange,
  status: number,
  headers: OutgoingHttpHeaders,
  slices: AsyncGenerator<Buffer>,
): Promise<void> {
  const held: Buffer[] = [];
  let size = 0;
  for (;;) {
    const next = await slices.next();
    if (next.done) return sendBytes(exchange, status, headers, Buffer.concat(held));
    held.push(next.value);
    size += next.value.length;
    if (size >= gzipFrom * 2) break;
  }
  const rest = async function* () {
    yield* held;
    yield* slices;
  };
  const zipped = acceptsGzip(exchange);
  const out = exchange.open(status, zipped ? { ...headers, ...asGzip } : headers);
  try {
    await pipeline(counted(exchange, zipped ? gzipSlices(rest()) : rest()), out);
  } catch (error) {
    if (!exchange.signal.aborted) throw error;
  }
}

async function* counted(exchange: Exchange, slices: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const slice of slices) {
    exchange.sent = (exchange.sent ?? 0) + slice.length;
    yield slice;
  }
}

const asGzip = { 'content-encoding': 'gzip', vary: 'Accept-Encoding' };

/** Sends slices that are in their final form already. */
export async function passSlices(
  exchange: Exchange,
  headers: OutgoingHttpHeaders,
  slices: Slices,
  zipped: boolean,
): Promise<void> {
  try {
    await pipeline(counted(exchange, slices), exchange.open(200, zipped ? { ...headers, ...asGzip } : headers));
  } catch (error) {
    if (!exchange.signal.aborted) throw error;
  } finally {
    await slices.return();
  }
}

export function acceptsGzip(exchange: Exchange): boolean {
  return /\bgzip\b/.test(header(exchange, 'accept-encoding') ?? '');
}

/** Whatever went wrong, as the Status a client understands. */
export function statusOf(error: unknown): StatusError {
  if (error instanceof StatusError) return error;
  return internalError(error instanceof Error ? error.message : String(error));
}

export function statusHeaders(error: StatusError): OutgoingHttpHeaders {
  const seconds = error.status.details?.retryAfterSeconds;
  return {
    'content-type': 'application/json',
    ...(seconds ? { 'retry-after': String(seconds) } : {}),
    ...(error.code === 401 ? { 'www-authenticate': 'Bearer' } : {}),
  };
}
