import { Writable } from 'node:stream';
import { Backlog } from './backlog.js';

const MiB = 1 << 20;

/** Somebody who reads nothing before `read`. */
class Reader extends Writable {
  #done: (() => void) | undefined;

  constructor() {
    super({ highWaterMark: 1 });
  }

  override _write(_chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#done = done;
  }

  read(): void {
    this.#done?.();
  }

  takes(backlog: Backlog, bytes: number): void {
    backlog.check(this);
    if (!this.destroyed) this.write(Buffer.alloc(bytes));
  }
}

test('who is too far behind is dropped, and nobody else', () => {
  const backlog = new Backlog({ each: 4 * MiB, all: 100 * MiB });
  const [slow, other] = [new Reader(), new Reader()];
  for (let i = 0; i < 5; i++) slow.takes(backlog, MiB);
  for (let i = 0; i < 4; i++) other.takes(backlog, MiB);
  expect(slow.destroyed).toBe(false);
  slow.takes(backlog, 1);
  expect([slow.destroyed, other.destroyed]).toEqual([true, false]);
});

test('when all together are, whoever is behind the most goes first; those who have read meanwhile do not count', async () => {
  const backlog = new Backlog({ each: 100 * MiB, all: 12 * MiB });
  const readers = [2, 5, 3].map((size) => {
    const reader = new Reader();
    reader.takes(backlog, size * MiB);
    reader.takes(backlog, 0);
    return reader;
  });
  const dropped = () => readers.map((reader) => reader.destroyed);
  readers[2]!.read();
  await new Promise((resolve) => setImmediate(resolve));
  const late = new Reader();
  late.takes(backlog, 4 * MiB);
  late.takes(backlog, 0);
  expect(dropped()).toEqual([false, false, false]);
  late.takes(backlog, 2 * MiB);
  late.takes(backlog, 0);
  expect([...dropped(), late.destroyed]).toEqual([false, false, false, true]);
  readers[0]!.takes(backlog, 6 * MiB);
  readers[0]!.takes(backlog, 0);
  expect(dropped()).toEqual([true, false, false]);
});
