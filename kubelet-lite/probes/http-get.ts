import { request } from 'node:http';
import type { Duplex } from 'node:stream';
import { connect as startTls } from 'node:tls';
import type { HTTPGetAction } from '@trimtab/machinery';

const MAX_BODY = 10 * 1024;
const USER_AGENT = 'kube-probe/1.33';

export interface HttpAnswer {
  readonly status: number;
  readonly location: string | undefined;
  /** Its first 10 KiB. */
  readonly body: string;
}

/** Where a request goes; `path` with its query. */
export interface HttpTarget {
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

/** A probe's or hook's address; `host` is asked for where the action names none. */
export function httpTarget(action: HTTPGetAction, host: string, port: number): HttpTarget {
  return {
    secure: action.scheme?.toUpperCase() === 'HTTPS',
    host: action.host || host,
    port,
    path: action.path?.startsWith('/') ? action.path : `/${action.path ?? ''}`,
  };
}

const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);

export function urlOf({ secure, host, port, path }: HttpTarget): string {
  return `${secure ? 'https' : 'http'}://${bracketed(host)}:${port}${path}`;
}

/** Where a redirect leads; undefined for one to another host, or that cannot be read. */
export function redirected(from: HttpTarget, location: string): HttpTarget | undefined {
  if (!URL.canParse(location, urlOf(from))) return undefined;
  const to = new URL(location, urlOf(from));
  if (to.hostname !== bracketed(from.host) || !/^https?:$/.test(to.protocol)) return undefined;
  const secure = to.protocol === 'https:';
  return { secure, host: from.host, port: Number(to.port || (secure ? 443 : 80)), path: `${to.pathname}${to.search}` };
}

/** One GET over a stream that is connected already. Certificates are not verified, as in Kubernetes. */
export function httpGet(
  stream: Duplex,
  to: HttpTarget,
  headers: HTTPGetAction['httpHeaders'],
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const given = Object.fromEntries((headers ?? []).map((h) => [h.name.toLowerCase(), h.value]));
  const standard = {
    host: `${bracketed(to.host)}:${to.port}`,
    'user-agent': USER_AGENT,
    accept: '*/*',
    connection: 'close',
  };
  const all = Object.fromEntries(Object.entries({ ...standard, ...given }).filter(([, value]) => value !== ''));
  return new Promise((resolve, reject) => {
    const connection = to.secure ? startTls({ socket: stream, rejectUnauthorized: false }) : stream;
    connection.on('error', reject);
    const options = { createConnection: () => connection, path: to.path, headers: all, signal, method: 'GET' };
    const sent = request(options, (answer) => {
      const parts: Buffer[] = [];
      let size = 0;
      answer.on('data', (chunk: Buffer) => {
        parts.push(chunk.subarray(0, MAX_BODY - size));
        size += chunk.length;
        if (size >= MAX_BODY) answer.destroy();
      });
      answer.on('error', () => {});
      answer.on('close', () => {
        stream.destroy();
        const body = Buffer.concat(parts).toString('utf8');
        resolve({ status: answer.statusCode ?? 0, location: answer.headers.location, body });
      });
    });
    sent.on('error', reject);
    sent.end();
  });
}
