/**
 * Resource quantities (`100m`, `1.5Gi`, `12e6`), exact: an amount is a whole number of nano-units in a BigInt, so sums over a
 * cluster never lose a digit. Syntax, rounding and canonical form follow kubernetes/apimachinery pkg/api/resource.
 */

export type QuantityFormat = 'DecimalSI' | 'BinarySI' | 'DecimalExponent';

/** An amount with the notation it was written in; arithmetic keeps the notation of the left operand unless that is zero. */
export interface ParsedQuantity {
  /** The amount times 10^9. */
  readonly nano: bigint;
  readonly format: QuantityFormat;
}

/** Thrown for text that is no quantity; the message is Kubernetes' own. */
export class QuantityError extends Error {
  override readonly name = 'QuantityError';
}

const NANO = 1_000_000_000n;
const MAX_BINARY = (2n ** 63n - 1n) * NANO;
const SYNTAX = /^([+-]?)(\d*)(?:\.(\d*))?([eEinumkKMGTP]*[-+]?\d*)$/;
const WRONG_FORMAT = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

const DECIMAL_SUFFIXES: readonly (readonly [string, number])[] = [
  ['n', -9],
  ['u', -6],
  ['m', -3],
  ['', 0],
  ['k', 3],
  ['M', 6],
  ['G', 9],
  ['T', 12],
  ['P', 15],
  ['E', 18],
];
const BINARY_SUFFIXES = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'] as const;
const decimalExponent = new Map(DECIMAL_SUFFIXES);
const binaryPower = new Map(BINARY_SUFFIXES.slice(1).map((suffix, i) => [suffix as string, i + 1]));

/** Exponents and digits beyond this have no meaning in a cluster; a million digits would cost every reader seconds. */
const MAX_EXPONENT = 1000;
const MAX_DIGITS = 1000;

/**
 * Reads a quantity as it stands in a manifest; numbers are read as their decimal text. Amounts below one nano-unit are
 * rounded away from zero, binary amounts are capped at 2^63-1.
 *
 * @throws QuantityError
 */
export function parseQuantity(text: string | number): ParsedQuantity {
  const written = String(text);
  const before = known.get(written);
  if (before !== undefined) return before;
  const parsed = read(written);
  if (written.length > LONGEST_KNOWN) return parsed;
  if (known.size >= MOST_KNOWN) known.clear();
  known.set(written, parsed);
  return parsed;
}

/** A cluster's objects say few different amounts, over and over. */
const known = new Map<string, ParsedQuantity>();
const MOST_KNOWN = 2_000;
const LONGEST_KNOWN = 32;

function read(text: string): ParsedQuantity {
  const match = SYNTAX.exec(text);
  if (!match) throw new QuantityError(WRONG_FORMAT);
  const [, sign, whole = '', fraction = '', suffix = ''] = match;
  if (whole === '' && fraction === '') {
    throw new QuantityError(text === '' ? WRONG_FORMAT : 'unable to parse numeric part of quantity');
  }
  if (whole.length + fraction.length > MAX_DIGITS) {
    throw new QuantityError('unable to parse numeric part of quantity: too many digits');
  }
  const digits = BigInt(whole + fraction || '0');
  const { format, exponent, factor } = interpretSuffix(suffix);
  const scaled = shift(digits * factor, exponent - fraction.length + 9);
  const nano = format === 'BinarySI' && scaled > MAX_BINARY ? MAX_BINARY : scaled;
  const shown = format === 'BinarySI' && nano > 0n && nano < NANO ? 'DecimalSI' : format;
  return { nano: sign === '-' ? -nano : nano, format: shown };
}

function interpretSuffix(suffix: string): { format: QuantityFormat; exponent: number; factor: bigint } {
  const decimal = decimalExponent.get(suffix);
  if (decimal !== undefined) return { format: 'DecimalSI', exponent: decimal, factor: 1n };
  const power = binaryPower.get(suffix);
  if (power !== undefined) return { format: 'BinarySI', exponent: 0, factor: 1n << BigInt(10 * power) };
  const scientific = /^[eE]([-+]?\d+)$/.exec(suffix);
  const exponent = scientific ? Number(scientific[1]) : Number.NaN;
  if (!(Math.abs(exponent) <= MAX_EXPONENT)) throw new QuantityError("unable to parse quantity's suffix");
  return { format: 'DecimalExponent', exponent, factor: 1n };
}

