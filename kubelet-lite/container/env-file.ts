import * as fs from 'node:fs/promises';
import type { Container, FileKeySelector } from '@trimtab/machinery';
import { pinSubPath } from '../volumes/pinned-path.js';
import { ContainerConfigError } from './container-files.js';

/** KEP-3721's limit of an env file. */
const MAX_BYTES = 1 << 20;

export type EnvFiles = (ref: FileKeySelector) => string | undefined;

/**
 * The variables of a text: `NAME=value` a line, blank lines and those that begin with `#` left out, values in single or double
 * quotes without them. Throws naming the line that is none of these.
 */
export function parseEnvFile(text: string): ReadonlyMap<string, string> {
  const variables = new Map<string, string>();
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const match = /^([^=\s]+)\s*=\s*(.*)$/.exec(line);
    if (!match) throw new Error(`line ${index + 1}: "${line}" is not of the form NAME=value`);
    const [, name = '', value = ''] = match;
    const quoted = /^(['"])(.*)\1$/.exec(value);
    variables.set(name, quoted ? quoted[2]! : value);
  }
  return variables;
}

/**
 * Reads what a container's `fileKeyRef`s name. The files are those of a volume that containers write to: no link leads out of
 * it. Rejects with a ContainerConfigError for what is missing and not optional.
 */
export async function readEnvFiles(container: Container, pathOf: (volume: string) => string): Promise<EnvFiles> {
  const files = new Map<string, ReadonlyMap<string, string> | undefined>();
  for (const ref of (container.env ?? []).flatMap((e) => e.valueFrom?.fileKeyRef ?? [])) {
    const id = `${ref.volumeName}:${ref.path}`;
    if (!files.has(id)) files.set(id, await readOne(ref, pathOf(ref.volumeName)));
  }
  return ({ volumeName, path, key, optional }) => {
    const variables = files.get(`${volumeName}:${path}`);
    const value = variables?.get(key);
    if (value !== undefined || optional) return value;
    if (!variables) throw failed(`file "${path}" not found in volume "${volumeName}"`);
    throw failed(`couldn't find key "${key}" in file "${path}" of volume "${volumeName}"`);
  };
}

const failed = (message: string) => new ContainerConfigError('CreateContainerConfigError', message);

async function readOne({ path }: FileKeySelector, root: string): Promise<ReadonlyMap<string, string> | undefined> {
  const pinned = await pinSubPath(root, path, { make: false }).catch(() => undefined);
  if (!pinned) return undefined;
  try {
    const stat = await fs.stat(pinned.path);
    if (!stat.isFile()) throw new Error('it is not a file');
    if (stat.size > MAX_BYTES) throw new Error(`it is larger than ${MAX_BYTES} bytes`);
    return parseEnvFile(await fs.readFile(pinned.path, 'utf8'));
  } catch (error) {
    throw failed(`env file "${path}" cannot be used: ${error instanceof Error ? error.message : error}`);
  } finally {
    await pinned.release();
  }
}
