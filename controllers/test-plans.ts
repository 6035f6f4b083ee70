import { expectStable, perturb, type Scenario, world } from '@trimtab/testing';

/**
 * How many faults a controller's tests go through: a sample, spread evenly over its story. All of them:
 * `node bench/perturb-controllers.mjs`, which says so in its environment.
 */
const all = process.env.TRIMTAB_PLANS;

export const PLANS = all ? { plans: Number(all), pairs: Math.ceil(Number(all) / 5) } : { plans: 16, pairs: 3 };

/** Under every single fault and some pairs it ends as it should; and at rest it writes nothing for a day. */
export async function survives(scenario: Scenario): Promise<void> {
  (await perturb(scenario, PLANS)).expectNoDivergence();
  const w = await world(typeof scenario.world === 'function' ? scenario.world() : scenario.world);
  await scenario.workload(w);
  await expectStable(w);
  await w.close();
}
