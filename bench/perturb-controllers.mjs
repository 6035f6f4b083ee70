// Every built-in controller under every single fault:  node bench/perturb-controllers.mjs [--plans 2000] [path …]
// What `npm test` samples, at length. Prints what jest prints; a divergence comes with the line that plays it again.
import { spawnSync } from 'node:child_process';

/** Those that stand beside their controllers' other tests. */
const BESIDE = ['workloads/autoscaler', 'cluster/pod-gc', 'network/endpointslice-mirroring'];

const given = process.argv.slice(2);
const at = given.indexOf('--plans');
const [, plans = '2000'] = at < 0 ? [] : given.splice(at, 2);
const paths = given.length > 0 ? given : ['controllers/.*perturb.test', ...BESIDE];
const { status } = spawnSync(
  process.execPath,
  ['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js', ...paths, '--testTimeout=3600000'],
  { stdio: 'inherit', env: { ...process.env, TRIMTAB_PLANS: plans } },
);
process.exit(status ?? 1);
