import { Writable } from 'node:stream';
import { Outbox, outbox } from './outbox.js';

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

test('connections take turns, each with all of its streams, and what comes meanwhile goes with what waits', async () => {
  const box = new Outbox(4);
  const connections = Array.from({ length: 3 }, () => {
    const session = {};
    return Array.from({ length: 3 }, () => {
      const kept = keeper();
      return { ...kept, stream: Object.assign(kept.stream, { session }) };
    });
  });
  const got = () =>
    connections.map((streams) => streams.map(({ chunks }) => chunks.map((chunk) => chunk.toString()).join('|')));
  const tell = (text: string) => {
    // In the order of watchers, which is not that of connections.
    for (let i = 0; i < 3; i++) for (const streams of connections) box.write(streams[i]!.stream, Buffer.from(text));
  };
  tell('1');
  await turn();
  expect(got()).toEqual([
    ['1', '1', '1'],
    ['', '', ''],
    ['', '', ''],
  ]);
  tell('2');
  box.end(connections[2]![2]!.stream);
  expect(connections[2]![2]!.chunks.map(String)).toEqual(['12']);
  for (let i = 0; i < 4; i++) await turn();
  expect(got()).toEqual([
    ['1|2', '1|2', '1|2'],
    ['12', '12', '12'],
    ['12', '12', '12'],
  ]);
});
