import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { CliError } from '../errors.js';
import { type Paths, pathsOf } from '../paths.js';
import { type RawSecurityOptions, readSecurity, type SecurityOptions } from './security-options.js';
import type { RawStoreOptions } from './store-options.js';

/** `up`'s options as the command line gives them. */
export interface RawUpOptions extends Partial<RawSecurityOptions>, RawStoreOptions {
  readonly dataDir: string;
  readonly port: number;
  readonly bind: string;
  readonly kubeconfig?: string;
  readonly nodeName?: string;
  readonly podCidr: string;
  readonly serviceCidr: string;
  readonly dnsDomain: string;
  readonly node: boolean;
  readonly simulatedNodes: number;
  /** In minutes. */
  readonly eventTtl?: number;
  readonly terminatedPodGcThreshold?: number;
  readonly chart?: string;
  readonly set: readonly string[];
  readonly logLevel: string;
  readonly output: 'text' | 'json';
}

/** Checked, and with everything spelled out. */
export interface UpOptions
  extends Omit<RawUpOptions, 'kubeconfig' | 'nodeName' | keyof RawSecurityOptions>,
    SecurityOptions {
  readonly paths: Paths;
  readonly kubeconfig: string;
  readonly nodeName: string;
  /** The first address of the service range: the API server's own Service. */
  readonly kubernetesIP: string;
  /** The tenth: cluster DNS. */
  readonly dnsIP: string;
  /** The pods' gateway: the node, as its pods see it. */
  readonly podGateway: string;
}

const DOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** Throws CliError naming the option. */
export function checkOptions(raw: RawUpOptions, isRoot: boolean): UpOptions {
  const paths = pathsOf(resolve(raw.dataDir));
  const nodeName = (raw.nodeName ?? hostname()).toLowerCase();
  if (!DOMAIN.test(nodeName) || nodeName.length > 253)
    throw new CliError(`--node-name ${nodeName}: lower-case letters, digits, '-' and '.' make a node's name`);
  if (!DOMAIN.test(raw.dnsDomain)) throw new CliError(`--dns-domain ${raw.dnsDomain} is not a domain name`);
  if (isIP(raw.bind) === 0) throw new CliError(`--bind ${raw.bind} is not an IP address; 0.0.0.0 is all of IPv4`);
  const service = parseCidr('--service-cidr', raw.serviceCidr);
  const pods = parseCidr('--pod-cidr', raw.podCidr);
  if (service.bits > 28) throw new CliError(`--service-cidr ${raw.serviceCidr}: a /28 is the smallest that works`);
  if (pods.bits > 29) throw new CliError(`--pod-cidr ${raw.podCidr}: a /29 is the smallest that works`);
  const narrow = Math.min(service.bits, pods.bits);
  if (service.base >>> (32 - narrow) === pods.base >>> (32 - narrow))
    throw new CliError(`--service-cidr ${raw.serviceCidr} and --pod-cidr ${raw.podCidr} overlap`);
  if (raw.node && !isRoot)
    throw new CliError(
      [
        'running pods needs root: namespaces, mounts, cgroups and the pod network cannot be made without it.',
        'What works without: API server, scheduler, controllers, and nodes whose pods run nothing:',
        '  trimtab up --no-node --simulated-nodes 1',
      ].join('\n'),
    );
  return {
    ...raw,
    ...readSecurity(raw),
    paths,
    kubeconfig: raw.kubeconfig === undefined ? paths.kubeconfig : resolve(raw.kubeconfig),
    nodeName,
    kubernetesIP: formatAddress(service.base + 1),
    dnsIP: formatAddress(service.base + 10),
    podGateway: formatAddress(pods.base + 1),
  };
}

function parseCidr(option: string, text: string): { base: number; bits: number } {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(text);
  const [bits = 33, ...bytes] = match ? [Number(match[5]), ...match.slice(1, 5).map(Number)] : [];
  if (bits < 8 || bits > 32 || bytes.some((byte) => byte > 255))
    throw new CliError(`${option} ${text} is not an IPv4 range; one looks like 10.96.0.0/16`);
  const address = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  return { base: (address - (address % 2 ** (32 - bits))) >>> 0, bits };
}

const formatAddress = (address: number): string => [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
