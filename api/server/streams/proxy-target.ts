import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { badRequest, type KubeObject, serviceUnavailable } from '@trimtab/machinery';
import type { HttpParts } from '../http/parts.js';
import type { Registry, Target } from '../registry/context.js';
import { getObject } from '../registry/read.js';
import { type ProxyName, parseProxyName, portNumber } from './proxy-name.js';
import { streamTarget } from './target.js';

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
    readonly targetRef?: { readonly kind?: string; readonly name?: string };
  }[];
}

/** A port of a pod that requests are passed on to. */
export interface ProxyTarget {
  /** `pod:port`, as its `Host` header says. */
  readonly host: string;
  readonly scheme: 'http' | 'https';
  /** A connection of its own; 503 where there is none to be had. */
  connect(): Promise<Duplex>;
}

/** Finds the pod a `pods/proxy` or `services/proxy` request is for; of a service, one that is ready. */
export async function proxyTarget(parts: HttpParts, target: Target): Promise<ProxyTarget> {
  const place = parseProxyName(target.name);
  const { pod, port } =
    target.kind.storage.resource === '/services'
      ? await endpointOf(parts, target, place)
      : await podPort(parts, target, place);
  const { node, pod: ref } = streamTarget(pod, parts.nodeStreams);
  const host = `${ref.name}:${port}`;
  const fail = (error: unknown) =>
    serviceUnavailable(
      `error trying to reach service: port ${port} of pod ${ref.name}: ${error instanceof Error ? error.message : error}`,
    );
  return {
    host,
    scheme: place.scheme,
    async connect() {
      try {
        const plain = await node.portForward(ref, port);
        return place.scheme === 'https' ? await encrypted(plain) : plain;
      } catch (error) {
        throw fail(error);
      }
    },
  };
}

/** Pods' certificates are their own affair: nobody has told this server whom to trust (kubernetes: proxy transports). */
function encrypted(socket: Duplex): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const secure = tls.connect({ socket, rejectUnauthorized: false });
    secure.once('secureConnect', () => resolve(secure));
    secure.once('error', reject);
    secure.once('close', () => reject(new Error('the connection was closed during the TLS handshake')));
  });
}

async function podPort(parts: HttpParts, target: Target, place: ProxyName): Promise<{ pod: KubeObject; port: number }> {
  const pod = (await getObject(parts.registry, { ...target, name: place.name })) as Pod;
  const ports = pod.spec?.containers?.flatMap((c) => c.ports ?? []) ?? [];
  if (place.port === '') return { pod, port: ports[0]?.containerPort ?? (place.scheme === 'https' ? 443 : 80) };
  const port = portNumber(place.port) ?? ports.find((p) => p.name === place.port)?.containerPort;
  if (port === undefined) throw badRequest(`pod ${place.name} has no port named ${JSON.stringify(place.port)}`);
  return { pod, port };
}

async function endpointOf(
  parts: HttpParts,
  target: Target,
  place: ProxyName,
): Promise<{ pod: KubeObject; port: number }> {
  const { registry } = parts;
  const service = (await getObject(registry, { ...target, name: place.name })) as Service;
  const ports = service.spec?.ports ?? [];
  const wanted =
    place.port === '' ? ports[0] : ports.find((p) => p.name === place.port || p.port === portNumber(place.port));
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
