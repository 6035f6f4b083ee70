import type { Image } from '@trimtab/kubelet-lite';
import { CliError } from '../errors.js';
import { type ImageOptions, openImages } from './open.js';
import { humanSize } from './progress.js';

/** Commands about images that are here. */

export async function list(
  options: ImageOptions & { readonly output?: string; readonly digests?: boolean },
): Promise<void> {
  const images = await (await openImages(options)).list();
  if (options.output === 'json') return console.log(JSON.stringify(images.map(shown), null, 2));
  const rows = images
    .flatMap((image) => rowsOf(image, options.digests ?? false))
    .sort((a, b) => (a[0]! < b[0]! ? -1 : 1));
  const table = [['IMAGE', 'TAG', ...(options.digests ? ['DIGEST'] : []), 'IMAGE ID', 'SIZE'], ...rows];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  for (const row of table)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('   ')
        .trimEnd(),
    );
}

function rowsOf({ id, tags, digests, size }: Image, withDigests: boolean): string[][] {
  const names = tags.length > 0 ? tags : ['<none>:<none>'];
  return names.map((name) => {
    const colon = name.lastIndexOf(':');
    const digest = digests.find((d) => d.startsWith(`${name.slice(0, colon)}@`)) ?? digests[0];
    const shownDigest = withDigests ? [digest?.slice(digest.indexOf('@') + 1) ?? '<none>'] : [];
    return [name.slice(0, colon), name.slice(colon + 1), ...shownDigest, id.slice(7, 19), humanSize(size)];
  });
}

const shown = ({ id, tags, digests, size }: Image): object => ({ id, tags, digests, size });

export async function inspect(references: readonly string[], options: ImageOptions): Promise<void> {
  const images = await openImages(options);
  const found: object[] = [];
  for (const reference of references) {
    const image = await images.find(reference);
    const record = image && (await images.parts.records.get(image.id));
    if (record === undefined) throw missing(reference);
    const { config, ...rest } = record.config;
    found.push({ ...shown(image!), manifest: record.manifest, pinned: record.pinned ?? false, ...rest, config });
  }
  console.log(JSON.stringify(found, null, 2));
}

export async function remove(references: readonly string[], options: ImageOptions): Promise<void> {
  const images = await openImages(options);
  for (const reference of references) {
    if (!(await images.remove(reference))) throw missing(reference);
    console.log(`removed ${reference}`);
  }
}

export async function tag(reference: string, name: string, options: ImageOptions): Promise<void> {
  if (!(await (await openImages(options)).tag(reference, name))) throw missing(reference);
}

export async function pin(
  references: readonly string[],
  options: ImageOptions & { readonly off?: boolean },
): Promise<void> {
  const images = await openImages(options);
  for (const reference of references) if (!(await images.pin(reference, !options.off))) throw missing(reference);
}

export async function prune(options: ImageOptions & { readonly all?: boolean }): Promise<void> {
  const images = await openImages(options);
  const mounted = await images.parts.layers.mounted();
  const inUse = (await images.parts.records.list())
    .filter((record) => record.layers.length > 0 && record.layers.every((layer) => mounted.has(layer)))
    .map((record) => record.id);
  const { removed, bytes } = await images.removeUnused({
    inUse: new Set(inUse),
    now: Date.now(),
    danglingOnly: !options.all,
    localToo: true,
  });
  for (const image of removed) console.log(`removed ${image.tags[0] ?? image.id}`);
  console.log(`freed ${humanSize(bytes)}`);
}

const missing = (reference: string): CliError => new CliError(`no image ${reference}; see: trimtab image ls`);
