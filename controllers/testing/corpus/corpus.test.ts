import { perturb } from '../index.js';
import { cleanScenarios, mutants } from './corpus.js';

test('there are planted bugs of every class, forty at least', () => {
  expect(mutants.length).toBeGreaterThanOrEqual(40);
});

test.each(cleanScenarios)('the clean $name raises no alarm', async ({ scenario }) => {
  const report = await perturb(scenario, { plans: 1000, pairs: 20 });
  report.expectNoDivergence();
});

test.each(mutants.map((mutant) => [mutant.subject, mutant.name, mutant] as const))(
  'kills the %s that %s',
  async (_, __, { scenario }) => {
    const { divergences } = await perturb(scenario, { failures: 1, plans: 1000 });
    expect(divergences.length).toBe(1);
  },
);