/** `value` times 10^`exponent`, rounded away from zero; `value` is not negative. */
function shift(value: bigint, exponent: number): bigint {
  if (exponent >= 0) return value * 10n ** BigInt(exponent);
  return ceilDivide(value, 10n ** BigInt(-exponent));
}

/** Division that rounds away from zero, as Kubernetes rounds what cannot be shown. */
function ceilDivide(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor;
  if (quotient * divisor === value) return quotient;
  return value < 0n ? quotient - 1n : quotient + 1n;
}

/**
 * The canonical text: no fraction digits, the largest suffix that keeps the number whole. Binary notation falls back to
 * decimal below 1024 and where the amount is not whole.
 */
export function formatQuantity({ nano, format }: ParsedQuantity): string {
  if (nano === 0n) return '0';
  const binary = format === 'BinarySI' && nano % NANO === 0n && (nano >= 1024n * NANO || nano <= -1024n * NANO);
  if (binary) {
    let value = nano / NANO;
    let power = 0;
    while (power < BINARY_SUFFIXES.length - 1 && value % 1024n === 0n) {
      value /= 1024n;
      power++;
    }
    return `${value}${BINARY_SUFFIXES[power]}`;
  }
  let value = nano;
  let exponent = -9;
  const largest = format === 'DecimalExponent' ? Number.POSITIVE_INFINITY : 18;
  while (exponent < largest && value % 1000n === 0n) {
    value /= 1000n;
    exponent += 3;
  }
  if (format === 'DecimalExponent') return exponent === 0 ? `${value}` : `${value}e${exponent}`;
  return `${value}${DECIMAL_SUFFIXES[exponent / 3 + 3]![0]}`;
}

/** The canonical text of a quantity as written; `1000m` gives `1`, `0.5Gi` gives `512Mi`. */
export function canonicalQuantity(text: string | number): string {
  return formatQuantity(parseQuantity(text));
}

/** Negative, zero or positive as `a` is less than, equal to or more than `b`; notation does not matter. */
export function compareQuantities(a: ParsedQuantity, b: ParsedQuantity): number {
  return a.nano < b.nano ? -1 : a.nano > b.nano ? 1 : 0;
}

export function addQuantities(a: ParsedQuantity, b: ParsedQuantity): ParsedQuantity {
  return { nano: a.nano + b.nano, format: a.nano === 0n ? b.format : a.format };
}

export function subQuantities(a: ParsedQuantity, b: ParsedQuantity): ParsedQuantity {
  return { nano: a.nano - b.nano, format: a.nano === 0n ? b.format : a.format };
}

/** The amount `factor` times over; `factor` is a whole number. */
export function mulQuantity(a: ParsedQuantity, factor: number | bigint): ParsedQuantity {
  return { nano: a.nano * BigInt(factor), format: a.format };
}

/** The amount in whole units, rounded up (away from zero); loses precision only beyond 2^53. */
export function quantityValue(a: ParsedQuantity): number {
  return Number(ceilDivide(a.nano, NANO));
}

/** The amount in thousandths, rounded up (away from zero). */
export function quantityMilliValue(a: ParsedQuantity): number {
  return Number(ceilDivide(a.nano, 1_000_000n));
}

/** The amount as a floating point number, as metrics and scores want it. */
export function quantityNumber(a: ParsedQuantity): number {
  return Number(a.nano / NANO) + Number(a.nano % NANO) / 1e9;
}

/** A decimal (`DecimalSI`) or binary quantity of `units` whole units. */
export function quantityOf(units: number | bigint, format: QuantityFormat = 'DecimalSI'): ParsedQuantity {
  return { nano: BigInt(units) * NANO, format };
}

/** A decimal quantity of `milli` thousandths. */
export function milliQuantity(milli: number | bigint): ParsedQuantity {
  return { nano: BigInt(milli) * 1_000_000n, format: 'DecimalSI' };
}

/** True when `value` is a string or number that {@link parseQuantity} accepts. */
export function isQuantity(value: unknown): value is string | number {
  if (typeof value !== 'string' && typeof value !== 'number') return false;
  try {
    parseQuantity(value);
    return true;
  } catch {
    return false;
  }
}
