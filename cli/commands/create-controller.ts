import { existsSync, readdirSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CliError } from '../errors.js';
import { VERSION } from '../version.js';
import { projectFiles } from './controller-template.js';

const ROOMS: Readonly<Record<string, string>> = {
  machinery: 'api/machinery',
  store: 'api/store',
  client: 'api/client',
  server: 'api/server',
  crd: 'crd',
  framework: 'controllers/framework',
  testing: 'controllers/testing',
};

export interface CreateOptions {
  readonly directory?: string;
  readonly group: string;
}

/** Lays a controller project out; refuses a directory in which there is something. */
export async function createController(name: string, options: CreateOptions): Promise<void> {
  if (!/^[a-z][a-z0-9-]{0,40}[a-z0-9]$/.test(name))
    throw new CliError(`"${name}" is no name for a controller: lower-case letters, digits and dashes, such as website`);
  const directory = resolve(options.directory ?? name);
  if (existsSync(directory) && readdirSync(directory).length > 0)
    throw new CliError(`${directory} is not empty; choose another with --directory`);
  const kind = name
    .split('-')
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('');
  const files = projectFiles({ name, kind, group: options.group, packages: packagesFrom(checkout()) });
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), text);
  }
  console.log(
    `${directory} has a controller for ${kind}.${options.group}/v1; go on there with:\n  npm install\n  npm test`,
  );
}

/** The checkout this runs from, whose packages a project then uses; none where the command was installed as a package. */
function checkout(): string | undefined {
  let directory = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    if (existsSync(join(directory, 'controllers/framework/package.json'))) return directory;
    const above = dirname(directory);
    if (above === directory) return undefined;
    directory = above;
  }
}

const packagesFrom = (root: string | undefined): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(ROOMS).map(([name, room]) => [
      name,
      root === undefined ? `^${VERSION}` : `file:${join(root, room)}`,
    ]),
  );
