import { createWriteStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import {
  formatReference,
  type Image,
  parseReference,
  push as pushImage,
  save as saveImages,
} from '@trimtab/kubelet-lite';
import { CliError } from '../errors.js';
import { credentialsOf } from './credentials.js';
import { type ImageOptions, openImages, type RegistryFlags } from './open.js';
import { showPull } from './progress.js';

/** Commands that bring images here or take them elsewhere. */

export async function load(files: readonly string[], options: ImageOptions): Promise<void> {
  const images = await openImages(options);
  for (const file of files) {
    // Opened first: a stream that cannot open its file says so before anyone listens.
    const bytes = file === '-' ? process.stdin : (await open(file)).createReadStream();
    const loaded = await images.load(bytes).catch((error: Error) => {
      throw error.name === 'LayerError' || error.name === 'ManifestError'
        ? new CliError(`${file}: ${error.message}`)
        : error;
    });
    if (loaded.length === 0) throw new CliError(`${file} holds no image`);
    for (const image of loaded) console.log(`loaded ${image.tags[0] ?? image.id}`);
  }
}

export async function save(
  references: readonly string[],
  options: ImageOptions & { readonly output?: string },
): Promise<void> {
  const images = await openImages(options);
  if (options.output === undefined && process.stdout.isTTY)
    throw new CliError('an archive is not for a terminal: give a file with --output, or redirect');
  const bytes = saveImages(images, references);
  if (options.output === undefined) return pipeline(bytes, process.stdout);
  // Whoever sees the file sees it whole.
  const part = `${options.output}.part`;
  try {
    await pipeline(bytes, createWriteStream(part));
    await rename(part, options.output);
  } finally {
    await rm(part, { force: true });
  }
}

export async function pull(
  references: readonly string[],
  options: RegistryFlags & { readonly platform?: string; readonly quiet?: boolean },
): Promise<void> {
  for (const text of references) {
    const reference = parseReference(text);
    const images = await openImages(options, reference);
    const image: Image = await images.pull(text, {
      credentials: await credentialsOf(options, reference),
      ...(options.platform ? { platform: options.platform } : {}),
      ...(options.quiet ? {} : { progress: showPull(process.stderr) }),
    });
    console.log(options.quiet ? image.id : `pulled ${formatReference(reference)}`);
  }
}

export async function push(
  text: string,
  destination: string | undefined,
  options: RegistryFlags & { readonly quiet?: boolean },
): Promise<void> {
  const reference = parseReference(destination ?? text);
  const images = await openImages(options, reference);
  const digest = await pushImage(images, text, destination, {
    credentials: await credentialsOf(options, reference),
    ...(options.quiet
      ? {}
      : { progress: ({ digest: blob, state }) => process.stderr.write(`${blob.slice(7, 19)}: ${state}\n`) }),
  });
  console.log(options.quiet ? digest : `pushed ${destination ?? text} ${digest}`);
}
