import type { PodSpec } from '@trimtab/machinery';
import type { Pod } from '../pod/api.js';

/** Where pods find names. `node` is the text of the node's own resolv.conf. */
export interface DnsFacts {
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  readonly nodeResolvConf: string;
}

const MAX_NAMESERVERS = 3;
const MAX_SEARCHES = 32;
const MAX_SEARCH_CHARACTERS = 2_048;
/** Of one of them: some resolvers end their program over a longer one. */
const MAX_SEARCH_LENGTH = 253;
const MAX_HOSTNAME = 63;

/** The name the pod's containers call themselves. */
export function hostnameOf(pod: Pod, clusterDomain: string): string {
  const { spec, metadata } = pod;
  if (spec.hostnameOverride) return spec.hostnameOverride;
  const name = (spec.hostname ?? metadata.name ?? '').slice(0, MAX_HOSTNAME).replace(/[-.]+$/, '');
  return spec.setHostnameAsFQDN && spec.subdomain ? fqdn(pod, name, clusterDomain) : name;
}

const fqdn = (pod: Pod, name: string, domain: string): string =>
  `${name}.${pod.spec.subdomain}.${pod.metadata.namespace}.svc.${domain}`;

/** `/etc/hosts` of a pod with a network of its own: loopback, itself, and its hostAliases. */
export function hostsFile(pod: Pod, podIPs: readonly string[], clusterDomain: string): string {
  const name = hostnameOf(pod, clusterDomain);
  const short = (pod.spec.hostname ?? pod.metadata.name ?? '').slice(0, MAX_HOSTNAME);
  const names = pod.spec.subdomain ? `${fqdn(pod, short, clusterDomain)}\t${short}` : name;
  return [
    '# Kubernetes-managed hosts file.',
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::\tip6-localnet',
    'fe00::\tip6-mcastprefix',
    'fe00::1\tip6-allnodes',
    'fe00::2\tip6-allrouters',
    ...podIPs.map((ip) => `${ip}\t${names}`),
    ...aliasLines(pod.spec),
    '',
  ].join('\n');
}

/** A hostNetwork pod sees the node's file, with its hostAliases below. */
export function hostNetworkHostsFile(pod: Pod, nodeHosts: string): string {
  return ['# Kubernetes-managed hosts file (host network).', nodeHosts.trimEnd(), ...aliasLines(pod.spec), ''].join(
    '\n',
  );
}

function aliasLines(spec: PodSpec): readonly string[] {
  const aliases = spec.hostAliases ?? [];
  if (aliases.length === 0) return [];
  return ['', '# Entries added by HostAliases.', ...aliases.map((a) => `${a.ip}\t${(a.hostnames ?? []).join('\t')}`)];
}

interface Resolver {
  readonly nameservers: readonly string[];
  readonly searches: readonly string[];
  readonly options: readonly string[];
}

/** A file that is written, and in the kubelet's words what of the pod's wishes is not in it. */
export interface ResolverFile {
  readonly text: string;
  readonly warnings: readonly string[];
}

/** `/etc/resolv.conf` by dnsPolicy, with dnsConfig merged and the limits kept that Kubernetes sets. */
export function resolverFile(pod: Pod, dns: DnsFacts): ResolverFile {
  const wanted = merged(pod.spec, baseResolver(pod, dns));
  const searches = fittingSearches(wanted.searches);
  const nameservers = wanted.nameservers.slice(0, MAX_NAMESERVERS);
  const omitted = (what: string, some: string, line: string, kept: readonly string[]) =>
    `${what} limits were exceeded, some ${some} have been omitted, the applied ${line} is: ${kept.join(' ')}`;
  return {
    text: [
      ...(searches.length > 0 ? [`search ${searches.join(' ')}`] : []),
      ...nameservers.map((server) => `nameserver ${server}`),
      ...(wanted.options.length > 0 ? [`options ${wanted.options.join(' ')}`] : []),
      '',
    ].join('\n'),
    warnings: [
      ...(searches.length < wanted.searches.length
        ? [omitted('Search Line', 'search paths', 'search line', searches)]
        : []),
      ...(nameservers.length < wanted.nameservers.length
        ? [omitted('Nameserver', 'nameservers', 'nameserver line', nameservers)]
        : []),
    ],
  };
}

/** Names too long for a resolver are left out; of too many the last ones, so that the order of those that stay is theirs. */
function fittingSearches(searches: readonly string[]): readonly string[] {
  const kept = searches.slice(0, MAX_SEARCHES).filter((search) => search.length <= MAX_SEARCH_LENGTH);
  while (kept.join(' ').length > MAX_SEARCH_CHARACTERS) kept.pop();
  return kept;
}

function baseResolver(pod: Pod, dns: DnsFacts): Resolver {
  const { spec, metadata } = pod;
  const policy = spec.dnsPolicy ?? 'ClusterFirst';
  if (policy === 'None') return { nameservers: [], searches: [], options: [] };
  const node = parseResolvConf(dns.nodeResolvConf);
  const cluster = policy === 'ClusterFirstWithHostNet' || (policy === 'ClusterFirst' && !spec.hostNetwork);
  if (!cluster || dns.clusterDns.length === 0) return node;
  const domain = dns.clusterDomain;
  const own = [`${metadata.namespace}.svc.${domain}`, `svc.${domain}`, domain];
  return {
    nameservers: dns.clusterDns,
    searches: [...own, ...node.searches.filter((s) => !own.includes(s))],
    options: ['ndots:5'],
  };
}

function merged(spec: PodSpec, base: Resolver): Resolver {
  const { nameservers = [], searches = [], options = [] } = spec.dnsConfig ?? {};
  const added = options.map((o) => (o.value ? `${o.name}:${o.value}` : (o.name ?? '')));
  const replaced = new Set(options.map((o) => o.name));
  return {
    nameservers: [...new Set([...base.nameservers, ...nameservers])],
    searches: [...new Set([...base.searches, ...searches])],
    options: [...base.options.filter((o) => !replaced.has(o.split(':')[0])), ...added],
  };
}

export function parseResolvConf(text: string): Resolver {
  const nameservers: string[] = [];
  const options: string[] = [];
  let searches: readonly string[] = [];
  for (const line of text.split('\n')) {
    const [keyword, ...rest] = line.trim().split(/\s+/);
    if (keyword === 'nameserver' && rest[0]) nameservers.push(rest[0]);
    // The last search or domain line wins, as in the C library.
    if (keyword === 'search') searches = rest.filter((s) => s !== '.');
    if (keyword === 'domain') searches = rest.slice(0, 1);
    if (keyword === 'options') options.push(...rest);
  }
  return { nameservers, searches, options };
}
