import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Lifecycles, parseLifecycles } from '@trimtab/kubelet-lite';
import { parseYaml } from '@trimtab/machinery';
import { CliError } from '../errors.js';

/** The scripts of `--simulated-lifecycle`. Throws CliError that names the file and what is wrong in it. */
export function readLifecycles(file: string): Lifecycles {
  try {
    return parseLifecycles(parseYaml(readFileSync(resolve(file), 'utf8')));
  } catch (error) {
    throw new CliError(`--simulated-lifecycle ${file}: ${(error as Error).message}`);
  }
}
