import { decodeProtobuf, isProtobuf, parseYamlDocuments, type StatusError } from '@trimtab/machinery';
import { proxyRequest } from '../aggregation/proxy.js';
import type { Auditor, AuditRecord } from '../audit/auditor.js';
import { seatsFor } from '../flowcontrol/work-estimate.js';
import { type Exchange, header } from './exchange.js';
import type { Call, HttpParts } from './parts.js';
import type { RequestInfo, ResourcePath } from './request-info.js';

/** What goes on around every request: its entry in the audit log, and its turn. */

/**
 * Waits for the request's turn, first among its own kind and then among all; the function given back ends it. A watch or
 * stream has its turn for the beginning alone. Says in the answer's headers which flow it belonged to.
 */
export async function takeTurn(parts: HttpParts, call: Call, long: boolean, maxWaitMs: number): Promise<() => void> {
  const { exchange, info } = call;
  const asked = {
    user: call.user,
    verb: info.verb,
    ...(info.resource ? { resource: info.resource } : { path: info.path }),
  };
  const ticket = await parts.flow?.admit(
    asked,
    seatsFor(info, (r) => countOf(parts, r)),
    maxWaitMs,
    () => exchange.signal,
  );
  if (ticket)
    exchange.extraHeaders = {
      'x-kubernetes-pf-flowschema-uid': ticket.schemaUid,
      'x-kubernetes-pf-prioritylevel-uid': ticket.levelUid,
    };
  if (long) {
    ticket?.release();
    return () => {};
  }
  try {
    await parts.seats.take();
  } catch (error) {
    ticket?.release();
    throw error;
  }
  let ended = false;
  return () => {
    if (ended) return;
    ended = true;
    parts.seats.release();
    ticket?.release();
  };
}

/** The answer of another server, where the path is that server's; undefined: it is this one's. */
export function passOn(parts: HttpParts, call: Call): Promise<void> | undefined {
  const { aggregator } = parts;
  const route = aggregator?.route(call.info.path);
  if (!aggregator || !route) return undefined;
  return proxyRequest(aggregator.transport, route, call);
}

/** Counted no further than a list's cost grows. */
const enough = 1000;

function countOf(parts: HttpParts, { group, version, resource, namespace }: ResourcePath): number {
  const kind = parts.registry.kinds.find(group, version, resource);
  if (!kind) return 0;
  const scope = { resource: kind.storage.resource, ...(namespace ? { namespace } : {}) };
  return Math.min(enough, parts.registry.store.snapshot().count(scope));
}

export function beginAudit(auditor: Auditor, exchange: Exchange, info: RequestInfo, auditId: string): AuditRecord {
  const forwarded = (header(exchange, 'x-forwarded-for') ?? '').split(',').map((a) => a.trim());
  const record = auditor.begin({
    auditId,
    uri: exchange.url,
    verb: info.verb,
    sourceIPs: [...forwarded, exchange.peer.address].filter(Boolean),
    userAgent: header(exchange, 'user-agent') ?? '',
  });
  exchange.tap = {
    received: (bytes) => {
      if (record.wantsRequest && bytes.length > 0) record.request({ bytes, read: () => objectIn(bytes) });
    },
    answered: (bytes) => {
      if (record.wantsResponse && bytes.length > 0) record.response({ bytes, read: () => objectIn(bytes) });
    },
    opened: (code) => record.started(code),
  };
  return record;
}

export function endAudit(
  record: AuditRecord,
  exchange: Exchange,
  code: number,
  failure: StatusError | undefined,
): void {
  record.complete(exchange.code ?? code, failure?.status);
}

function objectIn(bytes: Buffer): unknown {
  if (isProtobuf(bytes)) return decodeProtobuf(bytes);
  const text = bytes.toString('utf8');
  return /^\s*[[{]/.test(text) ? JSON.parse(text) : parseYamlDocuments(text)[0]?.value;
}
