import { gunzipSync } from 'node:zlib';
import { gzipSlices } from './gzip.js';
import { sharedSlices } from './shared-slices.js';

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
    const bytes = await all(sharedSlices({}, 'z', () => gzipSlices(make())));
    expect(gunzipSync(bytes).equals(await all(make()))).toBe(true);
  });
});

test('many answers are zipped at once, each whole, and one that is left in the middle holds up nobody', async () => {
  const text = (n: number) => Buffer.from(`${n} `.repeat(40_000));
  const make = async function* (n: number) {
    for (let i = 0; i < 4; i++) yield text(n * 10 + i);
  };
  const left = gzipSlices(make(99));
  await left.next();
  await left.return();
  const broken = gzipSlices(
    // biome-ignore lint/correctness/useYield: it fails before it gives anything
    (async function* (): AsyncGenerator<Buffer> {
      throw new Error('cannot be read');
    })(),
  );
  await expect(broken.next()).rejects.toThrow('cannot be read');
  const whole = async (n: number) => {
    const parts: Buffer[] = [];
    for await (const part of gzipSlices(make(n))) parts.push(part);
    return gunzipSync(Buffer.concat(parts));
  };
  const all = await Promise.all(Array.from({ length: 20 }, (_, n) => whole(n)));
  all.forEach((bytes, n) => {
    expect(bytes.equals(Buffer.concat([0, 1, 2, 3].map((i) => text(n * 10 + i))))).toBe(true);
  });
});
