import type { EndpointSlice, Service } from '@trimtab/machinery';
import type { ObjectReader } from '../contracts.js';

/** An address and port that a service answers on now. Throws an Error saying why there is none. */
export interface ServiceResolver {
  resolve(namespace: string, name: string, port: number): { readonly host: string; readonly port: number };
}

const numberOfTurns = 1 << 30;

/**
 * Finds a ready endpoint of the service, each in its turn: endpoints can be reached wherever their network can, also where
 * nobody routes cluster IPs. A service of type ExternalName is where it says.
 */
export function endpointResolver(reader: ObjectReader): ServiceResolver {
  let turn = 0;
  return {
    resolve(namespace, name, port) {
      const service = reader.get('/services', namespace, name) as Service | undefined;
      if (!service) throw new Error(`service ${JSON.stringify(name)} not found`);
      const { spec } = service;
      if (spec?.type === 'ExternalName') return { host: spec.externalName ?? '', port };
      const wanted = spec?.ports?.find((p) => p.port === port);
      if (!wanted) throw new Error(`no service port ${port} found for service ${JSON.stringify(name)}`);
      const found = endpoints(reader, namespace, name, wanted.name ?? '');
      if (found.length === 0) throw new Error(`no endpoints available for service ${JSON.stringify(name)}`);
      turn = (turn + 1) % numberOfTurns;
      return found[turn % found.length]!;
    },
  };
}

function endpoints(reader: ObjectReader, namespace: string, service: string, portName: string) {
  const found: { readonly host: string; readonly port: number }[] = [];
  for (const object of reader.list('discovery.k8s.io/endpointslices', namespace)) {
    if (object.metadata.labels?.['kubernetes.io/service-name'] !== service) continue;
    const slice = object as EndpointSlice;
    const port = slice.ports?.find((p) => (p.name ?? '') === portName)?.port;
    if (port === undefined) continue;
    for (const { conditions, addresses } of slice.endpoints ?? [])
      if (conditions?.ready !== false && addresses[0] !== undefined) found.push({ host: addresses[0], port });
  }
  return found;
}
