import { request } from 'node:http';
import type { Duplex } from 'node:stream';
import { connect as startTls } from 'node:tls';
import type { HTTPGetAction } from '@trimtab/machinery';
import type { ProbeOutcome } from './prober.js';

const MAX_BODY = 10 * 1024;
const USER_AGENT = 'kube-probe/1.33';

/** One GET over a stream that is connected already; 200 to 399 is success. Certificates are not verified, as in Kubernetes. */
export function httpGet(
  stream: Duplex,
  action: HTTPGetAction,
  host: string,
  port: number,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const secure = action.scheme?.toUpperCase() === 'HTTPS';
  const given = Object.fromEntries((action.httpHeaders ?? []).map((h) => [h.name.toLowerCase(), h.value]));
  const name = host.includes(':') ? `[${host}]` : host;
  const path = action.path?.startsWith('/') ? action.path : `/${action.path ?? ''}`;
  const headers = { host: `${name}:${port}`, 'user-agent': USER_AGENT, accept: '*/*', connection: 'close', ...given };
  return new Promise((resolve, reject) => {
    const connection = secure ? startTls({ socket: stream, rejectUnauthorized: false }) : stream;
    connection.on('error', reject);
    const sent = request({ createConnection: () => connection, path, headers, signal, method: 'GET' }, (answer) => {
      const status = answer.statusCode ?? 0;
      let body = '';
      let size = 0;
      answer.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size <= MAX_BODY) body += chunk.toString('utf8');
        else answer.destroy();
      });
      answer.on('error', () => {});
      answer.on('close', () => {
        stream.destroy();
        resolve(
          status >= 200 && status < 400
            ? { result: 'success', output: body }
            : { result: 'failure', output: `HTTP probe failed with statuscode: ${status}` },
        );
      });
    });
    sent.on('error', (error) =>
      reject(new Error(`Get "${secure ? 'https' : 'http'}://${name}:${port}${path}": ${error.message}`)),
    );
    sent.end();
  });
}
