import http, { type IncomingMessage, STATUS_CODES } from 'node:http';
import { type Duplex, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { serviceUnavailable } from '@trimtab/machinery';
import { commonHeaders } from '../http/answer.js';
import { notServed } from '../http/answers.js';
import type { Exchange } from '../http/exchange.js';
import { withoutConnectionHeaders } from '../http/listen.js';
import type { Call, HttpParts } from '../http/parts.js';
import type { Target } from '../registry/context.js';
import { getObject } from '../registry/read.js';
import { admitConnect } from './admit-connect.js';
import { parseProxyName, splitProxyPath } from './proxy-name.js';
import { linkRewriter, type ProxyRoot, rewriteHeaders } from './proxy-rewrite.js';
import { type ProxyTarget, proxyTarget } from './proxy-target.js';

/**
 * `pods/proxy` and `services/proxy`: passes an HTTP request on to a port of a pod, through the node's port-forward, and the
 * answer back. Names may be `scheme:name:port` with a number or a port's name. `nodes/proxy` asks the node itself.
 */
export async function serveProxy(parts: HttpParts, call: Call, target: Target): Promise<void> {
  const { exchange } = call;
  const { prefix, rest } = splitProxyPath(exchange.url);
  await admitConnect(parts, call, target, { path: rest.split('?')[0] || '/' });
  const headers = commonHeaders(call.auditId, []);
  if (!rest.startsWith('/') && ['GET', 'HEAD'].includes(exchange.method)) {
    // Without the slash a page's relative links would lead past it.
    exchange.respond(301, { ...headers, location: `${prefix}/${rest}` });
    return;
  }
  const path = rest.startsWith('/') ? rest : `/${rest}`;
  if (target.kind.storage.resource === '/nodes') return askNode(parts, call, target, path);
  const place = await proxyTarget(parts, target);
  const root: ProxyRoot = { prefix, host: place.host };
  const answer = await ask(exchange, call.info.path, place, path);
  const given = rewriteHeaders(withoutConnectionHeaders(answer.headers), root);
  const html = /^text\/html\b/i.test(answer.headers['content-type'] ?? '');
  const coding = answer.headers['content-encoding'];
  const readable = html && (coding === undefined || coding === 'identity' || coding === 'gzip');
  const { 'content-length': _, 'content-encoding': __, ...open } = given;
  const out = exchange.open(answer.statusCode ?? 502, { ...headers, ...(readable ? open : given) });
  const steps = readable ? [...(coding === 'gzip' ? [createGunzip()] : []), linkRewriter(root)] : [];
  await pipeline([answer, ...steps, out]).catch((error: unknown) => {
    if (!exchange.signal.aborted) throw error;
  });
}

/** What must not reach a pod: credentials are for this server, and who is asked is said anew. */
const keptFromPods: ReadonlySet<string> = new Set(['authorization', 'sec-websocket-protocol', 'host', 'expect']);

function passedOn(headers: Exchange['headers']): Record<string, string | string[]> {
  const kept: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(withoutConnectionHeaders(headers)))
    if (value !== undefined && !name.startsWith(':') && !name.startsWith('impersonate-') && !keptFromPods.has(name))
      kept[name] = typeof value === 'number' ? String(value) : value;
  return kept;
}

async function ask(exchange: Exchange, from: string, place: ProxyTarget, path: string): Promise<IncomingMessage> {
  const connection = await place.connect();
  return new Promise((resolve, reject) => {
    const request = http.request({
      createConnection: () => connection as never,
      method: exchange.method,
      path,
      headers: { ...passedOn(exchange.headers), host: place.host, 'x-forwarded-uri': from },
    });
    request.once('response', resolve);
    request.once('error', (error) =>
      reject(serviceUnavailable(`error trying to reach service: ${place.host}: ${error.message}`)),
    );
    exchange.signal.addEventListener('abort', () => request.destroy(), { once: true });
    exchange.body.pipe(request);
  });
}

async function askNode(parts: HttpParts, call: Call, target: Target, path: string): Promise<void> {
  const { exchange } = call;
  const { name } = parseProxyName(target.name);
  await getObject(parts.registry, { ...target, name });
  const node = parts.nodeStreams(name);
  if (!node)
    throw serviceUnavailable(
      `no kubelet of node ${JSON.stringify(name)} is connected to this API server; see whether the node is running`,
    );
  if (!node.http) throw notServed(`HTTP paths of node ${JSON.stringify(name)}, which is a simulated one`);
  const { method, body, signal } = exchange;
  const answer = await node.http({ method, path, headers: passedOn(exchange.headers), body, signal });
  const headers = { ...commonHeaders(call.auditId, []), ...answer.headers };
  const content = typeof answer.body === 'string' ? Readable.from([answer.body]) : answer.body;
  await pipeline(content, exchange.open(answer.status, headers)).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}

/** Passes an upgrade (a WebSocket, say) on as it is, and then bytes both ways until either end has had enough. */
export async function serveProxyUpgrade(
  parts: HttpParts,
  call: Call,
  target: Target,
  { request, socket, head }: { readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Buffer },
): Promise<void> {
  const { rest } = splitProxyPath(request.url ?? '/');
  await admitConnect(parts, call, target, { path: rest.split('?')[0] || '/' });
  const place = await proxyTarget(parts, target);
  const connection = await place.connect();
  const upgrade = http.request({
    createConnection: () => connection as never,
    method: request.method ?? 'GET',
    path: rest.startsWith('/') ? rest : `/${rest}`,
    headers: {
      ...passedOn(request.headers),
      host: place.host,
      connection: 'Upgrade',
      upgrade: request.headers.upgrade ?? '',
      ...protocolsOf(request),
    },
  });
  await new Promise<void>((resolve, reject) => {
    upgrade.once('error', (error) => reject(serviceUnavailable(`error trying to reach service: ${error.message}`)));
    upgrade.once('upgrade', (answer, far, first) => {
      socket.write(headOf(answer));
      if (first.length > 0) socket.write(first);
      if (head.length > 0) far.write(head);
      join(socket, far).then(resolve);
    });
    // Not agreed to: its answer is the answer.
    upgrade.once('response', (answer) => {
      socket.write(headOf(answer));
      pipeline(answer, socket).then(resolve, () => resolve());
    });
    upgrade.end();
  });
}

function protocolsOf(request: IncomingMessage): Record<string, string> {
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
  const kept = offered.filter((name) => name !== '' && !name.startsWith('base64url.bearer.authorization.k8s.io.'));
  return kept.length > 0 ? { 'sec-websocket-protocol': kept.join(', ') } : {};
}

function headOf({ statusCode = 502, rawHeaders, httpVersion }: IncomingMessage): string {
  const lines: string[] = [`HTTP/${httpVersion} ${statusCode} ${STATUS_CODES[statusCode] ?? ''}`];
  const chunked = statusCode !== 101;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2)
    // A body read from its chunks is sent on without them, and its end is that of the connection.
    if (!chunked || !/^(connection|transfer-encoding|keep-alive)$/i.test(rawHeaders[i]!))
      lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`);
  if (chunked) lines.push('Connection: close');
  return `${lines.join('\r\n')}\r\n\r\n`;
}

function join(near: Duplex, far: Duplex): Promise<void> {
  near.pipe(far);
  far.pipe(near);
  return new Promise((resolve) => {
    const end = () => {
      near.destroy();
      far.destroy();
      resolve();
    };
    for (const stream of [near, far]) {
      stream.once('close', end);
      stream.once('error', end);
    }
  });
}
