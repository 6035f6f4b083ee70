import { Writable } from 'node:stream';
import { outbox } from './outbox.js';

/** Keeps the chunks it is given. */
function keeper(): { readonly stream: Writable; readonly chunks: Buffer[] } {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _, done) {
      chunks.push(chunk);
      done();
    },
  });
  return { stream, chunks };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('what many are sent in one turn is put together once, and each gets its own in order', async () => {
  const [a, b, c, d] = [keeper(), keeper(), keeper(), keeper()];
  const [one, two, three] = ['1', '2', '3'].map((text) => Buffer.from(text)) as [Buffer, Buffer, Buffer];
  for (const { stream } of [a, b, c]) for (const bytes of [one, two]) outbox.write(stream, bytes);
  outbox.write(c.stream, three);
  outbox.write(d.stream, one);
  await turn();
  expect([a, b, c, d].map(({ chunks }) => Buffer.concat(chunks).toString())).toEqual(['12', '12', '123', '1']);
  expect([a.chunks.length, a.chunks[0]]).toEqual([1, b.chunks[0]]);
  expect(a.chunks[0]).toBe(b.chunks[0]);
  expect(d.chunks[0]).toBe(one);
});

test('an end sends what is held, and nothing goes to who has left', async () => {
  const [a, b] = [keeper(), keeper()];
  for (const { stream } of [a, b]) outbox.write(stream, Buffer.from('x'));
  b.stream.destroy();
  outbox.end(a.stream);
  outbox.end(b.stream);
  await turn();
  expect([Buffer.concat(a.chunks).toString(), a.stream.writableEnded, b.chunks]).toEqual(['x', true, []]);
});
