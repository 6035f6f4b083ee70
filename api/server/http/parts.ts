import type { NodeStreamsLookup } from '@trimtab/client';
import type { Aggregator } from '../aggregation/aggregator.js';
import type { Auditor, AuditRecord } from '../audit/auditor.js';
import type { Authenticator, Authorizer, RawHandler, UserInfo } from '../contracts.js';
import type { FlowControl } from '../flowcontrol/flow-control.js';
import type { HistoryParts } from '../history/room.js';
import type { Registry, RequestContext } from '../registry/context.js';
import type { Warnings } from './answer.js';
import type { ObjectEncoder } from './encoding.js';
import type { Exchange } from './exchange.js';
import type { Metrics } from './metrics.js';
import type { RequestInfo } from './request-info.js';
import type { Seats } from './seats.js';

/** What the HTTP side works with. */
export interface HttpParts {
  readonly registry: Registry;
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  readonly encoder: ObjectEncoder;
  readonly seats: Seats;
  /** Absent: requests take their turns in the order they come. */
  readonly flow?: FlowControl;
  /** Absent: nothing is logged of requests. */
  readonly audit?: Auditor;
  /** Absent: this server answers everything itself. */
  readonly aggregator?: Aggregator;
  /** How plans are carried out, and the branches there are. */
  readonly history: HistoryParts;
  readonly metrics: Metrics;
  readonly nodeStreams: NodeStreamsLookup;
  readonly rawHandlers: Readonly<Record<string, RawHandler>>;
  readonly documents: Documents;
  /** Aborted when the server closes: watches and streams end then. */
  readonly closing: AbortSignal;
  /** Names of checks that fail now; empty when the server is ready. */
  readonly notReady: () => readonly string[];
}

/** A document outside the resource tree; undefined: not one of these. */
export type Documents = (path: string, accept: string | undefined, query: URLSearchParams) => Document | undefined;

export interface Document {
  readonly contentType: string;
  readonly body: Buffer;
  readonly etag?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly status?: number;
}

/** One request on its way through the server. */
export interface Call {
  readonly exchange: Exchange;
  readonly info: RequestInfo;
  readonly user: UserInfo;
  readonly context: RequestContext;
  readonly auditId: string;
  /** Gives the request's turn to the next before its answer is complete; for answers that are only sent from then on. */
  endTurn?: () => void;
  readonly warnings: Warnings;
  readonly audit?: AuditRecord;
}
