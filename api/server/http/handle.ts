import { StatusError, timeout, unauthorized } from '@trimtab/machinery';
import type { AuditRecord } from '../audit/auditor.js';
import { impersonate } from '../authentication/impersonation.js';
import { refusal } from '../authorization/refusal.js';
import type { AccessAttributes, Credentials, Decision, UserInfo } from '../contracts.js';
import type { RequestContext } from '../registry/context.js';
import { newUid } from '../registry/names.js';
import { figures, userLabel } from '../tally/figures.js';
import { commonHeaders, sendBytes, statusHeaders, statusOf, Warnings } from './answer.js';
import { type Exchange, header, type Peer } from './exchange.js';
import { beginAudit, endAudit, passOn, takeTurn } from './filters.js';
import { healthPaths, serveHealth } from './health.js';
import { requestLabels } from './metrics.js';
import type { Call, HttpParts } from './parts.js';
import { servePath } from './paths.js';
import { parseRequest, type RequestInfo } from './request-info.js';
import { serveResource } from './resource.js';

const maxSeconds = 60;
const maxWriteSeconds = 34;
const longRunningSubresources = new Set(['log', 'exec', 'attach', 'portforward', 'proxy']);

/** Takes one request through authentication, authorization and the registry to its answer. Never throws. */
export async function handle(parts: HttpParts, exchange: Exchange): Promise<void> {
  const { clock, random, logger } = parts.registry;
  const started = clock.now();
  const info = parseRequest(exchange.method, exchange.url);
  const auditId = header(exchange, 'audit-id') || newUid(random);
  const warnings = new Warnings();
  const long = isLongRunning(info);
  let code = 200;
  let leave: (() => void) | undefined;
  let failure: StatusError | undefined;
  const audit = parts.audit && beginAudit(parts.audit, exchange, info, auditId);
  const labels = requestLabels(parts.registry.kinds, info, header(exchange, 'content-type'));
  let elsewhere = 0;
  if (long) parts.metrics.longRunning(labels, 1);
  else parts.metrics.executing(labels, 1);
  try {
    if (healthPaths.test(info.path)) {
      await serveHealth(parts, exchange, info);
      return;
    }
    const call = await admitCaller(parts, exchange, info, auditId, warnings, audit);
    call.context.waited = (ms) => {
      elsewhere += ms;
    };
    const asked = clock.now();
    leave = await takeTurn(parts, call, long, maxWaitOf(info) * 250);
    elsewhere += clock.now() - asked;
    call.endTurn = leave;
    const work = passOn(parts, call) ?? (info.resource ? serveResource(parts, call) : servePath(parts, call));
    if (long) await work;
    else await withDeadline(parts, exchange, info, work);
  } catch (error) {
    const status = statusOf(error);
    code = status.code;
    failure = status;
    if (code === 429 || code === 504) parts.metrics.unfinished(labels, code);
    if (!(error instanceof StatusError)) logger.error({ err: error, path: info.path, auditId }, 'request failed');
    answerStatus(exchange, status, auditId, warnings);
  } finally {
    leave?.();
    if (audit) endAudit(audit, exchange, code, failure);
    if (!long && exchange.left) parts.metrics.unfinished(labels, 'left');
    if (long) parts.metrics.longRunning(labels, -1);
    else parts.metrics.executing(labels, -1);
    const seconds = (clock.now() - started) / 1000;
    const answered = { seconds, elsewhere: elsewhere / 1000, sent: exchange.sent ?? 0 };
    parts.metrics.request(labels, code, info.query.has('dryRun'), long ? undefined : answered);
  }
}

export function answerStatus(exchange: Exchange, status: StatusError, auditId: string, warnings: Warnings): void {
  if (exchange.answered) return;
  const body = Buffer.from(`${JSON.stringify(status.status)}\n`);
  const headers = { ...commonHeaders(auditId, warnings.texts), ...statusHeaders(status) };
  void sendBytes(exchange, status.code, headers, body);
}

