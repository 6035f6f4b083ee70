/**
 * How many faults a controller's tests go through: a sample, spread evenly over its story. All of them:
 * `node bench/perturb-controllers.mjs`, which says so in its environment.
 */
const all = process.env.TRIMTAB_PLANS;

export const PLANS = all ? { plans: Number(all), pairs: Math.ceil(Number(all) / 5) } : { plans: 24, pairs: 4 };
