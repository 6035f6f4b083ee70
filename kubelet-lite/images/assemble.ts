import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import * as fs from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Pack, pack } from 'tar-stream';
import type { Architecture } from './archive.js';
import type { ImageConfig } from './image-store.js';

/**
 * An image made from files this machine already has: programs with the shared libraries they load, and files beside the
 * recipe. For machines that reach no registry.
 */
export interface ImageRecipe {
  readonly reference: string;
  /** Host path of a program to its path in the image. */
  readonly programs: Readonly<Record<string, string>>;
  /** Host path of a file or directory to its path in the image. */
  readonly files?: Readonly<Record<string, string>>;
  /** Path in the image to what it points at. */
  readonly links?: Readonly<Record<string, string>>;
  /** Lines of /etc/passwd; root is always there. */
  readonly users?: readonly string[];
  readonly directories?: readonly string[];
  readonly config: ImageConfig;
}

export interface AssembleOptions {
  readonly architecture: Architecture;
  /** Host paths of the shared libraries a program loads, its interpreter included. */
  readonly libraries: (program: string) => Promise<readonly string[]>;
  /** An empty directory to work in; the caller removes it. */
  readonly directory: string;
}

/** Writes a docker-save archive and gives its path. Layer one is programs and libraries, layer two the files. */
export async function assembleImage(recipe: ImageRecipe, options: AssembleOptions): Promise<string> {
  const layers = [await programLayer(recipe, options), await fileLayer(recipe, options)];
  const config = JSON.stringify({
    architecture: options.architecture,
    os: 'linux',
    config: recipe.config,
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
  });
  const manifest = [
    { Config: 'config.json', RepoTags: [recipe.reference], Layers: layers.map((_, index) => `${index}.tar`) },
  ];
  return (
    await writeTar(join(options.directory, 'image.tar'), async (tar) => {
      for (const [index, layer] of layers.entries()) await addFile(tar, layer.path, `${index}.tar`);
      tar.entry({ name: 'config.json' }, config);
      tar.entry({ name: 'manifest.json' }, JSON.stringify(manifest));
    })
  ).path;
}

async function programLayer(recipe: ImageRecipe, { libraries, directory }: AssembleOptions): Promise<Layer> {
  const wanted = new Map<string, string>();
  for (const [program, destination] of Object.entries(recipe.programs)) {
    wanted.set(destination, program);
    for (const library of await libraries(program)) wanted.set(library, library);
  }
  const passwd = ['root:x:0:0:root:/root:/bin/sh', ...(recipe.users ?? [])].join('\n');
  return writeTar(join(directory, 'programs.tar'), async (tar) => {
    for (const name of ['etc', 'proc', 'sys', 'dev', 'root', 'run', 'usr', 'var', ...(recipe.directories ?? [])])
      tar.entry({ name: `${name}/`, type: 'directory', mode: 0o755, mtime: EPOCH });
    tar.entry({ name: 'tmp/', type: 'directory', mode: 0o1777, mtime: EPOCH });
    tar.entry({ name: 'etc/passwd', mode: 0o644, mtime: EPOCH }, `${passwd}\n`);
    tar.entry({ name: 'etc/group', mode: 0o644, mtime: EPOCH }, 'root:x:0:\n');
    for (const [destination, source] of [...wanted].sort()) await addFile(tar, source, destination);
    for (const [name, linkname] of Object.entries(recipe.links ?? {}))
      tar.entry({ name: relative(name), type: 'symlink', linkname, mtime: EPOCH });
  });
}

function fileLayer({ files = {} }: ImageRecipe, { directory }: AssembleOptions): Promise<Layer> {
  return writeTar(join(directory, 'files.tar'), async (tar) => {
    for (const [source, destination] of Object.entries(files)) await addTree(tar, source, destination);
  });
}

/** Times in the layers are constant, so that the same files give the same image. */
const EPOCH = new Date(0);

interface Layer {
  readonly path: string;
  readonly diffId: string;
}

async function writeTar(path: string, fill: (tar: Pack) => Promise<void>): Promise<Layer> {
  const tar = pack();
  const hash = createHash('sha256');
  tar.on('data', (chunk) => hash.update(chunk as Buffer));
  const writing = pipeline(tar, createWriteStream(path));
  await fill(tar);
  tar.finalize();
  await writing;
  return { path, diffId: `sha256:${hash.digest('hex')}` };
}

async function addTree(tar: Pack, source: string, destination: string): Promise<void> {
  if (!(await fs.stat(source)).isDirectory()) return addFile(tar, source, destination);
  tar.entry({ name: `${relative(destination)}/`, type: 'directory', mode: 0o755, mtime: EPOCH });
  for (const name of (await fs.readdir(source)).sort()) await addTree(tar, join(source, name), join(destination, name));
}

async function addFile(tar: Pack, source: string, destination: string): Promise<void> {
  const { size, mode } = await fs.stat(source);
  const entry = tar.entry({ name: relative(destination), size, mode: mode & 0o755, mtime: EPOCH });
  await pipeline(createReadStream(source, { highWaterMark: 1 << 20 }), entry);
}

const relative = (path: string): string => path.replace(/^\/+/, '');

/** Host paths a recipe names are relative to the recipe's own file. */
export function resolveRecipe(recipe: ImageRecipe, file: string): ImageRecipe {
  const resolve = (path: string): string => (path.startsWith('/') ? path : join(dirname(file), path));
  const files = Object.entries(recipe.files ?? {}).map(([source, destination]) => [resolve(source), destination]);
  return { ...recipe, files: Object.fromEntries(files) };
}
