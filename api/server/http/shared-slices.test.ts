import { gunzipSync } from 'node:zlib';
import { sharedSlices, zipped } from './shared-slices.js';

/** Slices that count how often they were made, and whether their maker was ended. */
function maker(count: number, size = 1) {
  const made = { slices: 0, ended: false };
  const make = async function* () {
    try {
      for (let i = 0; i < count; i++) {
        made.slices++;
        yield Buffer.alloc(size, i % 256);
      }
    } finally {
      made.ended = true;
    }
  };
  return { make, made };
}

async function all(slices: AsyncIterable<Buffer> | undefined): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const slice of slices!) chunks.push(slice);
  return Buffer.concat(chunks);
}

describe('shared slices', () => {
  test('readers at different places get the same bytes, made once', async () => {
    const { make, made } = maker(10);
    const what = {};
    const early = sharedSlices(what, 'f', make)!;
    await early.next();
    await early.next();
    const late = sharedSlices(what, 'f', make);
    const [rest, whole] = await Promise.all([all(early), all(late)]);
    expect([...whole]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect([...rest]).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
    expect(made.slices).toBe(10);
    // A short answer is there for who comes later.
    expect((await all(sharedSlices(what, 'f', make))).length).toBe(10);
    expect(made.slices).toBe(10);
    expect((await all(sharedSlices(what, 'g', make))).length).toBe(10);
    expect(made.slices).toBe(20);
  });

  test('what the last reader leaves half read is ended and made anew', async () => {
    const { make, made } = maker(10);
    const what = {};
    const reader = sharedSlices(what, 'f', make)!;
    await reader.next();
    await reader.return();
    await reader.return();
    expect(made.ended).toBe(true);
    expect((await all(sharedSlices(what, 'f', make))).length).toBe(10);
  });

  test('a failure reaches every reader, and no answer ends early', async () => {
    const make = async function* () {
      yield Buffer.from('a');
      throw new Error('broken');
    };
    const what = {};
    const readers = [sharedSlices(what, 'f', make), sharedSlices(what, 'f', make)];
    for (const reader of readers) await expect(all(reader)).rejects.toThrow('broken');
    for (const reader of readers) await reader!.return();
  });

  test('beyond its bound nothing more is shared, until readers leave', async () => {
    const { make } = maker(100, 1 << 20);
    const slow = sharedSlices({}, 'f', make)!;
    for (let i = 0; i < 100; i++) await slow.next();
    expect(sharedSlices({}, 'f', make)).toBeUndefined();
    await slow.return();
    const next = sharedSlices({}, 'f', make);
    expect(next).toBeDefined();
    await next!.return();
  });

  test('compressed slices are one gzip stream', async () => {
    const { make } = maker(50, 1000);
    const bytes = await all(sharedSlices({}, 'z', () => zipped(make())));
    expect(gunzipSync(bytes).equals(await all(make()))).toBe(true);
  });
});
