import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { stringifyYaml } from '@trimtab/machinery';
import { CliError } from '../errors.js';
import { type Manifest, manifestsOf } from './manifest.js';

const ENDINGS = ['.yaml', '.yml', '.json'];

/**
 * The objects of files, of directories' files (not of those below), of charts (directories with a Chart.yaml, rendered with
 * their own values for `namespace`), and of standard input, which is called `-`.
 */
export async function readManifests(
  names: readonly string[],
  input: Readable,
  namespace: string,
): Promise<readonly Manifest[]> {
  const manifests: Manifest[] = [];
  for (const name of names) {
    if (await isChart(name)) {
      manifests.push(...(await rendered(name, namespace)));
      continue;
    }
    for (const file of await filesOf(name)) {
      const text = file === '-' ? await textOf(input) : await readFile(file, 'utf8').catch(unreadable(file));
      manifests.push(...manifestsOf(text, file === '-' ? 'standard input' : file));
    }
  }
  if (manifests.length === 0) throw new CliError(`no objects in ${names.join(', ')}`);
  return manifests;
}

const isChart = (name: string): Promise<boolean> =>
  stat(join(name, 'Chart.yaml')).then(
    () => true,
    () => false,
  );

async function rendered(directory: string, namespace: string): Promise<readonly Manifest[]> {
  const { loadChart, renderChart } = await import('@trimtab/charts');
  const { versionInfo } = await import('@trimtab/server');
  const chart = await loadChart(directory);
  const release = { name: chart.metadata.name, namespace, kubeVersion: versionInfo.gitVersion };
  return renderChart(chart, release).flatMap(({ source, object }) => manifestsOf(stringifyYaml(object), source));
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
