import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { serviceUnavailable } from '@trimtab/machinery';
import { withoutConnectionHeaders } from '../http/listen.js';
import type { Call } from '../http/parts.js';
import type { RemoteService } from './api-service.js';
import { isIdentityHeader, remoteUserHeaders } from './remote-user.js';
import type { RemoteTransport } from './transport.js';

const unreachable = (error: unknown) =>
  serviceUnavailable(`error trying to reach service: ${error instanceof Error ? error.message : String(error)}`);

function passedOn(call: Call) {
  const kept = Object.entries(withoutConnectionHeaders(call.exchange.headers)).filter(
    ([name]) => !name.startsWith(':') && name !== 'host' && !isIdentityHeader(name),
  );
  const { address } = call.exchange.peer;
  const before = call.exchange.headers['x-forwarded-for'];
  return {
    ...Object.fromEntries(kept),
    ...remoteUserHeaders(call.user),
    'x-forwarded-for': [before, address].filter(Boolean).join(', '),
    'audit-id': call.auditId,
  };
}

/** Passes a request on to an aggregated server, and its answer back. 503 when it cannot be reached. */
export async function proxyRequest(transport: RemoteTransport, remote: RemoteService, call: Call): Promise<void> {
  const { exchange } = call;
  const { answer } = await transport
    .send(remote, {
      method: exchange.method,
      path: exchange.url,
      headers: passedOn(call),
      body: exchange.body,
      signal: exchange.signal,
    })
    .catch((error: unknown) => {
      throw unreachable(error);
    });
  const out = exchange.open(answer.statusCode ?? 502, {
    ...withoutConnectionHeaders(answer.headers),
    'audit-id': call.auditId,
  });
  await pipeline(answer, out).catch((error: unknown) => {
    if (!exchange.signal.aborted) throw error;
  });
}

/** The same for HTTP/1.1 upgrades: once the other server has agreed, bytes go both ways until one side ends. */
export async function proxyUpgrade(
  transport: RemoteTransport,
  remote: RemoteService,
  call: Call,
  upgrade: { readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Buffer },
): Promise<void> {
  const { request, socket, head } = upgrade;
  const sent = await transport
    .send(remote, {
      method: request.method ?? 'GET',
      path: request.url ?? '/',
      headers: { ...passedOn(call), connection: 'Upgrade', upgrade: request.headers.upgrade },
    })
    .catch((error: unknown) => {
      throw unreachable(error);
    });
  const { answer } = sent;
  const lines = [`HTTP/1.1 ${answer.statusCode} ${STATUS_CODES[answer.statusCode ?? 0] ?? ''}`];
  for (let i = 0; i < answer.rawHeaders.length; i += 2)
    lines.push(`${answer.rawHeaders[i]}: ${answer.rawHeaders[i + 1]}`);
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  if (!('socket' in sent)) {
    await pipeline(answer, socket).catch(() => {});
    return;
  }
  if (sent.head.length > 0) socket.write(sent.head);
  if (head.length > 0) sent.socket.write(head);
  await Promise.all([pipeline(sent.socket, socket), pipeline(socket, sent.socket)]).catch(() => {
    sent.socket.destroy();
    socket.destroy();
  });
}
