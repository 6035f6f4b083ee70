import { promisify } from 'node:util';
import { constants, createGzip, gzip } from 'node:zlib';

/**
 * Compression runs on the threads that also write and sync the store's log, first come, first served. Only so many at a time, so
 * that no commit waits behind a thousand lists.
 */
const AT_ONCE = 2;
const OPTIONS = { level: constants.Z_BEST_SPEED };

const compress = promisify(gzip);
const waiting: (() => void)[] = [];
let running = 0;

async function inTurn<T>(run: () => Promise<T>): Promise<T> {
  if (running >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
  else running++;
  try {
    return await run();
  } finally {
    // Whoever is next takes the place over.
    const next = waiting.shift();
    if (next) next();
    else running--;
  }
}

export const gzipBytes = (bytes: Buffer): Promise<Buffer> => inTurn(() => compress(bytes, OPTIONS));

/** One gzip stream of all slices, made as it is read. Ends its source when it is ended. */
export async function* gzipSlices(slices: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  const zip = createGzip(OPTIONS);
  const made: Buffer[] = [];
  zip.on('data', (bytes: Buffer) => made.push(bytes));
  const ended = new Promise<void>((resolve, reject) => {
    zip.once('end', resolve);
    zip.once('error', reject);
  });
  ended.catch(() => {});
  try {
    for await (const slice of slices) {
      await inTurn(() => written(zip, slice));
      yield* made.splice(0);
    }
    zip.end();
    await ended;
    yield* made.splice(0);
  } finally {
    zip.destroy();
  }
}

const written = (zip: ReturnType<typeof createGzip>, slice: Buffer): Promise<void> =>
  new Promise((resolve, reject) => {
    zip.write(slice, (error) => (error ? reject(error) : resolve()));
  });
