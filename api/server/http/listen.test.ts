import { once } from 'node:events';
import http2 from 'node:http2';
import { type Listener, listen } from './listen.js';
import { testTls } from './testing.js';

let listener: Listener;
afterEach(() => listener.close());

test('a connection on which nothing happens is ended in order, one with an open stream is not', async () => {
  listener = await listen({
    bind: '127.0.0.1',
    port: 0,
    tls: testTls,
    idleMs: 50,
    handle: (exchange) => {
      if (exchange.url === '/short') exchange.respond(200, {}, Buffer.from('ok'));
      else exchange.open(200, {});
    },
    upgrade: () => {},
    onError: () => {},
  });
  const connect = () => http2.connect(`https://127.0.0.1:${listener.port}`, { rejectUnauthorized: false });
  const quiet = connect();
  const watching = connect();
  const watch = watching.request({ ':path': '/watch' });
  await once(watch, 'response');
  await once(quiet.request({ ':path': '/short' }).resume(), 'end');
  await once(quiet, 'close');
  expect(quiet.destroyed).toBe(true);
  // As long again: were the other to be ended, it would have been by now.
  const third = connect();
  await once(third, 'close');
  expect([watching.closed, watch.closed]).toEqual([false, false]);
  watching.destroy();
});
