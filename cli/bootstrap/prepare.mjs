/** Brings a fresh checkout to where it can run: Debian packages, npm packages, native core, compiled TypeScript. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installCommand, isRoot, missing, NODE, nodeIsTooOld, run } from './requirements.mjs';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

export function prepare(...uses) {
  if (nodeIsTooOld()) stop(`Node ${process.versions.node} is too old: ${NODE.join('.')} or newer is needed.`);
  debianPackages(uses);
  npmPackages();
  step('build', 'native core and TypeScript');
  if (!run('npm', ['run', '--silent', 'build'], { cwd: root })) stop('The build failed; the messages above say where.');
}

function debianPackages(uses) {
  const list = missing(...uses);
  if (list.length === 0) return;
  for (const { package: name, why } of list) step('apt', `${name}: ${why}`);
  if (!isRoot() || !existsSync('/usr/bin/apt-get'))
    stop(`These packages are missing. Install them and start again:\n  sudo ${installCommand(list)}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const quiet = ['-qq', '-o', 'Dpkg::Use-Pty=0'];
  const names = list.map((p) => p.package);
  if (!run('apt-get', [...quiet, 'update'], { env }) && !existsSync('/var/lib/apt/lists/lock'))
    stop('apt-get update failed; the messages above say why.');
  if (
    !run('apt-get', [...quiet, 'install', '-y', '--no-install-recommends', ...names], {
      env,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  )
    stop(`Debian's packages could not be installed. Try: ${installCommand(list)}`);
}

/** npm notes what it installed in node_modules/.package-lock.json; an older note than the lock file is out of date. */
function npmPackages() {
  const note = join(root, 'node_modules', '.package-lock.json');
  const lock = join(root, 'package-lock.json');
  if (existsSync(note) && statSync(note).mtimeMs >= statSync(lock).mtimeMs) return;
  if (existsSync(note) && installed(note) === installed(lock)) return;
  step('npm', 'installing packages');
  // Not `npm ci`: that wants the lock file to hold the optional packages of every platform, which a mirror may not have.
  if (!run('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: root }))
    stop('npm install failed; the messages above say why.');
}

/** Name and integrity of every package, the same in both files when nothing changed. */
function installed(file) {
  const entries = Object.entries(JSON.parse(readFileSync(file, 'utf8')).packages ?? {});
  return entries
    .filter(([path, entry]) => path.startsWith('node_modules/') && !entry.link && !entry.optional)
    .map(([path, { integrity }]) => `${path} ${integrity}`)
    .sort()
    .join('\n');
}

export function step(what, text) {
  const colour = process.stdout.isTTY ? ['\u001b[36m', '\u001b[0m'] : ['', ''];
  console.log(`${colour[0]}${what.padEnd(8)}${colour[1]} ${text}`);
}

export function stop(message) {
  console.error(message);
  process.exit(1);
}
