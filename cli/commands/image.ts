import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type DirectoryImageStore, directoryImageStore, type Image } from '@trimtab/kubelet-lite';
import { silentLogger, systemClock, systemRandom } from '@trimtab/machinery';
import { coreBinary } from '../core-binary.js';
import { CliError } from '../errors.js';
import { pathsOf } from '../paths.js';

interface ImageOptions {
  readonly dataDir: string;
}

export function openImages({ dataDir }: ImageOptions): Promise<DirectoryImageStore> {
  return directoryImageStore({
    directory: pathsOf(resolve(dataDir)).images,
    coreBinary,
    architecture: architecture(),
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
  });
}

/** This machine's architecture in the words of image manifests. */
export const architecture = (): string => ({ x64: 'amd64' })[process.arch as string] ?? process.arch;

export async function load(files: readonly string[], options: ImageOptions): Promise<void> {
  const images = await openImages(options);
  for (const file of files) {
    // Opened first: a stream that cannot open its file says so before anyone listens.
    const bytes = file === '-' ? process.stdin : (await open(file)).createReadStream();
    const loaded = await images.load(bytes).catch((error: Error) => {
      throw error.name === 'LayerError' ? new CliError(`${file}: ${error.message}`) : error;
    });
    if (loaded.length === 0) throw new CliError(`${file} holds no image`);
    for (const image of loaded) console.log(`loaded ${image.tags[0] ?? image.id}`);
  }
}

export async function list(options: ImageOptions): Promise<void> {
  const rows = (await (await openImages(options)).list()).flatMap(rowsOf).sort((a, b) => (a[0]! < b[0]! ? -1 : 1));
  const table = [['IMAGE', 'TAG', 'IMAGE ID', 'SIZE'], ...rows];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  for (const row of table)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('   ')
        .trimEnd(),
    );
}

function rowsOf({ id, tags, size }: Image): string[][] {
  const names = tags.length > 0 ? tags : ['<none>:<none>'];
  return names.map((name) => {
    const colon = name.lastIndexOf(':');
    return [name.slice(0, colon), name.slice(colon + 1), id.slice(7, 19), `${(size / 1e6).toFixed(1)}MB`];
  });
}

export async function remove(references: readonly string[], options: ImageOptions): Promise<void> {
  const images = await openImages(options);
  for (const reference of references) {
    if (!(await images.remove(reference))) throw new CliError(`no image ${reference}; see: trimtab image ls`);
    console.log(`removed ${reference}`);
  }
}
