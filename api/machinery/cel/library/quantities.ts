import {
  addQuantities,
  compareQuantities,
  isQuantity,
  type ParsedQuantity,
  parseQuantity,
  QuantityError,
  quantityNumber,
  quantityOf,
  subQuantities,
} from '../../quantity/quantity.js';
import { type Definition, traverse } from '../overload.js';
import { CelError, CelOpaque } from '../values.js';

class QuantityValue extends CelOpaque {
  override readonly type = 'kubernetes.Quantity';
  constructor(readonly quantity: ParsedQuantity) {
    super();
  }
  override equals(other: CelOpaque): boolean {
    return other instanceof QuantityValue && compareQuantities(this.quantity, other.quantity) === 0;
  }
}

const NANO = 1_000_000_000n;
const whole = ({ quantity }: QuantityValue): boolean =>
  quantity.nano % NANO === 0n && BigInt.asIntN(64, quantity.nano / NANO) === quantity.nano / NANO;

function parse(text: string): QuantityValue {
  try {
    return new QuantityValue(parseQuantity(text));
  } catch (error) {
    if (error instanceof QuantityError) throw new CelError(error.message);
    throw error;
  }
}

const read = { cost: traverse };
const Q = 'kubernetes.Quantity';
const compare = (a: QuantityValue, b: QuantityValue): number => compareQuantities(a.quantity, b.quantity);
const made =
  (combine: (a: ParsedQuantity, b: ParsedQuantity) => ParsedQuantity) =>
  (a: QuantityValue, b: QuantityValue | bigint): QuantityValue =>
    new QuantityValue(combine(a.quantity, typeof b === 'bigint' ? quantityOf(b) : b.quantity));

/** kubernetes/apiserver pkg/cel/library quantity. */
export const quantities: readonly Definition[] = [
  [`quantity(string): ${Q}`, parse, read],
  ['isQuantity(string): bool', (text: string) => isQuantity(text), read],
  [`${Q}.sign(): int`, ({ quantity }: QuantityValue) => (quantity.nano > 0n ? 1n : quantity.nano < 0n ? -1n : 0n)],
  [`${Q}.isInteger(): bool`, whole],
  [
    `${Q}.asInteger(): int`,
    (value: QuantityValue) => {
      if (!whole(value)) throw new CelError('cannot convert value to integer');
      return value.quantity.nano / NANO;
    },
  ],
  [`${Q}.asApproximateFloat(): double`, ({ quantity }: QuantityValue) => quantityNumber(quantity)],
  [`${Q}.isGreaterThan(${Q}): bool`, (a: QuantityValue, b: QuantityValue) => compare(a, b) > 0],
  [`${Q}.isLessThan(${Q}): bool`, (a: QuantityValue, b: QuantityValue) => compare(a, b) < 0],
  [`${Q}.compareTo(${Q}): int`, (a: QuantityValue, b: QuantityValue) => BigInt(compare(a, b))],
  [`${Q}.add(${Q}): ${Q}`, made(addQuantities)],
  [`${Q}.add(int): ${Q}`, made(addQuantities)],
  [`${Q}.sub(${Q}): ${Q}`, made(subQuantities)],
  [`${Q}.sub(int): ${Q}`, made(subQuantities)],
];
