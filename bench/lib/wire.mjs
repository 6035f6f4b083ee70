import http2 from 'node:http2';

/** Requests as they are on the wire, with nothing of a client library in what is measured. */

/** @param {{ url: string, ca: string, cert: string, key: string }} where */
export function connect({ url, ca, cert, key }) {
  const session = http2.connect(url, { ca, cert, key, settings: { initialWindowSize: 1 << 24 } });
  session.once('connect', () => session.setLocalWindowSize(1 << 26));
  return session;
}

export const JSON_TYPE = 'application/json';
export const PROTOBUF = 'application/vnd.kubernetes.protobuf';

/**
 * One request; resolves with status, size and the milliseconds from its being sent to the end of its answer.
 * @param {import('node:http2').ClientHttp2Session} session
 * @param {{ method?: string, path: string, type?: string, accept?: string, body?: string | Uint8Array, keep?: boolean, encoding?: string }} request
 */
export function ask(
  session,
  { method = 'GET', path, type = JSON_TYPE, accept = JSON_TYPE, body, keep = false, encoding },
) {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const headers = { ':method': method, ':path': path, accept };
    if (body !== undefined) headers['content-type'] = type;
    if (encoding !== undefined) headers['accept-encoding'] = encoding;
    const stream = session.request(headers, { endStream: body === undefined });
    let status = 0;
    let size = 0;
    const chunks = [];
    stream.on('response', (answer) => {
      status = answer[':status'];
    });
    stream.on('data', (chunk) => {
      size += chunk.length;
      if (keep || status >= 300) chunks.push(chunk);
    });
    stream.on('error', reject);
    stream.on('end', () => {
      const ms = performance.now() - began;
      if (status >= 300)
        reject(new Error(`${method} ${path}: ${status} ${Buffer.concat(chunks).toString().slice(0, 500)}`));
      else resolve({ status, size, ms, bytes: keep ? Buffer.concat(chunks) : undefined });
    });
    if (body !== undefined) stream.end(body);
  });
}

/** Runs `count` tasks, `width` at once; gives their results in order of completion. */
export async function inParallel(count, width, task) {
  const results = [];
  let next = 0;
  const worker = async () => {
    while (next < count) results.push(await task(next++));
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}

/** Begins a task every `1000 / rate` ms for so many seconds, whether the ones before have ended or not. */
export async function atRate(rate, seconds, task) {
  const running = [];
  const began = performance.now();
  for (let i = 0; i < rate * seconds; ) {
    const due = Math.floor(((performance.now() - began) * rate) / 1000);
    for (; i < Math.min(due, rate * seconds); i++) running.push(task(i));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return Promise.all(running);
}
