import type { Definition } from '../overload.js';
import { CelError, CelList, CelMap, CelOptional, CelUint, type CelValue } from '../values.js';

const isZero = (value: CelValue): boolean =>
  value === null ||
  value === false ||
  value === 0n ||
  value === 0 ||
  value === '' ||
  (value instanceof CelUint && value.value === 0n) ||
  ((value instanceof CelList || value instanceof CelMap) && value.size === 0) ||
  (value instanceof Uint8Array && value.length === 0);

function present({ value }: CelOptional): CelValue {
  if (value === undefined) throw new CelError('optional.none() dereference');
  return value;
}

/** cel-go's optional values, apart from their macros and access operators. */
export const optionals: readonly Definition[] = [
  ['optional.of(A): optional<A>', (value: CelValue) => new CelOptional(value)],
  [
    'optional.ofNonZeroValue(A): optional<A>',
    (value: CelValue) => (isZero(value) ? CelOptional.none : new CelOptional(value)),
  ],
  ['optional.none(): optional<A>', () => CelOptional.none],
  ['optional<A>.hasValue(): bool', ({ value }: CelOptional) => value !== undefined],
  ['optional<A>.value(): A', present],
];
