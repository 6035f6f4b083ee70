/**
 * What tests get for `fast-check`: properties are tried with the same seed in every run, so that a run fails for what was changed and
 * for nothing else. To look for what no run has found yet: `FC_SEED=random npm run jest -- PATH`; a failure prints its seed.
 */
import fc from '../node_modules/fast-check/lib/fast-check.js';

const asked = process.env.FC_SEED ?? '1';
if (asked !== 'random') fc.configureGlobal({ seed: Number(asked) });

export * from '../node_modules/fast-check/lib/fast-check.js';
export default fc;
