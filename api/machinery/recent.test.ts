import fc from 'fast-check';
import { RecentMap, remembering } from './recent.js';

describe('what was met lately', () => {
  test('a value is found until twice as many others have been met since, at most', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.array(fc.nat(20), { maxLength: 200 }), (size, keys) => {
        const map = new RecentMap<number, string>(size);
        const met: number[] = [];
        for (const key of keys) {
          const found = map.get(key);
          const since = new Set(met.slice(met.lastIndexOf(key) + 1));
          if (met.includes(key) && since.size < size) expect(found).toBe(`${key}`);
          if (!met.includes(key)) expect(found).toBeUndefined();
          if (found === undefined) map.set(key, `${key}`);
          met.push(key);
        }
      }),
      { seed: 20_261_121 },
    );
  });

  test('the same value is asked of once, another that is equal again', () => {
    const asked: object[] = [];
    const answer = remembering((value: object) => {
      asked.push(value);
      return asked.length;
    });
    const value = {};
    expect([answer(value), answer(value), answer({})]).toEqual([1, 1, 2]);
    expect(asked).toHaveLength(2);
  });
});
