import type { Service } from '@trimtab/machinery';
import type { Answer, RecordType, SoaAnswer } from 'dns-packet';
import { addressOfReverseName, labelsBelow, normalize, SPECIFICATION_VERSION, TTL_SECONDS, undashed } from './names.js';
import { addressRecord, alias, isHeadless, namedEndpoints, pointer, serviceLocation, text } from './records.js';
import { clusterIPs, type DnsView } from './view.js';

/** What an answer consists of. `authoritative: false` with `forward`: it is somebody else's name. */
export type Resolution =
  | { readonly kind: 'answer'; readonly answers: readonly Answer[]; readonly additionals: readonly Answer[] }
  /** The name exists, but not with this type (NODATA), or does not exist. */
  | { readonly kind: 'nodata' | 'nxdomain'; readonly soa: SoaAnswer }
  | { readonly kind: 'forward' }
  /** `target` is to be looked up outside; `answers` come first. */
  | { readonly kind: 'alias'; readonly answers: readonly Answer[]; readonly target: string };

export interface Zone {
  /** e.g. `cluster.local`. */
  readonly domain: string;
  /** Whether reverse names of this address are ours alone. */
  readonly ownsAddress: (ip: string) => boolean;
  /** Serial of SOA records. */
  readonly serial: number;
}

const MAX_ALIASES = 8;

/**
 * Pure: the answer of the Kubernetes DNS specification 1.1 to one question. Names keep the case they were asked in.
 */
export function resolve(view: DnsView, zone: Zone, type: RecordType | 'ANY', asked: string, depth = 0): Resolution {
  const name = normalize(asked);
  const soa = soaOf(zone);
  const reverse = addressOfReverseName(name);
  if (reverse !== undefined) return resolveReverse(view, zone, type, asked, reverse);
  const labels = labelsBelow(name, zone.domain);
  if (!labels) return { kind: 'forward' };

  const found = lookup(view, zone, labels, asked);
  if (found === 'nxdomain') return { kind: 'nxdomain', soa };
  if ('target' in found) {
    const answers = [alias(asked, found.target)];
    if (type === 'CNAME') return { kind: 'answer', answers, additionals: [] };
    if (depth >= MAX_ALIASES) return { kind: 'answer', answers, additionals: [] };
    const next = resolve(view, zone, type, found.target, depth + 1);
    if (next.kind === 'forward') return { kind: 'alias', answers, target: found.target };
    if (next.kind === 'alias') return { ...next, answers: [...answers, ...next.answers] };
    return {
      kind: 'answer',
      answers: next.kind === 'answer' ? [...answers, ...next.answers] : answers,
      additionals: [],
    };
  }
  const answers = found.records.filter((record) => type === 'ANY' || record.type === type);
  if (answers.length === 0) return { kind: 'nodata', soa };
  return { kind: 'answer', answers, additionals: type === 'SRV' ? found.additionals : [] };
}

interface Found {
  readonly records: readonly Answer[];
  /** Addresses of SRV targets. */
  readonly additionals: readonly Answer[];
}
const NOTHING_HERE: Found = { records: [], additionals: [] };
type Lookup = Found | { readonly target: string } | 'nxdomain';

function lookup(view: DnsView, zone: Zone, labels: readonly string[], asked: string): Lookup {
  const { domain } = zone;
  if (labels.length === 0) {
    const ns: Answer = { type: 'NS', class: 'IN', name: asked, ttl: TTL_SECONDS, data: `ns.dns.${domain}` };
    return { records: [soaOf(zone), ns], additionals: [] };
  }
  if (labels.length === 1 && labels[0] === 'dns-version')
    return { records: [text(asked, SPECIFICATION_VERSION)], additionals: [] };
  const kind = labels.at(-1);
  if (kind === 'pod') return lookupPod(view, labels.slice(0, -1), asked);
  if (kind !== 'svc') return 'nxdomain';
  const [namespace, name, ...rest] = labels.slice(0, -1).reverse();
  if (namespace === undefined) return NOTHING_HERE;
  if (name === undefined) return view.hasNamespace(namespace) ? NOTHING_HERE : 'nxdomain';
  const service = view.service(namespace, name);
  if (!service) return 'nxdomain';
  if (service.spec?.type === 'ExternalName')
    return rest.length === 0 && service.spec.externalName
      ? { target: normalize(service.spec.externalName) }
      : 'nxdomain';
  const full = `${name}.${namespace}.svc.${domain}`;
  return isHeadless(service)
    ? lookupHeadless(view, service, full, rest, asked)
    : lookupClusterIP(service, full, rest, asked);
}

