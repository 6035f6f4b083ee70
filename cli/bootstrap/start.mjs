/** `npm start`: prepares the checkout, brings up a cluster and installs the guestbook on it. Ctrl-C stops it. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { prepare, root, step, stop } from './prepare.mjs';
import { isRoot, run } from './requirements.mjs';

prepare('build', 'guestbook');

const trimtab = join(root, 'cli', 'bin', 'trimtab.mjs');
const dataDir = process.env.TRIMTAB_DATA_DIR ?? join(root, '.trimtab');
const extra = process.argv.slice(2);

if (!isRoot()) stop('Real pods need root. Without it: npx trimtab up --no-node --simulated-nodes 1');

step('images', 'guestbook images from what is on this machine');
const recipes = ['redis', 'frontend'].map((name) => join(root, 'charts', 'guestbook', 'images', `${name}.yaml`));
if (!run(process.execPath, [trimtab, 'image', 'assemble', '--data-dir', dataDir, ...recipes])) process.exit(1);

const up = ['up', '--data-dir', dataDir, '--chart', join(root, 'charts', 'guestbook'), ...extra];
const child = spawn(process.execPath, [trimtab, ...up], { stdio: 'inherit' });
// The terminal sends Ctrl-C to both; the child decides when it is done.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
