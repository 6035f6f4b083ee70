import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { packLayer } from '../layer.js';
import { hexOf, MediaTypes } from '../manifest.js';
import type { CachedLayer } from './cache.js';
import type { BuildEnvironment, MakeUpper } from './stage.js';

/** What a layer depends on: the layers below it, and whatever else goes into it. */
export interface LayerInputs {
  readonly below: readonly string[];
  readonly inputs: unknown;
}

/** The layer of a step, of an earlier build when its inputs are the same and it is still here. */
export async function layerOf(
  { store, cache, coreBinary, noCache, sourceDateEpoch }: BuildEnvironment,
  inputs: LayerInputs,
  make: MakeUpper,
): Promise<{ readonly layer: CachedLayer; readonly cached: boolean }> {
  const { layers, blobs } = store.parts;
  const key = createHash('sha256')
    .update(JSON.stringify([1, inputs, sourceDateEpoch ?? null]))
    .digest('hex');
  const before = noCache ? undefined : await cache.get(key);
  if (before !== undefined) {
    const here = (await blobs.size(before.descriptor.digest)) !== undefined;
    if (here && (await layers.size(hexOf(before.diffId))) !== undefined) return { layer: before, cached: true };
  }
  const directory = await layers.temporary();
  try {
    const { upper, exclude } = await make(directory);
    const file = join(directory, 'layer.tar');
    const hash = createHash('sha256');
    const hashed = async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
      for await (const chunk of source) {
        hash.update(chunk);
        yield chunk;
      }
    };
    await pipeline(packLayer(coreBinary, upper, sourceDateEpoch, exclude), hashed, createWriteStream(file));
    const diffId = `sha256:${hash.digest('hex')}`;
    const { size } = await fs.stat(file);
    await blobs.adopt(diffId, file);
    await layers.ensure(diffId, blobs.path(diffId));
    const layer = { diffId, descriptor: { mediaType: MediaTypes.ociLayer, digest: diffId, size } };
    await cache.put(key, layer);
    return { layer, cached: false };
  } finally {
    await fs.rm(directory, { recursive: true, force: true });
  }
}
