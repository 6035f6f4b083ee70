import { existsSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as ClientPackage from '@trimtab/client';
import type * as FrameworkPackage from '@trimtab/framework';
import type { OperatorDefinition } from '@trimtab/framework';
import type * as MachineryPackage from '@trimtab/machinery';
import { CliError } from '../errors.js';
import { importFile } from '../import-file.js';

/** A file that exports an operator, and the packages it was written with: errors and types must be of one make. */
export interface ControllerProject {
  readonly client: typeof ClientPackage;
  readonly framework: typeof FrameworkPackage;
  readonly machinery: typeof MachineryPackage;
  /** Every file the operator is made of, without packages, as of the last load. */
  readonly files: readonly string[];
  /** Builds and loads the operator as it is now. @throws CliError with what is wrong with it. */
  load(): Promise<OperatorDefinition>;
}

interface Esbuild {
  build(options: object): Promise<{ readonly metafile: { readonly inputs: Readonly<Record<string, unknown>> } }>;
}

export async function openProject(file: string): Promise<ControllerProject> {
  const entry = resolve(file);
  if (!existsSync(entry))
    throw new CliError(`${file} is not there; make a project with: trimtab create controller NAME`);
  const near = createRequire(entry);
  const root = rootOf(dirname(entry));
  const load = async <M>(name: string): Promise<M> => {
    try {
      return (await importFile(pathToFileURL(near.resolve(name)).href)) as M;
    } catch (error) {
      throw new CliError(`${file} needs ${name}: ${(error as Error).message.split('\n')[0]}; in ${root}: npm install`);
    }
  };
  const [client, framework, machinery, esbuild] = await Promise.all([
    load<typeof ClientPackage>('@trimtab/client'),
    load<typeof FrameworkPackage>('@trimtab/framework'),
    load<typeof MachineryPackage>('@trimtab/machinery'),
    load<Esbuild & { readonly default?: Esbuild }>('esbuild'),
  ]);
  let files: readonly string[] = [entry];
  let loads = 0;
  return {
    client,
    framework,
    machinery,
    get files() {
      return files;
    },
    async load() {
      const directory = join(root, 'node_modules', '.cache', 'trimtab');
      mkdirSync(directory, { recursive: true });
      const outfile = join(directory, `operator-${process.pid}-${++loads}.mjs`);
      const { metafile } = await (esbuild.default ?? esbuild)
        .build({
          entryPoints: [entry],
          outfile,
          absWorkingDir: root,
          bundle: true,
          packages: 'external',
          platform: 'node',
          target: 'node20',
          format: 'esm',
          sourcemap: 'inline',
          metafile: true,
          logLevel: 'silent',
        })
        .catch((error: Error) => {
          throw new CliError(error.message);
        });
      files = Object.keys(metafile.inputs).map((input) => resolve(root, input));
      const module = (await importFile(pathToFileURL(outfile).href)) as Readonly<Record<string, unknown>>;
      const found = module.default ?? module.app;
      if (!isOperator(found)) throw new CliError(`${file} exports no operator: export const app = operator({ … })`);
      return found;
    },
  };
}

const isOperator = (value: unknown): value is OperatorDefinition =>
  value !== null &&
  typeof value === 'object' &&
  Array.isArray((value as { readonly controllers?: unknown }).controllers);

/** The nearest directory that has packages. */
function rootOf(directory: string): string {
  if (existsSync(join(directory, 'node_modules'))) return directory;
  const above = dirname(directory);
  if (above === directory) throw new CliError('no node_modules here or above; install the project first: npm install');
  return rootOf(above);
}