/** CoreDNS's `pods insecure`: the name says the address; only the namespace has to exist. */
function lookupPod(view: DnsView, labels: readonly string[], asked: string): Lookup {
  const [namespace, label, ...rest] = [...labels].reverse();
  if (namespace === undefined) return NOTHING_HERE;
  if (!view.hasNamespace(namespace) || rest.length > 0) return 'nxdomain';
  if (label === undefined) return NOTHING_HERE;
  const ip = undashed(label);
  return ip === undefined ? 'nxdomain' : { records: [addressRecord(asked, ip)], additionals: [] };
}

/** `[protocol, port]` of `_port._protocol`, in the reversed order labels come in here. */
const isServiceLabel = (label: string | undefined): label is string => label?.startsWith('_') === true;

function lookupClusterIP(service: Service, full: string, rest: readonly string[], asked: string): Lookup {
  const ips = clusterIPs(service);
  const ports = service.spec?.ports ?? [];
  const additionals = ips.map((ip) => addressRecord(full, ip));
  if (rest.length === 0) {
    const srv = ports.map((port) => serviceLocation(asked, full, port.port));
    return { records: [...ips.map((ip) => addressRecord(asked, ip)), ...srv], additionals };
  }
  const [protocol, port, ...more] = rest;
  if (more.length > 0 || !isServiceLabel(protocol)) return 'nxdomain';
  const matching = ports.filter((p) => `_${(p.protocol ?? 'TCP').toLowerCase()}` === protocol && p.name);
  if (port === undefined) return matching.length > 0 ? NOTHING_HERE : 'nxdomain';
  const srv = matching.filter((p) => `_${p.name}` === port).map((p) => serviceLocation(asked, full, p.port));
  return srv.length > 0 ? { records: srv, additionals } : 'nxdomain';
}

function lookupHeadless(view: DnsView, service: Service, full: string, rest: readonly string[], asked: string): Lookup {
  const { namespace = '', name = '' } = service.metadata;
  const endpoints = namedEndpoints(view.slicesOf(namespace, name));
  const additionals = endpoints.map((e) => addressRecord(`${e.label}.${full}`, e.ip));
  if (rest.length === 0) {
    if (endpoints.length === 0) return 'nxdomain';
    const srv = endpoints.flatMap((e) => e.ports.map((p) => serviceLocation(asked, `${e.label}.${full}`, p.port)));
    return { records: [...endpoints.map((e) => addressRecord(asked, e.ip)), ...srv], additionals };
  }
  const [first, port, ...more] = rest;
  if (more.length > 0) return 'nxdomain';
  if (!isServiceLabel(first)) {
    const named = port === undefined ? endpoints.filter((e) => e.label === first) : [];
    return named.length > 0 ? { records: named.map((e) => addressRecord(asked, e.ip)), additionals: [] } : 'nxdomain';
  }
  const matches = endpoints.flatMap((e) =>
    e.ports.filter((p) => `_${p.protocol}` === first && p.name !== '').map((p) => ({ e, p })),
  );
  if (port === undefined) return matches.length > 0 ? NOTHING_HERE : 'nxdomain';
  const srv = matches
    .filter(({ p }) => `_${p.name}` === port)
    .map(({ e, p }) => serviceLocation(asked, `${e.label}.${full}`, p.port));
  return srv.length > 0 ? { records: srv, additionals } : 'nxdomain';
}

function resolveReverse(view: DnsView, zone: Zone, type: RecordType | 'ANY', asked: string, ip: string): Resolution {
  const targets = new Set<string>();
  for (const service of view.servicesAt(ip))
    targets.add(`${service.metadata.name}.${service.metadata.namespace}.svc.${zone.domain}`);
  for (const slice of view.slicesAt(ip)) {
    const name = slice.metadata.labels?.['kubernetes.io/service-name'];
    const service = name ? view.service(slice.metadata.namespace ?? '', name) : undefined;
    if (!service || !isHeadless(service)) continue;
    for (const endpoint of namedEndpoints([slice]))
      if (endpoint.ip === ip) targets.add(`${endpoint.label}.${name}.${slice.metadata.namespace}.svc.${zone.domain}`);
  }
  if (targets.size === 0) return zone.ownsAddress(ip) ? { kind: 'nxdomain', soa: soaOf(zone) } : { kind: 'forward' };
  if (type !== 'PTR' && type !== 'ANY') return { kind: 'nodata', soa: soaOf(zone) };
  return { kind: 'answer', answers: [...targets].map((target) => pointer(asked, target)), additionals: [] };
}

/** Negative answers are kept as long as positive ones: a Service created now is found within seconds. */
function soaOf(zone: Zone): SoaAnswer {
  return {
    type: 'SOA',
    class: 'IN',
    name: zone.domain,
    ttl: TTL_SECONDS,
    data: {
      mname: `ns.dns.${zone.domain}`,
      rname: `hostmaster.${zone.domain}`,
      serial: zone.serial,
      refresh: 7200,
      retry: 1800,
      expire: 86400,
      minimum: TTL_SECONDS,
    },
  };
}