/** Who calls, impersonation included; and may they. Throws 401 or 403. */
export async function admitCaller(
  parts: Pick<HttpParts, 'authenticator' | 'authorizer' | 'registry'>,
  exchange: Pick<Exchange, 'headers' | 'peer'>,
  info: RequestInfo,
  auditId: string,
  warnings: Warnings,
  audit?: AuditRecord,
): Promise<Call> {
  const credentials: Credentials = {
    bearerToken:
      bearer(header(exchange, 'authorization')) ?? webSocketBearer(header(exchange, 'sec-websocket-protocol')),
    certificate: exchange.peer.certificate,
    proxyCertificate: exchange.peer.proxyCertificate,
    header: (name) => header(exchange, name),
    headerNames: () => Object.keys(exchange.headers),
    path: info.path,
  };
  const caller = await whoAsks(parts, credentials, exchange.peer);
  const user = impersonate(caller, credentials, parts.authorizer);
  const attributes = accessOf(user, info);
  audit?.known(caller, attributes);
  const decide = (what: AccessAttributes) => {
    const decision = mayThey(parts, what);
    if (what === attributes) audit?.decided(decision);
    if (!decision.allowed) throw refusal(what, decision);
  };
  decide(attributes);
  const context: RequestContext = {
    user,
    fieldManager: managerOf(header(exchange, 'user-agent')),
    warn: (message) => warnings.add(message),
    authorize: (verb) => decide({ ...attributes, verb }),
    ...(audit ? { annotate: (key: string, value: string) => audit.annotate(key, value) } : {}),
  };
  return { exchange: exchange as Exchange, info, user, context, auditId, warnings, ...(audit ? { audit } : {}) };
}

type Guards = Pick<HttpParts, 'authenticator' | 'authorizer' | 'registry'>;

async function whoAsks({ authenticator, registry }: Guards, credentials: Credentials, peer: Peer): Promise<UserInfo> {
  const { clock, tally } = registry;
  const since = clock.now();
  const told = (result: string) => {
    tally.count(figures.authentications, [result]);
    tally.observe(figures.authenticationSeconds, [result], (clock.now() - since) / 1000);
  };
  let caller: UserInfo | undefined;
  try {
    caller = await authenticator.authenticate(credentials);
  } catch (error) {
    told('error');
    throw error;
  }
  told(caller ? 'success' : 'failure');
  if (!caller) throw unauthorized();
  tally.count(figures.users, [userLabel(caller.name)]);
  if (peer.certificate && peer.expiresAt !== undefined)
    tally.observe(figures.certificateLifetimes, [], (peer.expiresAt - since) / 1000);
  return caller;
}

function mayThey({ authorizer, registry }: Guards, attributes: AccessAttributes): Decision {
  const { clock, tally } = registry;
  const since = clock.now();
  const decision = authorizer.authorize(attributes);
  const result = [decision.allowed ? 'allowed' : 'denied'];
  tally.count(figures.authorizations, result);
  tally.observe(figures.authorizationSeconds, result, (clock.now() - since) / 1000);
  return decision;
}

export function accessOf(user: UserInfo, info: RequestInfo): AccessAttributes {
  if (!info.resource) return { user, verb: info.verb, path: info.path };
  const { rest: _, ...resource } = info.resource;
  return { user, verb: info.verb, resource };
}

/** The client's name: its User-Agent up to the first slash, at most 128 characters. */
export function managerOf(userAgent: string | undefined): string {
  return (userAgent ?? '').split('/')[0]!.slice(0, 128) || 'unknown';
}

function bearer(value: string | undefined): string | undefined {
  const m = /^bearer +(\S+)$/i.exec(value ?? '');
  return m?.[1];
}

/** Browsers cannot set headers on WebSockets: the token travels as a subprotocol, base64url. */
function webSocketBearer(protocols: string | undefined): string | undefined {
  for (const p of (protocols ?? '').split(',')) {
    const m = /^base64url\.bearer\.authorization\.k8s\.io\.(\S+)$/.exec(p.trim());
    if (m) return Buffer.from(m[1]!, 'base64url').toString();
  }
  return undefined;
}

export function isLongRunning(info: RequestInfo): boolean {
  return info.verb === 'watch' || longRunningSubresources.has(info.resource?.subresource ?? '');
}

/** Seconds that the client, or the server, is willing to wait. */
function maxWaitOf(info: RequestInfo): number {
  const most = ['get', 'list'].includes(info.verb) ? maxSeconds : maxWriteSeconds;
  return Math.min(seconds(info.query.get('timeout')) ?? most, most);
}

/** Answers 504 when the work takes longer than the client, or the server, is willing to wait. */
function withDeadline(parts: HttpParts, exchange: Exchange, info: RequestInfo, work: Promise<void>): Promise<void> {
  const limit = maxWaitOf(info);
  return new Promise((resolve, reject) => {
    const cancel = parts.registry.clock.after(limit * 1000, () => {
      // An answer that is under way ends when its reader is done with it.
      if (!exchange.answered)
        reject(timeout(`request did not complete within requested timeout - context deadline exceeded`));
    });
    work.then(resolve, reject).finally(cancel);
  });
}

/** Go durations of whole units (`32s`, `1m30s`), in seconds. */
function seconds(text: string | null): number | undefined {
  const m = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?$/.exec(text ?? '');
  if (!text || !m) return undefined;
  return Number(m[1] ?? 0) * 3600 + Number(m[2] ?? 0) * 60 + Number(m[3] ?? 0) || undefined;
}
