import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { CliError } from '../errors.js';
import { type Manifest, manifestsOf } from './manifest.js';

const ENDINGS = ['.yaml', '.yml', '.json'];

/** The objects of files, of directories' files (not of those below), and of standard input, which is called `-`. */
export async function readManifests(names: readonly string[], input: Readable): Promise<readonly Manifest[]> {
  const manifests: Manifest[] = [];
  for (const name of names) {
    for (const file of await filesOf(name)) {
      const text = file === '-' ? await textOf(input) : await readFile(file, 'utf8').catch(unreadable(file));
      manifests.push(...manifestsOf(text, file === '-' ? 'standard input' : file));
    }
  }
  if (manifests.length === 0) throw new CliError(`no objects in ${names.join(', ')}`);
  return manifests;
}

async function filesOf(name: string): Promise<readonly string[]> {
  if (name === '-') return [name];
  if (/^https?:\/\//.test(name))
    throw new CliError(`${name}: download it first and pipe it in: curl … | trimtab apply -f -`);
  const found = await stat(name).catch(unreadable(name));
  if (!found.isDirectory()) return [name];
  const files = (await readdir(name)).filter((file) => ENDINGS.includes(extname(file))).sort();
  return files.map((file) => join(name, file));
}

const unreadable =
  (file: string) =>
  (error: NodeJS.ErrnoException): never => {
    throw new CliError(
      error.code === 'ENOENT' ? `the path "${file}" does not exist` : `cannot read ${file}: ${error.message}`,
    );
  };

async function textOf(input: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of input) chunks.push(Buffer.from(chunk as Buffer));
  return Buffer.concat(chunks).toString('utf8');
}
