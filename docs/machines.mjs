// Writes docs/machines.md from the built machines:  npm run docs:machines
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { machinesOf, pageOf } from './machine-diagram.mjs';

/** Files of the product in which machines are made, and the folders' other modules that may carry them. */
export function machineFiles(root) {
  const files = execFileSync('git', ['ls-files', '*.ts'], { encoding: 'utf8', cwd: root }).split('\n');
  return files.filter(
    (file) =>
      /^(controllers|kubelet-lite|net-plugin|cli)\//.test(file) &&
      !/\.test\.ts$|\/testing\/|\/framework\/|simulated-node/.test(file) &&
      existsSync(`${root}/${file}`) &&
      readFileSync(`${root}/${file}`, 'utf8').includes('.createMachine('),
  );
}

/** `load` imports a source file by its path from the root. */
export async function allMachines(root, load) {
  const entries = [];
  const seen = new Set();
  for (const file of machineFiles(root)) {
    const controller = file.replace(/[^/]+$/, 'controller.ts');
    for (const source of [file, ...(existsSync(`${root}/${controller}`) ? [controller] : [])])
      for (const machine of machinesOf(await load(source))) {
        if (seen.has(machine.id)) continue;
        seen.add(machine.id);
        entries.push({ file, machine });
      }
  }
  return entries;
}

const ROOMS = ['kubelet-lite', 'net-plugin', 'controllers', 'cli'];
const built = (file) => {
  const room = ROOMS.find((each) => file.startsWith(`${each}/`));
  return file.replace(room, `${room}/dist`).replace(/\.ts$/, '.js');
};

if (process.argv[1]?.endsWith('docs/machines.mjs')) {
  const root = new URL('..', import.meta.url).pathname;
  const entries = await allMachines(root, (file) => import(`${root}${built(file)}`));
  writeFileSync(`${root}docs/machines.md`, pageOf(entries));
  console.log(`docs/machines.md: ${entries.length} machines`);
}
