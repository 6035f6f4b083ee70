import { soak } from './testing/soak.js';

test.each([1, 2, 3, 4, 5])('10⁵ changes under faults: none lost, reordered or resurrected (seed %i)', async (seed) => {
  const { violations, faults, delivered } = await soak({ seed, events: 20_000 });
  expect(violations).toEqual([]);
  expect(Object.keys(faults).length).toBe(8);
  expect(delivered).toBeGreaterThan(2_000);
});
