import { createSocket } from 'node:dgram';
import { get } from 'node:https';
import { connect } from 'node:net';
import { decode, encode } from 'dns-packet';

/** Clients that ask again and again until they are answered, for the moment a server begins to answer. */

const EVERY_MS = 3;

const pause = () => new Promise((resolve) => setTimeout(resolve, EVERY_MS));

/** Resolves when an HTTPS GET of `path` is answered with 200. Whose certificate it is does not matter for the time. */
export async function httpsAnswers(port, path, timeoutMs = 60_000) {
  const end = performance.now() + timeoutMs;
  while (!(await listens(port))) {
    if (performance.now() > end) throw new Error(`nothing listens on port ${port} after ${timeoutMs} ms`);
    await pause();
  }
  while ((await status(port, path)) !== 200) {
    if (performance.now() > end) throw new Error(`${path} is not answered after ${timeoutMs} ms`);
    await pause();
  }
}

const listens = (port) =>
  new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('connect', () => resolve(true));
    socket.on('error', () => resolve(false));
    socket.on('close', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });

const status = (port, path) =>
  new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path, rejectUnauthorized: false, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.on('error', () => resolve(undefined));
  });

/** Resolves when the server at `address` gives the expected IPv4 address for `name`. */
export async function dnsAnswers(address, name, expected, timeoutMs = 60_000) {
  const socket = createSocket('udp4');
  let answered = false;
  let last = 'no answer';
  socket.on('error', () => {});
  socket.on('message', (message) => {
    const { answers = [], rcode } = decode(message);
    last = `${rcode} ${answers.map(({ data }) => data).join(' ')}`;
    answered ||= answers.some(({ type, data }) => type === 'A' && data === expected);
  });
  const end = performance.now() + timeoutMs;
  for (let id = 1; !answered; id++) {
    if (performance.now() > end) {
      socket.close();
      throw new Error(`${address} does not give ${expected} for ${name} after ${timeoutMs} ms: ${last}`);
    }
    // Before the cluster network is there the kernel refuses to send; that is no answer either.
    const query = encode({ type: 'query', id: id & 0xffff, flags: 0, questions: [{ type: 'A', name }] });
    socket.send(query, 53, address, () => {});
    await pause();
  }
  socket.close();
}
