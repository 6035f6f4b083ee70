import { get } from 'node:https';
import type { FetchJson } from './oidc.js';

const maxBytes = 1 << 20;
const timeoutMs = 10_000;

/** Gets JSON over HTTPS, trusting `ca` (PEM) in place of the machine's own authorities where it is given. */
export function httpsJson(ca?: string): FetchJson {
  return (url) =>
    new Promise((resolve, reject) => {
      const fail = (why: string, cause?: unknown) => reject(new Error(`${url}: ${why}`, { cause }));
      const request = get(url, { ...(ca ? { ca } : {}), timeout: timeoutMs, headers: { accept: 'application/json' } });
      request.once('timeout', () => request.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
      request.once('error', (error) => fail(error.message, error));
      request.once('response', (response) => {
        if (response.statusCode !== 200) {
          response.resume();
          fail(`answered ${response.statusCode}`);
          return;
        }
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('error', (error) => fail(error.message, error));
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > maxBytes) request.destroy(new Error('the answer is longer than 1 MiB'));
          else chunks.push(chunk);
        });
        response.on('end', () => {
          try {
            resolve(JSON.parse(Buffer.concat(chunks).toString('utf8')));
          } catch (error) {
            fail('the answer is no JSON', error);
          }
        });
      });
    });
}
