import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { assembleImage, type ImageRecipe, resolveRecipe } from '@trimtab/kubelet-lite';
import { parse } from 'yaml';
import { CliError } from '../errors.js';
import { pathsOf } from '../paths.js';
import { architecture, openImages } from './image.js';

const run = promisify(execFile);

/** Makes images from recipes; one whose inputs are what they were last time is left as it is. */
export async function assemble(files: readonly string[], options: { readonly dataDir: string }): Promise<void> {
  const images = await openImages(options);
  for (const file of files.map((f) => resolve(f))) {
    const recipe = await readRecipe(file);
    const fingerprint = await fingerprintOf(recipe);
    const present = await images.find(recipe.reference);
    if (present?.config.Labels?.[FINGERPRINT] === fingerprint) {
      console.log(`${recipe.reference} is up to date`);
      continue;
    }
    const work = join(pathsOf(resolve(options.dataDir)).images, 'tmp', `assemble-${process.pid}`);
    await fs.mkdir(work, { recursive: true });
    try {
      const labelled = {
        ...recipe,
        config: { ...recipe.config, Labels: { ...recipe.config.Labels, [FINGERPRINT]: fingerprint } },
      };
      const archive = await assembleImage(labelled, { architecture: architecture(), libraries, directory: work });
      await images.load(createReadStream(archive));
    } finally {
      await fs.rm(work, { recursive: true, force: true });
    }
    console.log(`assembled ${recipe.reference}`);
  }
}

const FINGERPRINT = 'dev.trimtab.inputs';

async function readRecipe(file: string): Promise<ImageRecipe> {
  const text = await fs.readFile(file, 'utf8');
  // `$node` is the Node that runs this, wherever it is installed.
  const recipe = parse(text.replaceAll('$node', process.execPath)) as ImageRecipe;
  for (const field of ['reference', 'programs', 'config'] as const)
    if (recipe?.[field] === undefined) throw new CliError(`${file}: ${field}: required`);
  return resolveRecipe(recipe, file);
}

/** Of the recipe, and of size and time of every file it takes. */
async function fingerprintOf(recipe: ImageRecipe): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(recipe));
  for (const source of [...Object.keys(recipe.programs), ...Object.keys(recipe.files ?? {})])
    for (const file of await filesBelow(source)) {
      const { size, mtimeMs } = await fs.stat(file).catch(() => {
        throw new CliError(`${recipe.reference} needs ${file}, which is not on this machine; see: trimtab doctor`);
      });
      hash.update(`${file} ${size} ${mtimeMs}\n`);
    }
  return hash.digest('hex');
}

async function filesBelow(path: string): Promise<string[]> {
  const entries = await fs.readdir(path, { withFileTypes: true, recursive: true }).catch(() => undefined);
  if (entries === undefined) return [path];
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** What the dynamic loader would load; nothing for a static program. */
async function libraries(program: string): Promise<string[]> {
  const { stdout } = await run('ldd', [program]).catch(() => ({ stdout: '' }));
  return stdout.split('\n').flatMap((line) => /(?:=>\s+)?(\/\S+)\s+\(0x/.exec(line)?.[1] ?? []);
}
