import type { DeleteOptions, WriteOptions } from '@trimtab/client';
import type { Clock, KubeObject, ResourceType, StatusCause } from '@trimtab/machinery';
import type { Operation } from '@trimtab/store';
import type { KindTable } from './registry/kind-table.js';
import type { ServedKind } from './registry/served-kind.js';
import type { Tally } from './tally/tally.js';

/**
 * The seams of the API server: who asks, may they, is the object acceptable, and where kinds come from. The server core
 * calls them in Kubernetes' order; the rooms beside this file and the floors above provide them.
 */

/** Who a request comes from. */
export interface UserInfo {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** What authentication may look at. */
export interface Credentials {
  readonly bearerToken?: string;
  /** The verified client certificate's subject, where one was presented and chains to the client CA. */
  readonly certificate?: {
    readonly commonName: string;
    readonly organizations: readonly string[];
    readonly uid?: string;
  };
  /** The verified certificate's subject where it chains to the authority of authenticating proxies. */
  readonly proxyCertificate?: { readonly commonName: string };
  readonly header: (name: string) => string | undefined;
  /** All header names, lower case; needed for impersonated extras (`impersonate-extra-…`). */
  readonly headerNames?: () => Iterable<string>;
  /** The request's path without its query: anonymous requests may be let in for a few paths only. */
  readonly path?: string;
}

/** Answers undefined for «not mine», throws a 401 StatusError for «mine, and wrong». */
export interface Authenticator {
  authenticate(credentials: Credentials): Promise<UserInfo | undefined>;
}

/** One request as authorization sees it (`authorization.k8s.io` SubjectAccessReview attributes). */
export interface AccessAttributes {
  readonly user: UserInfo;
  readonly verb: string;
  readonly resource?: {
    readonly group: string;
    readonly version: string;
    readonly resource: string;
    readonly subresource: string;
    readonly namespace: string;
    readonly name: string;
  };
  /** Set instead of `resource` for non-resource paths. */
  readonly path?: string;
}

export interface Decision {
  readonly allowed: boolean;
  readonly reason: string;
}

/** Synchronous: authorizers answer from informer-fed indexes. */
export interface Authorizer {
  authorize(attributes: AccessAttributes): Decision;
  /** The rules that apply to a user in a namespace, for SelfSubjectRulesReview. */
  rulesFor?(
    user: UserInfo,
    namespace: string,
  ): { readonly resourceRules: readonly object[]; readonly nonResourceRules: readonly object[] };
}

export interface AdmissionAttributes {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';
  readonly type: ResourceType;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  readonly user: UserInfo;
  readonly dryRun: boolean;
  /** Absent for DELETE. */
  readonly object?: KubeObject;
  /** Absent for CREATE. */
  readonly oldObject?: KubeObject;
  /** What webhooks and policies need to know beyond the built-in plugins; always there for requests to the registry. */
  readonly request?: AdmissionRequest;
  warn(message: string): void;
}

export interface AdmissionRequest {
  readonly kind: ServedKind;
  /** For other versions and groups that show the same objects. */
  readonly kinds: KindTable;
  /** What the request said besides its object: options of a write or a deletion. */
  readonly options: WriteOptions | DeleteOptions;
  readonly reinvocation: Reinvocation;
  /** Operations on other objects that are committed with the write or not at all; where they conflict, all is done anew. */
  readonly together: Operation[];
  /** For those who tell how long what they ask others takes. */
  readonly tally: Tally;
  readonly clock: Clock;
  /** Adds to the request's audit event. */
  annotate(key: string, value: string): void;
  /** Told of the milliseconds that somebody else was waited for. */
  waited(ms: number): void;
}

/** Mutating plugins run once more, at most, when one of them asks for it (kubernetes: admission.ReinvocationContext). */
export interface Reinvocation {
  /** This is the second round. */
  readonly again: boolean;
  wanted: boolean;
  /** What a plugin keeps from the first round for the second, by its name. */
  readonly memory: Map<string, unknown>;
}

/**
 * `mutate` gives the object to go on with (undefined for a deletion, which has none); both throw a StatusError to refuse. Run
 * in the order registered.
 */
export interface AdmissionPlugin {
  readonly name: string;
  mutate?(attributes: AdmissionAttributes): Promise<KubeObject | undefined> | KubeObject | undefined;
  validate?(attributes: AdmissionAttributes): Promise<void> | void;
}

/**
 * What is a kind's own, beyond what the schema table says (kubernetes: registry strategies). Pure and synchronous.
 * `prepare*` returns the object to store; `validate*` returns all causes, in field order.
 */
export interface Strategy {
  readonly allowUnconditionalUpdate?: boolean;
  readonly allowCreateOnUpdate?: boolean;
  /**
   * The part of an object that `default`, `validate`, `validateUpdate` and `warnings` look at, beside its name. Where an update
   * leaves it as it is stored, by identity, all of them have had their say, and are not asked. Absent: any part.
   */
  judged?(object: KubeObject): unknown;
  /** Whether a binding changes nothing of that part but what it is for, which is right: then, too, nothing is asked again. */
  placed?(object: KubeObject, old: KubeObject): boolean;
  /** Defaults that the schema table cannot express. Applied on every write, and again on reading stored data. */
  default?(object: KubeObject): KubeObject;
  prepareForCreate?(object: KubeObject, context: StrategyContext): KubeObject;
  validate?(object: KubeObject): readonly StatusCause[];
  prepareForUpdate?(object: KubeObject, old: KubeObject, subresource: string): KubeObject;
  validateUpdate?(object: KubeObject, old: KubeObject, subresource: string): readonly StatusCause[];
  /** Parts of the object other than `metadata.finalizers` that hold its removal up (a namespace's `spec.finalizers`). */
  finalizing?(object: KubeObject): readonly string[];
  /**
   * Seconds until a deleted object goes by itself at the earliest; 0: at once. `requested` is what the caller asked for.
   * Absent: always 0. Until then it stays, with its deletionTimestamp, for somebody else to remove (pods: the kubelet).
   */
  gracePeriod?(object: KubeObject, requested: number | undefined): number;
  /** What else changes when the object is marked for deletion and stays (a namespace's phase). */
  markDeleted?(object: KubeObject): KubeObject;
  /** What becomes of dependents where the request does not say; Background where absent. */
  readonly defaultPropagation?: 'Orphan' | 'Background';
  /** Texts for `Warning` headers. */
  warnings?(object: KubeObject): readonly string[];
  /**
   * Takes what the object needs beyond itself (a cluster IP, node ports), after `prepare*` and mutating admission and
   * before `validate*`; `old` is absent on create. Throws a StatusError when nothing is left. The caller calls `finish`
   * exactly once: true when the object was stored, false when the write failed or was a dry run.
   */
  reserve?(object: KubeObject, old?: KubeObject): Reservation;
}

export interface Reservation {
  readonly object: KubeObject;
  /** What must be stored together with it, where other servers take from the same. */
  readonly together?: readonly Operation[];
  finish(stored: boolean): void;
}

/** The newest durable objects, read synchronously; `resource` as in the store's keys: `/pods`, `apps/deployments`. */
export interface ObjectReader {
  get(resource: string, namespace: string, name: string): KubeObject | undefined;
  /** All, or those of one namespace, in key order. */
  list(resource: string, namespace?: string): Iterable<KubeObject>;
}

export interface StrategyContext {
  readonly now: number;
  readonly user: UserInfo;
}

/** One request to something that is answered and not stored. */
export interface HandlerContext {
  readonly user: UserInfo;
  /** Of the path; `""` for cluster-scoped requests. */
  readonly namespace: string;
  /** Of the path: the parent's name for a subresource, otherwise `""`. */
  readonly name: string;
  readonly dryRun: boolean;
  /** The stored object a subresource belongs to; the server answers 404 itself where there is none. */
  readonly parent?: KubeObject;
  warn(message: string): void;
}

/**
 * A kind (`authorization.k8s.io/subjectaccessreviews`) or subresource (`/serviceaccounts/token`) that takes a create and
 * gives back the filled-in object: reviews and tokens. Throws a StatusError to refuse. Called after authorization and
 * admission; the object is decoded, pruned and defaulted.
 */
export interface CreateOnlyHandler {
  create(object: KubeObject, context: HandlerContext): Promise<KubeObject> | KubeObject;
}

/** Keyed by `<group>/<plural>` or `<group>/<plural>/<subresource>`, with `""` as the core group's name. */
export type CreateOnlyHandlers = Readonly<Record<string, CreateOnlyHandler>>;

/** Answers paths outside the resource tree (`/openid/v1/jwks`); authorization has been passed. */
export type RawHandler = (path: string) => Promise<RawAnswer | undefined> | RawAnswer | undefined;

export interface RawAnswer {
  readonly contentType: string;
  readonly body: string;
}
