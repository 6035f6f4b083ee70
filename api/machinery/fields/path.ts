import type { CauseType, StatusCause } from '../status.js';

/**
 * The name of a field as error causes give it: `spec.containers[0].name`, `metadata.labels[app]`
 * (kubernetes/apimachinery pkg/util/validation/field). Immutable; every step makes a new path.
 */
export class FieldPath {
  readonly #text: string;

  constructor(text = '') {
    this.#text = text;
  }

  /** Steps into fields by name. */
  child(...names: readonly string[]): FieldPath {
    const tail = names.join('.');
    return new FieldPath(this.#text === '' ? tail : `${this.#text}.${tail}`);
  }

  /** Steps into an element of a list. */
  index(position: number): FieldPath {
    return new FieldPath(`${this.#text}[${position}]`);
  }

  /** Steps into an entry of a map with free keys. */
  key(key: string): FieldPath {
    return new FieldPath(`${this.#text}[${key}]`);
  }

  toString(): string {
    return this.#text;
  }
}

/** The path that starts with these field names: `fieldPath('metadata', 'name')`. */
export function fieldPath(...names: readonly string[]): FieldPath {
  return new FieldPath(names.join('.'));
}

type Where = FieldPath | string;

const quoted = (value: unknown): string => (value === undefined ? 'null' : JSON.stringify(value));

function made(reason: CauseType, where: Where, title: string, detail = ''): StatusCause {
  return { reason, message: detail === '' ? title : `${title}: ${detail}`, field: String(where) };
}

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** Validation causes in Kubernetes' wording, one function a kind of error. */
export const causes = {
  required: (where: Where, detail = ''): StatusCause => made('FieldValueRequired', where, 'Required value', detail),

  invalid: (where: Where, value: unknown, detail = ''): StatusCause =>
    made('FieldValueInvalid', where, `Invalid value: ${quoted(value)}`, detail),

  /** Where the value would say nothing that `detail` does not. */
  invalidHere: (where: Where, detail: string): StatusCause => made('FieldValueInvalid', where, 'Invalid value', detail),

  typeInvalid: (where: Where, value: unknown, detail = ''): StatusCause =>
    made('FieldValueTypeInvalid', where, `Invalid value: ${quoted(value)}`, detail),

  duplicate: (where: Where, value: unknown): StatusCause =>
    made('FieldValueDuplicate', where, `Duplicate value: ${quoted(value)}`),

  notFound: (where: Where, value: unknown): StatusCause =>
    made('FieldValueNotFound', where, `Not found: ${quoted(value)}`),

  /** Supported values are shown in the order given. */
  notSupported: (where: Where, value: unknown, supported: readonly string[]): StatusCause =>
    made(
      'FieldValueNotSupported',
      where,
      `Unsupported value: ${quoted(value)}`,
      supported.length === 0 ? '' : `supported values: ${supported.map((s) => quoted(s)).join(', ')}`,
    ),

  forbidden: (where: Where, detail = ''): StatusCause => made('FieldValueForbidden', where, 'Forbidden', detail),

  /** `limit` is in bytes. */
  tooLong: (where: Where, limit: number): StatusCause =>
    made('FieldValueTooLong', where, 'Too long', `may not be more than ${plural(limit, 'byte')}`),

  tooMany: (where: Where, count: number, limit: number): StatusCause =>
    made('FieldValueTooMany', where, `Too many: ${count}`, `must have at most ${plural(limit, 'item')}`),
} as const;

/** `spec.replicas: Invalid value: -1: must be …`, as messages quote a cause. */
export function formatCause(cause: StatusCause): string {
  return cause.field ? `${cause.field}: ${cause.message}` : (cause.message ?? '');
}
