import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import type { LeaseTimes } from '@trimtab/framework';
import { CliError } from '../errors.js';
import { type Paths, pathsOf } from '../paths.js';
import type { RawNodeOptions } from './node-flags.js';
import { type RawSecurityOptions, readSecurity, type SecurityOptions } from './security-options.js';
import { type EtcdStorage, type RawStorageOptions, readStorage } from './storage.js';
import type { RawStoreOptions } from './store-options.js';

/** `up`'s options as the command line gives them. */
export interface RawUpOptions extends Partial<RawSecurityOptions>, RawStoreOptions, RawStorageOptions, RawNodeOptions {
  readonly dataDir: string;
  readonly port: number;
  readonly bind: string;
  readonly kubeconfig?: string;
  readonly nodeName?: string;
  readonly podCidr: string;
  readonly serviceCidr: string;
  readonly dnsDomain: string;
  readonly node: boolean;
  readonly restartBackOff?: string;
  readonly runtimeHandler?: readonly string[];
  readonly simulatedNodes: number;
  readonly simulatedLifecycle?: string;
  readonly terminatedPodGcThreshold?: number;
  readonly pkiDir?: string;
  readonly leaderElect?: 'true' | 'false';
  /** Seconds. */
  readonly leaderElectLeaseDuration?: number;
  readonly leaderElectRenewDeadline?: number;
  readonly leaderElectRetryPeriod?: number;
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
  /** Absent: the embedded store. */
  readonly etcd: EtcdStorage | undefined;
  /** Absent: this process runs controllers and scheduler in any case. */
  readonly election: LeaseTimes | undefined;
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
  const kept = pathsOf(resolve(raw.dataDir));
  const paths = raw.pkiDir === undefined ? kept : { ...kept, pki: resolve(raw.pkiDir) };
  const etcd = readStorage(raw);
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
    etcd,
    election: electionOf(raw, etcd !== undefined),
    kubeconfig: raw.kubeconfig === undefined ? paths.kubeconfig : resolve(raw.kubeconfig),
    nodeName,
    kubernetesIP: formatAddress(service.base + 1),
    dnsIP: formatAddress(service.base + 10),
    podGateway: formatAddress(pods.base + 1),
  };
}

function electionOf(raw: RawUpOptions, shared: boolean): LeaseTimes | undefined {
  if (raw.leaderElect === 'true' && !shared)
    throw new CliError('--leader-elect true: there is nobody else to elect; several servers need --storage etcd://…');
  if (raw.leaderElect === 'false' || !shared) return undefined;
  const {
    leaderElectLeaseDuration: duration = 8,
    leaderElectRenewDeadline: renew = 6,
    leaderElectRetryPeriod: retry = 1,
  } = raw;
  if (duration <= renew)
    throw new CliError(`--leader-elect-renew-deadline ${renew}s must be less than the lease’s ${duration}s`);
  if (renew <= 1.2 * retry)
    throw new CliError(
      `--leader-elect-retry-period ${retry}s must be less than a good part of the renew deadline’s ${renew}s`,
    );
  return { durationMs: duration * 1000, renewMs: renew * 1000, retryMs: retry * 1000 };
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
