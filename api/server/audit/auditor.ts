import { type Clock, microTimestamp } from '@trimtab/machinery';
import { userInfoJson } from '../authentication/reviews.js';
import type { AccessAttributes, Decision, UserInfo } from '../contracts.js';
import { figures } from '../tally/figures.js';
import { Tally } from '../tally/tally.js';
import { type AuditPolicy, type AuditVerdict, auditVerdict, type Level, type Stage } from './policy.js';

/** Takes finished lines; must not throw. */
export interface AuditSink {
  write(line: string): void;
  close(): Promise<void>;
}

/** What is known of a request before anybody has looked at it. */
export interface Received {
  readonly auditId: string;
  readonly uri: string;
  readonly verb: string;
  readonly sourceIPs: readonly string[];
  readonly userAgent: string;
}

/** A body as it went over the wire; read only where the level asks for it. */
export interface Body {
  readonly bytes: Buffer;
  readonly read: () => unknown;
}

export class Auditor {
  readonly tally = new Tally();

  constructor(
    readonly policy: AuditPolicy,
    readonly sink: AuditSink,
    readonly clock: Clock,
  ) {}

  begin(received: Received): AuditRecord {
    return new AuditRecord(this, received);
  }
}

const rank: Readonly<Record<Level, number>> = { None: 0, Metadata: 1, Request: 2, RequestResponse: 3 };

/**
 * One request's entries in the audit log, one a stage, as the first matching rule of the policy wants them. What is not known
 * yet is left out; who could not be authenticated is told with the reason and without a user.
 */
export class AuditRecord {
  readonly #receivedAt: number;
  readonly #annotations: Record<string, string> = {};
  #verdict: AuditVerdict | undefined;
  #attributes: AccessAttributes | undefined;
  #user: UserInfo | undefined;
  #request: Body | undefined;
  #response: Body | undefined;
  #started = false;

  constructor(
    readonly auditor: Auditor,
    readonly received: Received,
  ) {
    this.#receivedAt = auditor.clock.now();
  }

  /** Who calls, before and after impersonation, and for what. */
  known(caller: UserInfo, attributes: AccessAttributes): void {
    this.#user = caller;
    this.#attributes = attributes;
    this.#verdict = auditVerdict(this.auditor.policy, { ...attributes, user: caller });
    this.#emit('RequestReceived');
  }

  decided({ allowed, reason }: Decision): void {
    this.annotate('authorization.k8s.io/decision', allowed ? 'allow' : 'forbid');
    this.annotate('authorization.k8s.io/reason', reason);
  }

  /** The first value of a key stays. */
  annotate(key: string, value: string): void {
    this.#annotations[key] ??= value;
  }

  get wantsRequest(): boolean {
    return rank[this.#verdict?.level ?? 'None'] >= rank.Request;
  }

  get wantsResponse(): boolean {
    return this.#verdict?.level === 'RequestResponse';
  }

  request(body: Body): void {
    this.#request = body;
  }

  response(body: Body): void {
    this.#response = body;
  }

  /** A watch or stream has begun to be answered. */
  started(code: number): void {
    if (this.#started) return;
    this.#started = true;
    this.#emit('ResponseStarted', { metadata: {}, code });
  }

  /** `status`: what a refusal said. */
  complete(code: number, status?: { readonly reason?: string; readonly message?: string }): void {
    const failed = code >= 400;
    const responseStatus = {
      metadata: {},
      ...(failed ? { status: 'Failure' } : {}),
      ...(failed && status?.message ? { message: status.message } : {}),
      ...(failed && status?.reason ? { reason: status.reason } : {}),
      code,
    };
    if (this.#verdict) this.#emit('ResponseComplete', responseStatus);
    else if (code === 401) this.#unknown(responseStatus);
  }

  /** Those who could not say who they are are matched by what a rule says of nobody in particular. */
  #unknown(responseStatus: object): void {
    const attributes = { user: { name: '', groups: [] }, verb: this.received.verb, path: this.received.uri };
    this.#verdict = auditVerdict(this.auditor.policy, attributes);
    this.#emit('ResponseStarted', { ...responseStatus, message: 'Authentication failed' });
    this.#emit('ResponseComplete', { ...responseStatus, message: 'Authentication failed' });
  }

  #emit(stage: Stage, responseStatus?: object): void {
    const verdict = this.#verdict;
    if (!verdict || verdict.level === 'None' || verdict.omitStages.has(stage)) return;
    const { auditId, uri, sourceIPs, userAgent } = this.received;
    const { clock, sink, tally } = this.auditor;
    tally.count(figures.auditEvents, []);
    tally.count(figures.auditLevels, [verdict.level]);
    const as = this.#attributes?.user;
    const done = stage === 'ResponseComplete';
    const event = {
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level: verdict.level,
      auditID: auditId,
      stage,
      requestURI: uri,
      verb: this.#attributes?.verb ?? this.received.verb,
      user: this.#user ? userInfoJson(this.#user) : {},
      ...(as && as !== this.#user ? { impersonatedUser: userInfoJson(as) } : {}),
      sourceIPs,
      ...(userAgent ? { userAgent } : {}),
      ...(this.#attributes?.resource ? { objectRef: objectRef(this.#attributes.resource) } : {}),
      ...(responseStatus ? { responseStatus } : {}),
      ...(this.#request && this.wantsRequest ? { requestObject: this.#object(this.#request) } : {}),
      ...(done && this.#response && this.wantsResponse ? { responseObject: this.#object(this.#response) } : {}),
      requestReceivedTimestamp: microTimestamp(this.#receivedAt),
      stageTimestamp: microTimestamp(clock.now()),
      ...(Object.keys(this.#annotations).length > 0 ? { annotations: this.#annotations } : {}),
    };
    sink.write(`${JSON.stringify(event)}\n`);
  }

  #object(body: Body): unknown {
    let value: unknown;
    try {
      value = body.read();
    } catch {
      // What is no object is told as it came, for that is what the log is read for.
      return { kind: 'Unknown', raw: body.bytes.toString('base64') };
    }
    return this.#verdict?.omitManagedFields ? withoutManagedFields(value) : value;
  }
}

function objectRef(resource: NonNullable<AccessAttributes['resource']>): object {
  const { group, version, resource: plural, subresource, namespace, name } = resource;
  return {
    resource: plural,
    ...(namespace ? { namespace } : {}),
    ...(name ? { name } : {}),
    ...(group ? { apiGroup: group } : {}),
    apiVersion: version,
    ...(subresource ? { subresource } : {}),
  };
}

function withoutManagedFields(value: unknown): unknown {
  const object = value as {
    readonly metadata?: { readonly managedFields?: unknown };
    readonly items?: readonly unknown[];
  };
  if (typeof object !== 'object' || object === null) return value;
  if (Array.isArray(object.items)) return { ...object, items: object.items.map(withoutManagedFields) };
  if (!object.metadata?.managedFields) return value;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}
