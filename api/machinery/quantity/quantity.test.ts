import fc from 'fast-check';
import {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  formatQuantity,
  isQuantity,
  mulQuantity,
  parseQuantity,
  type QuantityFormat,
  quantityMilliValue,
  quantityNumber,
  quantityOf,
  quantityValue,
  subQuantities,
} from './quantity.js';

describe('quantities', () => {
  test.each([
    ['0', '0'],
    ['000', '0'],
    ['1000m', '1'],
    ['0.5', '500m'],
    ['.25', '250m'],
    ['1.', '1'],
    ['+3', '3'],
    ['1500m', '1500m'],
    ['1000k', '1M'],
    ['100000000', '100M'],
    ['1024Ki', '1Mi'],
    ['1.5Gi', '1536Mi'],
    ['0.5Ki', '512'],
    ['1000Ki', '1000Ki'],
    ['1023', '1023'],
    ['0.1Ki', '102400m'],
    ['12e6', '12e6'],
    ['12E6', '12e6'],
    ['1200e4', '12e6'],
    ['1e0', '1'],
    ['1E', '1E'],
    ['5000E', '5000E'],
    ['1e-3', '1e-3'],
    ['0.1n', '1n'],
    ['-0.1n', '-1n'],
    ['-1.5', '-1500m'],
    ['16Ei', '9223372036854775807'],
    ['1u', '1u'],
    [1.5, '1500m'],
    [4294967296, '4294967296'],
  ])('%s is written %s', (text, canonical) => {
    expect(canonicalQuantity(text)).toBe(canonical);
  });

  test.each(['', 'abc', '1 Gi', '1gi', '1KB', '1..2', '--1', '1Gi2', 'Ki', '.', '1e99999', '٣'])(
    '%p is refused',
    (text) => {
      expect(() => parseQuantity(text)).toThrow(/quantit/);
      expect(isQuantity(text)).toBe(false);
    },
  );

  test('a million digits are refused at once', () => {
    for (const text of ['9'.repeat(1_000_000), `0.${'1'.repeat(1_000_000)}`])
      expect(() => parseQuantity(text)).toThrow('too many digits');
  });

  test('integer and milli values round up', () => {
    expect(quantityValue(parseQuantity('1001m'))).toBe(2);
    expect(quantityValue(parseQuantity('-1001m'))).toBe(-2);
    expect(quantityMilliValue(parseQuantity('1500u'))).toBe(2);
    expect(quantityMilliValue(parseQuantity('2'))).toBe(2000);
    expect(quantityNumber(parseQuantity('1500m'))).toBe(1.5);
    expect(quantityValue(parseQuantity('64Gi'))).toBe(64 * 2 ** 30);
  });

  test('sums keep the notation of the first amount that is not zero', () => {
    const sum = (a: string, b: string) => formatQuantity(addQuantities(parseQuantity(a), parseQuantity(b)));
    expect(sum('1Gi', '512Mi')).toBe('1536Mi');
    expect(sum('0', '512Mi')).toBe('512Mi');
    expect(sum('100m', '900m')).toBe('1');
    expect(formatQuantity(subQuantities(parseQuantity('1Gi'), parseQuantity('1Gi')))).toBe('0');
    expect(formatQuantity(mulQuantity(parseQuantity('250m'), 4))).toBe('1');
    expect(formatQuantity(quantityOf(2048, 'BinarySI'))).toBe('2Ki');
  });

  const amounts = fc.record({
    nano: fc.bigInt({ min: -(10n ** 27n), max: 10n ** 27n }),
    format: fc.constantFrom<QuantityFormat>('DecimalSI', 'BinarySI', 'DecimalExponent'),
  });

  test('what is written reads back as the same amount, and is already canonical', () => {
    fc.assert(
      fc.property(amounts, (amount) => {
        const text = formatQuantity(amount);
        expect(parseQuantity(text).nano).toBe(amount.nano);
        expect(canonicalQuantity(text)).toBe(text);
        expect(text).toMatch(/^-?\d+([numkMGTPE]|[KMGTPE]i|e-?\d+)?$/);
      }),
    );
  });

  test('addition and subtraction undo each other, and order agrees with difference', () => {
    fc.assert(
      fc.property(amounts, amounts, (a, b) => {
        expect(subQuantities(addQuantities(a, b), b).nano).toBe(a.nano);
        const difference = subQuantities(a, b).nano;
        expect(Math.sign(compareQuantities(a, b))).toBe(difference < 0n ? -1 : difference > 0n ? 1 : 0);
      }),
    );
  });
});
