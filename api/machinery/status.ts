import type { TypeMeta } from './object.js';

/**
 * Errors as Kubernetes answers them: a `Status` object with code, reason, message and details
 * (templates: kubernetes/apimachinery, pkg/api/errors). One catalogue; everything that fails towards a client throws
 * a {@link StatusError} made here.
 */

export type CauseType =
  | 'FieldValueRequired'
  | 'FieldValueInvalid'
  | 'FieldValueDuplicate'
  | 'FieldValueNotFound'
  | 'FieldValueNotSupported'
  | 'FieldValueForbidden'
  | 'FieldValueTooLong'
  | 'FieldValueTooMany'
  | 'FieldValueTypeInvalid'
  | 'FieldManagerConflict'
  | 'UnexpectedServerResponse'
  | 'ResourceVersionTooLarge'
  | 'NamespaceTerminating'
  | 'DisruptionBudget'
  | 'ExitCode';

export interface StatusCause {
  readonly reason?: CauseType | (string & {});
  readonly message?: string;
  readonly field?: string;
}

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

export interface Status extends TypeMeta {
  readonly metadata: { readonly continue?: string };
  readonly status: 'Success' | 'Failure';
  readonly message?: string;
  readonly reason?: string;
  readonly details?: StatusDetails;
  readonly code: number;
}

/** Names the resource an error is about; `kind` is used by Invalid, the plural by all others. */
export interface ResourceName {
  readonly group: string;
  readonly resource: string;
  readonly kind?: string;
}

export class StatusError extends Error {
  readonly status: Status;

  constructor(status: Omit<Status, 'kind' | 'apiVersion' | 'metadata' | 'status'> & Partial<Pick<Status, 'metadata'>>) {
    super(status.message ?? status.reason ?? 'unknown error');
    this.name = 'StatusError';
    this.status = { kind: 'Status', apiVersion: 'v1', metadata: {}, ...status, status: 'Failure' };
  }

  get code(): number {
    return this.status.code;
  }

  get reason(): string {
    return this.status.reason ?? '';
  }

  /** Rebuilds the error from a Status received from a server. */
  static from(status: Status): StatusError {
    return new StatusError({ ...status });
  }
}

/** True when `error` is a StatusError with this reason. */
export function isReason(error: unknown, ...reasons: readonly string[]): error is StatusError {
  return error instanceof StatusError && reasons.includes(error.reason);
}

/** True when nothing can be created in a namespace any more, for it is being deleted: nothing needs to be, then. */
export const isNamespaceTerminating = (error: unknown): boolean =>
  error instanceof StatusError &&
  error.status.details?.causes?.some(({ reason }) => reason === 'NamespaceTerminating') === true;

const qualified = (r: ResourceName): string => (r.group === '' ? r.resource : `${r.resource}.${r.group}`);
const details = (r: ResourceName, name?: string): StatusDetails => ({
  ...(name ? { name } : {}),
  ...(r.group ? { group: r.group } : {}),
  kind: r.resource,
});

export const notFound = (r: ResourceName, name: string): StatusError =>
  new StatusError({
    code: 404,
    reason: 'NotFound',
    message: `${qualified(r)} "${name}" not found`,
    details: details(r, name),
  });

export const alreadyExists = (r: ResourceName, name: string): StatusError =>
  new StatusError({
    code: 409,
    reason: 'AlreadyExists',
    message: `${qualified(r)} "${name}" already exists`,
    details: details(r, name),
  });

export const conflict = (
  r: ResourceName,
  name: string,
  why = 'the object has been modified; please apply your changes to the latest version and try again',
): StatusError =>
  new StatusError({
    code: 409,
    reason: 'Conflict',
    message: `Operation cannot be fulfilled on ${qualified(r)} "${name}": ${why}`,
    details: details(r, name),
  });

export const badRequest = (message: string): StatusError =>
  new StatusError({ code: 400, reason: 'BadRequest', message });

export const unauthorized = (message = 'Unauthorized'): StatusError =>
  new StatusError({ code: 401, reason: 'Unauthorized', message });

export const forbidden = (r: ResourceName, name: string, why: string): StatusError =>
  new StatusError({
    code: 403,
    reason: 'Forbidden',
    message: name ? `${qualified(r)} "${name}" is forbidden: ${why}` : `${qualified(r)} is forbidden: ${why}`,
    details: details(r, name),
  });

export const methodNotAllowed = (r: ResourceName, verb: string): StatusError =>
  new StatusError({
    code: 405,
    reason: 'MethodNotAllowed',
    message: `${verb} is not supported on resources of kind "${qualified(r)}"`,
    details: details(r),
  });

export const notAcceptable = (message: string): StatusError =>
  new StatusError({ code: 406, reason: 'NotAcceptable', message });

export const unsupportedMediaType = (message: string): StatusError =>
  new StatusError({ code: 415, reason: 'UnsupportedMediaType', message });

/** All causes are reported together, in field order; the message carries their fields and texts. */
export const invalid = (
  kind: { group: string; kind: string },
  name: string,
  causes: readonly StatusCause[],
): StatusError => {
  const texts = causes.map((c) => (c.field ? `${c.field}: ${c.message}` : (c.message ?? '')));
  const body = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`;
  const title = kind.group ? `${kind.kind}.${kind.group}` : kind.kind;
  return new StatusError({
    code: 422,
    reason: 'Invalid',
    message: `${title} "${name}" is invalid: ${body}`,
    details: { ...(name ? { name } : {}), ...(kind.group ? { group: kind.group } : {}), kind: kind.kind, causes },
  });
};

/** 410: the revision asked for has been compacted away; `continueToken` lets a chunked list go on inconsistently. */
export const expired = (message: string, continueToken?: string): StatusError =>
  new StatusError({
    code: 410,
    reason: 'Expired',
    message,
    ...(continueToken ? { metadata: { continue: continueToken } } : {}),
  });

export const tooLarge = (message: string): StatusError =>
  new StatusError({ code: 413, reason: 'RequestEntityTooLarge', message });

export const tooManyRequests = (
  message: string,
  retryAfterSeconds: number,
  causes?: readonly StatusCause[],
): StatusError =>
  new StatusError({
    code: 429,
    reason: 'TooManyRequests',
    message,
    details: { retryAfterSeconds, ...(causes ? { causes } : {}) },
  });

export const internalError = (message: string): StatusError =>
  new StatusError({
    code: 500,
    reason: 'InternalError',
    message: `Internal error occurred: ${message}`,
    details: { causes: [{ message }] },
  });

export const serviceUnavailable = (message: string): StatusError =>
  new StatusError({ code: 503, reason: 'ServiceUnavailable', message });

export const timeout = (message: string, details?: StatusDetails): StatusError =>
  new StatusError({ code: 504, reason: 'Timeout', message, ...(details ? { details } : {}) });
