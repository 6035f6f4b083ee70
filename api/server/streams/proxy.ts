import http, { type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { badRequest, type KubeObject, StatusError, serviceUnavailable } from '@trimtab/machinery';
import { commonHeaders } from '../http/answer.js';
import { withoutConnectionHeaders } from '../http/listen.js';
import type { Call, HttpParts } from '../http/parts.js';
import type { Registry, Target } from '../registry/context.js';
import { getObject } from '../registry/read.js';
import { admitConnect } from './admit-connect.js';
import { type StreamTarget, streamTarget } from './target.js';

interface Port {
  readonly name?: string;
  readonly port?: number;
  readonly containerPort?: number;
}
interface Pod extends KubeObject {
  readonly spec?: { readonly containers?: readonly { readonly ports?: readonly Port[] }[] };
}
interface Service extends KubeObject {
  readonly spec?: { readonly ports?: readonly Port[] };
}
interface Slice extends KubeObject {
  readonly ports?: readonly Port[];
  readonly endpoints?: readonly {
    readonly conditions?: { readonly ready?: boolean };
    readonly targetRef?: { readonly kind?: string; readonly name?: string; readonly namespace?: string };
  }[];
}

/**
 * `pods/proxy` and `services/proxy`: passes an HTTP request on to a port of a pod, through the node's port-forward, and the
 * answer back. Names may be `scheme:name:port` with a number or a port's name; only plain HTTP is spoken to pods.
 */
export async function serveProxy(parts: HttpParts, call: Call, target: Target): Promise<void> {
  const place = parseProxyName(target.name);
  await admitConnect(parts, call, target, { path: restOf(call).split('?')[0] });
  const { pod, port } =
    target.kind.storage.resource === '/services'
      ? await endpointOf(parts, target, place)
      : await podPort(parts, target, place);
  const stream = streamTarget(pod, parts.nodeStreams);
  const answer = await ask(call, stream, port, restOf(call));
  const out = call.exchange.open(answer.statusCode ?? 502, {
    ...commonHeaders(call.auditId, []),
    ...rewritten(withoutConnectionHeaders(answer.headers), prefixOf(call)),
  });
  await pipeline(answer, out).catch((error: unknown) => {
    if (!call.exchange.signal.aborted) throw error;
  });
}

export interface ProxyName {
  readonly scheme: string;
  readonly name: string;
  /** A number, a port's name, or `""`. */
  readonly port: string;
}

/** `name`, `name:port`, `scheme:name:port` or `scheme:name:`. */
export function parseProxyName(text: string): ProxyName {
  const parts = text.split(':');
  if (parts.length === 1) return { scheme: 'http', name: parts[0]!, port: '' };
  if (parts.length === 2) return { scheme: 'http', name: parts[0]!, port: parts[1]! };
  if (parts.length === 3) return { scheme: parts[0] || 'http', name: parts[1]!, port: parts[2]! };
  throw badRequest(`invalid proxy target ${JSON.stringify(text)}`);
}

function plainOnly({ scheme }: ProxyName): void {
  if (scheme !== 'http')
    throw new StatusError({
      code: 501,
      reason: 'NotImplemented',
      message: `this server proxies plain HTTP only, not ${JSON.stringify(scheme)}; use port-forward instead`,
    });
}

async function podPort(parts: HttpParts, target: Target, place: ProxyName): Promise<{ pod: KubeObject; port: number }> {
  plainOnly(place);
  const pod = (await getObject(parts.registry, { ...target, name: place.name })) as Pod;
  const ports = pod.spec?.containers?.flatMap((c) => c.ports ?? []) ?? [];
  if (place.port === '') return { pod, port: ports[0]?.containerPort ?? 80 };
  const port = numberOf(place.port) ?? ports.find((p) => p.name === place.port)?.containerPort;
  if (port === undefined) throw badRequest(`pod ${place.name} has no port named ${JSON.stringify(place.port)}`);
  return { pod, port };
}

async function endpointOf(
  parts: HttpParts,
  target: Target,
  place: ProxyName,
): Promise<{ pod: KubeObject; port: number }> {
  plainOnly(place);
  const { registry } = parts;
  const service = (await getObject(registry, { ...target, name: place.name })) as Service;
  const ports = service.spec?.ports ?? [];
  const wanted =
    place.port === '' ? ports[0] : ports.find((p) => p.name === place.port || p.port === numberOf(place.port));
  if (!wanted)
    throw serviceUnavailable(
      `no service port ${JSON.stringify(place.port)} found for service ${JSON.stringify(place.name)}`,
    );
  for (const slice of slicesOf(registry, target.namespace, place.name)) {
    const port = slice.ports?.find((p) => (p.name ?? '') === (wanted.name ?? ''))?.port;
    if (port === undefined) continue;
    for (const { conditions, targetRef } of slice.endpoints ?? []) {
      if (conditions?.ready === false || targetRef?.kind !== 'Pod') continue;
      const kind = registry.kinds.find('', 'v1', 'pods')!;
      const name = targetRef.name ?? '';
      return { pod: await getObject(registry, { kind, namespace: target.namespace, name, subresource: '' }), port };
    }
  }
  throw serviceUnavailable(`no endpoints available for service ${JSON.stringify(place.name)}`);
}

function slicesOf(registry: Registry, namespace: string, service: string): readonly Slice[] {
  const scope = { resource: 'discovery.k8s.io/endpointslices', namespace };
  return [...registry.store.snapshot().range(scope)]
    .map((e) => e.object as Slice)
    .filter((s) => s.metadata.labels?.['kubernetes.io/service-name'] === service);
}

function numberOf(text: string): number | undefined {
  const port = Number(text);
  return /^\d+$/.test(text) && port > 0 && port < 65536 ? port : undefined;
}

/** The path up to and including `/proxy`: `/api/v1/namespaces/<namespace>/<resource>/<name>/proxy`. */
function prefixOf(call: Call): string {
  return /^\/*(?:[^/]+\/+){6}[^/]+/.exec(call.info.path)?.[0] ?? call.info.path;
}

/** The path and query the pod is asked for: as the client wrote it. */
function restOf(call: Call): string {
  const rest = call.exchange.url.slice(prefixOf(call).length);
  return rest.startsWith('/') ? rest : `/${rest}`;
}

async function ask(call: Call, { node, pod }: StreamTarget, port: number, path: string): Promise<IncomingMessage> {
  let connection: Duplex;
  try {
    connection = await node.portForward(pod, port);
  } catch (error) {
    throw serviceUnavailable(
      `error trying to reach service: port ${port} of pod ${pod.name}: ${error instanceof Error ? error.message : error}`,
    );
  }
  const { exchange } = call;
  const headers = Object.fromEntries(
    Object.entries(withoutConnectionHeaders(exchange.headers)).filter(
      ([name]) => !name.startsWith(':') && !name.startsWith('impersonate-') && !keptFromPods.has(name),
    ),
  );
  return new Promise((resolve, reject) => {
    const request = http.request({
      createConnection: () => connection as never,
      method: exchange.method,
      path,
      headers: { ...headers, host: `${pod.name}:${port}`, 'x-forwarded-uri': call.info.path },
    });
    request.once('response', resolve);
    request.once('error', (error) =>
      reject(serviceUnavailable(`error trying to reach service: port ${port} of pod ${pod.name}: ${error.message}`)),
    );
    exchange.signal.addEventListener('abort', () => request.destroy(), { once: true });
    exchange.body.pipe(request);
  });
}

/** Credentials are for this server, and who is asked is said anew. */
const keptFromPods: ReadonlySet<string> = new Set(['authorization', 'sec-websocket-protocol', 'host', 'expect']);

/** Redirects to the pod's own paths stay behind the proxy. */
function rewritten(headers: http.OutgoingHttpHeaders, prefix: string): http.OutgoingHttpHeaders {
  const location = headers.location;
  if (typeof location !== 'string' || !location.startsWith('/') || location.startsWith('//')) return headers;
  return { ...headers, location: `${prefix}${location}` };
}
