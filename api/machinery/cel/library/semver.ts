import { type Definition, traverse } from '../overload.js';
import { CelError, CelOpaque } from '../values.js';

class SemverValue extends CelOpaque {
  override readonly type = 'kubernetes.Semver';
  constructor(
    readonly numbers: readonly [bigint, bigint, bigint],
    readonly pre: readonly string[],
  ) {
    super();
  }
  override equals(other: CelOpaque): boolean {
    return other instanceof SemverValue && compare(this, other) === 0;
  }
}

const STRICT =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/;

/** A leading `v` goes, missing parts are 0, leading zeros go. */
function normalized(text: string): string {
  const [, numbers = '', rest = ''] = /^v?([\d.]*)(.*)$/.exec(text) ?? [];
  const parts = numbers.split('.').map((part) => part.replace(/^0+(?=\d)/, ''));
  while (parts.length < 3) parts.push('0');
  return parts.join('.') + rest;
}

function parse(text: string, normalize = false): SemverValue {
  const match = STRICT.exec(normalize ? normalized(text) : text);
  if (!match) throw new CelError(`invalid semantic version ${JSON.stringify(text)}`);
  const [, major, minor, patch, pre] = match;
  return new SemverValue([BigInt(major!), BigInt(minor!), BigInt(patch!)], pre === undefined ? [] : pre.split('.'));
}

const holds = (text: string, normalize = false): boolean => STRICT.test(normalize ? normalized(text) : text);

function compare(a: SemverValue, b: SemverValue): number {
  for (const i of [0, 1, 2] as const) {
    if (a.numbers[i] !== b.numbers[i]) return a.numbers[i] < b.numbers[i] ? -1 : 1;
  }
  if (a.pre.length === 0 || b.pre.length === 0) return Math.sign(b.pre.length - a.pre.length);
  for (let i = 0; i < Math.min(a.pre.length, b.pre.length); i++) {
    const order = compareParts(a.pre[i]!, b.pre[i]!);
    if (order !== 0) return order;
  }
  return Math.sign(a.pre.length - b.pre.length);
}

function compareParts(a: string, b: string): number {
  const [x, y] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (x && y) return BigInt(a) < BigInt(b) ? -1 : BigInt(a) > BigInt(b) ? 1 : 0;
  if (x !== y) return x ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

const read = { cost: traverse };
const S = 'kubernetes.Semver';

/** kubernetes/apiserver pkg/cel/library semver. */
export const semver: readonly Definition[] = [
  [`semver(string): ${S}`, (text: string) => parse(text), read],
  [`semver(string, bool): ${S}`, parse, read],
  ['isSemver(string): bool', (text: string) => holds(text), read],
  ['isSemver(string, bool): bool', holds, read],
  [`${S}.major(): int`, ({ numbers }: SemverValue) => numbers[0]],
  [`${S}.minor(): int`, ({ numbers }: SemverValue) => numbers[1]],
  [`${S}.patch(): int`, ({ numbers }: SemverValue) => numbers[2]],
  [`${S}.isGreaterThan(${S}): bool`, (a: SemverValue, b: SemverValue) => compare(a, b) > 0],
  [`${S}.isLessThan(${S}): bool`, (a: SemverValue, b: SemverValue) => compare(a, b) < 0],
  [`${S}.compareTo(${S}): int`, (a: SemverValue, b: SemverValue) => BigInt(compare(a, b))],
];
