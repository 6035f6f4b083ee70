import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import type { Readable, Writable } from 'node:stream';
import type { BodyTap, Exchange, Peer } from '../http/exchange.js';

/** Below which path the APIs of branches lie, each with its own name. */
export const BRANCHES = '/branches/';

/** The branch whose API a path belongs to, and the rest of the path; undefined: it is the cluster's own. */
export function branchOf(url: string): { readonly name: string; readonly rest: string } | undefined {
  if (!url.startsWith(BRANCHES)) return undefined;
  const [, name = '', rest = ''] = /^([^/?]*)(.*)$/.exec(url.slice(BRANCHES.length))!;
  return name === '' ? undefined : { name, rest: rest.startsWith('/') ? rest : `/${rest}` };
}

/** An exchange as the API below a path sees it. */
export class MountedExchange implements Exchange {
  constructor(
    readonly whole: Exchange,
    readonly url: string,
  ) {}

  get method(): string {
    return this.whole.method;
  }
  get headers(): IncomingHttpHeaders {
    return this.whole.headers;
  }
  get peer(): Peer {
    return this.whole.peer;
  }
  get body(): Readable {
    return this.whole.body;
  }
  get signal(): AbortSignal {
    return this.whole.signal;
  }
  get answered(): boolean {
    return this.whole.answered;
  }
  get code(): number | undefined {
    return this.whole.code;
  }
  get extraHeaders(): OutgoingHttpHeaders | undefined {
    return this.whole.extraHeaders;
  }
  set extraHeaders(headers: OutgoingHttpHeaders) {
    this.whole.extraHeaders = headers;
  }
  get tap(): BodyTap | undefined {
    return this.whole.tap;
  }
  set tap(tap: BodyTap) {
    this.whole.tap = tap;
  }
  get sent(): number | undefined {
    return this.whole.sent;
  }
  set sent(bytes: number) {
    this.whole.sent = bytes;
  }
  respond(status: number, headers: OutgoingHttpHeaders, body?: Buffer): void {
    this.whole.respond(status, headers, body);
  }
  open(status: number, headers: OutgoingHttpHeaders): Writable {
    return this.whole.open(status, headers);
  }
}
