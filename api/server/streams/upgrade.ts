import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { AttachOptions, ExecOptions, ProcessStreams } from '@trimtab/client';
import { badRequest, invalid, methodNotAllowed, StatusError } from '@trimtab/machinery';
import { proxyUpgrade } from '../aggregation/proxy.js';
import { statusHeaders, statusOf, Warnings } from '../http/answer.js';
import { pathNotFound } from '../http/answers.js';
import type { Peer } from '../http/exchange.js';
import { admitCaller } from '../http/handle.js';
import { requestLabels } from '../http/metrics.js';
import type { Call, HttpParts } from '../http/parts.js';
import { isTrue, parseRequest, type RequestInfo } from '../http/request-info.js';
import { serveResource } from '../http/resource.js';
import type { Target } from '../registry/context.js';
import { newUid } from '../registry/names.js';
import { getObject } from '../registry/read.js';
import { admitConnect } from './admit-connect.js';
import { chooseProtocol } from './channels.js';
import { portForwardProtocol, servePortForward } from './port-forward.js';
import { serveProxyUpgrade } from './proxy.js';
import { joinProcess, type RemoteEnds, refuse } from './session.js';
import { chooseSpdyProtocol, spdyEnds } from './spdy-ends.js';
import { containerOf, type StreamTarget, streamTarget } from './target.js';
import { acceptWebSocket, requestedProtocols } from './websocket.js';
import { webSocketEnds } from './websocket-ends.js';
import { WebSocketExchange } from './websocket-exchange.js';
import { serveWebSocketPorts } from './websocket-ports.js';

/** An upgrade request on its way: exec, attach or port-forward, over WebSocket or SPDY. */
interface Upgrade {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly webSocket: boolean;
}

/** Answers an HTTP/1.1 upgrade: refusals are plain HTTP answers with a Status. Never throws. */
export async function handleUpgrade(
  parts: HttpParts,
  request: IncomingMessage,
  peer: Peer,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const info = parseRequest(request.method ?? 'GET', request.url ?? '/');
  const auditId = newUid(parts.registry.random);
  const labels = { ...requestLabels(parts.registry.kinds, info), verb: 'CONNECT' };
  parts.metrics.longRunning(labels, 1);
  const stop = () => socket.destroy();
  parts.closing.addEventListener('abort', stop, { once: true });
  const readable = isReadable(request, info) ? new WebSocketExchange(request, socket, head, peer) : undefined;
  try {
    const exchange = readable ?? { headers: request.headers, peer };
    const call = await admitCaller(parts, exchange, info, auditId, new Warnings());
    const route = parts.aggregator?.route(info.path);
    if (parts.aggregator && route) {
      await proxyUpgrade(parts.aggregator.transport, route, call, { request, socket, head });
      return;
    }
    const path = info.resource;
    const kind = path && parts.registry.kinds.find(path.group, path.version, path.resource);
    if (readable) {
      await serveResource(parts, call);
      await readable.finished();
      return;
    }
    if (!path || !kind) throw pathNotFound();
    const target: Target = { kind, namespace: path.namespace, name: path.name, subresource: path.subresource };
    const proxied = kind.storage.resource === '/pods' || kind.storage.resource === '/services';
    if (proxied && path.subresource === 'proxy') {
      await serveProxyUpgrade(parts, call, target, { request, socket, head });
      return;
    }
    if (kind.storage.resource !== '/pods') throw pathNotFound();
    const upgrade: Upgrade = { request, socket, head, webSocket: /websocket/i.test(request.headers.upgrade ?? '') };
    if (!upgrade.webSocket && !/^spdy\/3\.1$/i.test(request.headers.upgrade ?? ''))
      throw badRequest(
        `unable to upgrade to ${JSON.stringify(request.headers.upgrade)}: websocket and SPDY/3.1 are known`,
      );
    if (!['GET', 'POST'].includes(request.method ?? '') || info.verb === 'watch')
      throw methodNotAllowed({ group: '', resource: `pods/${path.subresource}` }, info.verb);
    if (path.subresource === 'portforward') await portForward(parts, call, target, upgrade);
    else if (path.subresource === 'exec' || path.subresource === 'attach')
      await runProcess(parts, call, target, upgrade);
    else throw pathNotFound();
  } catch (error) {
    const status = statusOf(error);
    if (!(error instanceof StatusError)) parts.registry.logger.error({ err: error, path: info.path }, 'upgrade failed');
    if (readable?.answered) socket.destroy();
    else refuseUpgrade(request, socket, status, auditId);
  } finally {
    parts.closing.removeEventListener('abort', stop);
    parts.metrics.longRunning(labels, -1);
  }
}

/** Watches and logs are read over WebSockets as well, for browsers. */
function isReadable(request: IncomingMessage, info: RequestInfo): boolean {
  if (request.method !== 'GET' || !/websocket/i.test(request.headers.upgrade ?? '')) return false;
  return info.verb === 'watch' || (info.resource?.resource === 'pods' && info.resource.subresource === 'log');
}

