import type { EndpointSlice, Event, Service, ServicePort } from '@trimtab/machinery';
import { type Block, optional, pairs, value } from './block.js';
import { eventsEntry } from './events.js';
import { annotations, deletion, identity, labels } from './metadata.js';

/** `slices` are those that carry the service's name. */
export function describeService(
  service: Service,
  slices: readonly EndpointSlice[],
  events: readonly Event[],
  now: number,
): Block {
  const { spec = {}, status } = service;
  const ingress = status?.loadBalancer?.ingress ?? [];
  return [
    ...identity(service),
    ...deletion(service),
    ...labels(service),
    ...annotations(service),
    value('Selector', pairs(spec.selector)),
    value('Type', spec.type ?? 'ClusterIP'),
    ...optional('IP Family Policy', spec.ipFamilyPolicy),
    ...(spec.ipFamilies ? [value('IP Families', spec.ipFamilies.join(','))] : []),
    value('IP', spec.clusterIP ?? '<none>'),
    value('IPs', (spec.clusterIPs ?? []).join(',') || '<none>'),
    ...(spec.externalIPs?.length ? [value('External IPs', spec.externalIPs.join(','))] : []),
    ...optional('External Name', spec.externalName),
    ...(ingress.length > 0
      ? [value('LoadBalancer Ingress', ingress.map(({ ip, hostname }) => ip ?? hostname ?? '').join(', '))]
      : []),
    ...(spec.ports ?? []).flatMap((port) => portBlock(port, slices)),
    value('Session Affinity', spec.sessionAffinity ?? 'None'),
    ...optional('External Traffic Policy', spec.externalTrafficPolicy),
    ...optional('Internal Traffic Policy', spec.internalTrafficPolicy),
    eventsEntry(events, now),
  ];
}

function portBlock(port: ServicePort, slices: readonly EndpointSlice[]): Block {
  const { name, protocol = 'TCP', nodePort, targetPort } = port;
  return [
    value('Port', `${name || '<unset>'}  ${port.port}/${protocol}`),
    value('TargetPort', `${targetPort ?? port.port}/${protocol}`),
    ...(nodePort ? [value('NodePort', `${name || '<unset>'}  ${nodePort}/${protocol}`)] : []),
    value('Endpoints', endpointsText(port, slices)),
  ];
}

const SHOWN = 3;

/** The first addresses that take connections, and how many more there are. */
function endpointsText({ name = '' }: ServicePort, slices: readonly EndpointSlice[]): string {
  const all = slices.flatMap(({ endpoints, ports = [] }) => {
    const port = (ports ?? []).find((each) => (each.name ?? '') === name)?.port;
    if (port === undefined) return [];
    const ready = (endpoints ?? []).filter(({ conditions }) => conditions?.ready ?? true);
    return ready.flatMap(({ addresses }) =>
      addresses.map((a) => (a.includes(':') ? `[${a}]:${port}` : `${a}:${port}`)),
    );
  });
  const text = all.slice(0, SHOWN).join(',');
  return all.length > SHOWN ? `${text} + ${all.length - SHOWN} more...` : text;
}