function refuseUpgrade({ method }: IncomingMessage, socket: Duplex, status: StatusError, auditId: string): void {
  if (socket.destroyed || socket.writableEnded) return;
  const body = `${JSON.stringify(status.status)}\n`;
  const headers = {
    'audit-id': auditId,
    ...statusHeaders(status),
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([k, v]) => `${k}: ${String(v)}`);
  const head = `HTTP/1.1 ${status.code} ${STATUS_CODES[status.code] ?? 'Error'}\r\n${lines.join('\r\n')}\r\n\r\n`;
  socket.end(method === 'HEAD' ? head : head + body);
}

function attachOptions(query: URLSearchParams, container: string): AttachOptions {
  const flag = (name: string, otherwise: boolean) => (query.has(name) ? isTrue(query.get(name)) : otherwise);
  return {
    container,
    stdin: flag('stdin', false),
    stdout: flag('stdout', true),
    stderr: flag('stderr', true),
    tty: flag('tty', false),
  };
}

async function runProcess(parts: HttpParts, call: Call, target: Target, upgrade: Upgrade): Promise<void> {
  const { registry } = parts;
  const { query } = call.info;
  const pod = await getObject(registry, target);
  const options = attachOptions(query, containerOf(pod, query.get('container'), 'exec'));
  const command = query.getAll('command');
  const isExec = target.subresource === 'exec';
  if (isExec && command.length === 0)
    throw invalid({ group: '', kind: 'PodExecOptions' }, target.name, [
      { reason: 'FieldValueRequired', field: 'command', message: 'Required value' },
    ]);
  const phase = (pod as { status?: { phase?: string } }).status?.phase;
  if (phase === 'Succeeded' || phase === 'Failed')
    throw badRequest(`cannot ${target.subresource} into a container in a completed pod; current phase is ${phase}`);
  await admitConnect(parts, call, target, isExec ? { ...options, command } : options);
  const { node, pod: ref } = streamTarget(pod, parts.nodeStreams);
  const remote = await openEnds(parts, upgrade, options);
  let process: ProcessStreams;
  try {
    const exec: ExecOptions = { ...options, command };
    process = isExec ? await node.exec(ref, exec) : await node.attach(ref, options);
  } catch (error) {
    refuse(remote, error);
    return;
  }
  await joinProcess(process, remote, registry.logger);
}

async function openEnds(parts: HttpParts, upgrade: Upgrade, options: AttachOptions): Promise<RemoteEnds> {
  const { request, socket, head } = upgrade;
  if (upgrade.webSocket) {
    const requested = requestedProtocols(request);
    const protocol = chooseProtocol(requested) ?? (requested.length === 0 ? plainProtocol : undefined);
    if (!protocol) throw badRequest(`none of the subprotocols ${requested.join(', ')} is known`);
    const ws = await acceptWebSocket(request, socket, head, requested.length === 0 ? undefined : protocol.name);
    return webSocketEnds(ws, protocol, options);
  }
  const protocol = agreeSpdy(upgrade, chooseSpdyProtocol);
  return spdyEnds(socket, protocol, options, parts.registry.clock);
}

const plainProtocol = { name: '', base64: false, version: 1 };

/** Sends the 101 of a SPDY upgrade with the stream protocol chosen. */
function agreeSpdy(
  { request, socket, head }: Upgrade,
  choose: (requested: readonly string[]) => string | undefined,
): string {
  const requested = [request.headers['x-stream-protocol-version'] ?? []]
    .flat()
    .flatMap((v) => v.split(','))
    .map((v) => v.trim())
    .filter(Boolean);
  const protocol = choose(requested);
  if (!protocol)
    throw new StatusError({
      code: 403,
      reason: 'Forbidden',
      message: `unable to upgrade: none of the stream protocols ${requested.join(', ')} is known`,
    });
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
  );
  if (head.length > 0) socket.unshift(head);
  return protocol;
}

const tunnelProtocol = 'SPDY/3.1+portforward.k8s.io';

async function portForward(parts: HttpParts, call: Call, target: Target, upgrade: Upgrade): Promise<void> {
  const { registry } = parts;
  const pod = await getObject(registry, target);
  const ports = call.info.query.getAll('ports').map(Number);
  await admitConnect(parts, call, target, { ports });
  const place: StreamTarget = streamTarget(pod, parts.nodeStreams);
  const phase = (pod as { status?: { phase?: string } }).status?.phase;
  if (phase !== 'Running')
    throw badRequest(`unable to forward port because pod is not running. Current status=${phase ?? 'Unknown'}`);
  if (!upgrade.webSocket) {
    agreeSpdy(upgrade, (requested) => requested.find((p) => p === portForwardProtocol));
    return servePortForward(upgrade.socket, place, registry.logger);
  }
  const requested = requestedProtocols(upgrade.request);
  if (requested.includes(tunnelProtocol)) {
    const ws = await acceptWebSocket(upgrade.request, upgrade.socket, upgrade.head, tunnelProtocol);
    const { createWebSocketStream } = await import('ws');
    return servePortForward(createWebSocketStream(ws), place, registry.logger);
  }
  const protocol = chooseProtocol(requested.map((p) => (p === portForwardProtocol ? 'v4.channel.k8s.io' : p)));
  if (!protocol) throw badRequest(`none of the subprotocols ${requested.join(', ')} is known`);
  const name = requested.includes(protocol.name) ? protocol.name : portForwardProtocol;
  const ws = await acceptWebSocket(upgrade.request, upgrade.socket, upgrade.head, name);
  return serveWebSocketPorts(ws, protocol, ports, place);
}
