import { type Container, matchesNodeAffinity, type PodSpec } from '@trimtab/machinery';
import { closedTo } from '../eviction/admit.js';
import type { Pressure } from '../eviction/decide.js';
import type { Pod } from './api.js';
import type { Beside } from './held.js';
import type { Verdict } from './machine.js';
import { containersOf } from './plan.js';
import { amountOf, podRequest } from './qos.js';

/** What the node has to give and what it is. Amounts as Kubernetes quantities. */
export interface NodeCapacity {
  readonly name?: string;
  readonly allocatable: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /** Node conditions that are true and keep pods out. */
  readonly pressures?: readonly Pressure[];
  /** The machine is about to go. */
  readonly shuttingDown?: boolean;
}

/** Sysctls that are namespaced and cannot harm other pods (Kubernetes' safe set). */
export const SAFE_SYSCTLS: ReadonlySet<string> = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_wmem',
]);

/** Why this node will not run the pod, or undefined. Pure. Reasons are the kubelet's where it has one. */
export function admit(pod: Pod, node: NodeCapacity, others: Beside): Verdict | undefined {
  const refused =
    closedTo(pod, node) ?? unsupported(pod.spec) ?? selectorMismatch(pod, node) ?? portConflict(pod, others);
  const verdict = refused ?? shortage(pod.spec, node, others);
  return verdict && { ...verdict, message: `Pod was rejected: ${verdict.message}` };
}

function unsupported(spec: PodSpec): Verdict | undefined {
  if (spec.os?.name && spec.os.name !== 'linux') {
    return {
      reason: 'PodOSNotSupported',
      message: `Failed to admit pod as the OS field doesn't match node OS: spec.os.name is "${spec.os.name}"`,
    };
  }
  const sysctl = spec.securityContext?.sysctls?.find(({ name }) => !SAFE_SYSCTLS.has(name.replaceAll('/', '.')));
  if (sysctl) return { reason: 'SysctlForbidden', message: `forbidden sysctl: "${sysctl.name}" not allowlisted` };
  const armour = [spec.securityContext, ...containersOf(spec).map((c) => c.securityContext)];
  if (armour.some((context) => (context?.appArmorProfile?.type ?? 'Unconfined') !== 'Unconfined')) {
    return { reason: 'AppArmor', message: 'Cannot enforce AppArmor: AppArmor is not enabled on the host' };
  }
  const field = unsupportedPodField(spec) ?? unsupportedContainerField(spec);
  return field ? { reason: 'UnsupportedField', message: `this node cannot honour ${field}` } : undefined;
}

function unsupportedPodField(spec: PodSpec): string | undefined {
  if (spec.resourceClaims?.length) return 'spec.resourceClaims: there is no dynamic resource driver';
  return unsupportedProfile('spec.securityContext', spec.securityContext);
}

function unsupportedContainerField(spec: PodSpec): string | undefined {
  for (const c of containersOf(spec)) {
    const at = `container "${c.name}"`;
    const found = unsupportedIn(c);
    if (found) return `${at} ${found}`;
  }
  return undefined;
}

function unsupportedIn(c: Container): string | undefined {
  if (c.volumeDevices?.length) return 'volumeDevices: block volumes are not offered';
  if (c.resources?.claims?.length) return 'resources.claims';
  if (c.lifecycle?.postStart?.tcpSocket || c.lifecycle?.preStop?.tcpSocket)
    return 'lifecycle tcpSocket: hooks are exec, httpGet or sleep';
  return unsupportedProfile('securityContext', c.securityContext);
}

function unsupportedProfile(
  at: string,
  context: PodSpec['securityContext'] | Container['securityContext'],
): string | undefined {
  if (context?.windowsOptions) return `${at}.windowsOptions on Linux`;
  if (Object.keys(context?.seLinuxOptions ?? {}).length > 0) return `${at}.seLinuxOptions: SELinux is not applied here`;
  return undefined;
}

function selectorMismatch(pod: Pod, { name = '', labels }: NodeCapacity): Verdict | undefined {
  if (matchesNodeAffinity(pod, { metadata: { name, labels } })) return undefined;
  return {
    reason: 'NodeAffinity',
    message: "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
  };
}

function hostPorts(spec: PodSpec): readonly string[] {
  return containersOf(spec).flatMap((c) =>
    (c.ports ?? []).flatMap((p) => {
      const port = p.hostPort || (spec.hostNetwork ? p.containerPort : 0);
      return port ? [`${p.protocol ?? 'TCP'}/${port}/${p.hostIP ?? '0.0.0.0'}`] : [];
    }),
  );
}

function portConflict(pod: Pod, others: Beside): Verdict | undefined {
  const wanted = hostPorts(pod.spec);
  if (wanted.length === 0) return undefined;
  const taken = others.specs().flatMap(hostPorts);
  const clash = (a: string, b: string): boolean => {
    const [protocolA, portA, ipA] = a.split('/');
    const [protocolB, portB, ipB] = b.split('/');
    return protocolA === protocolB && portA === portB && (ipA === ipB || ipA === '0.0.0.0' || ipB === '0.0.0.0');
  };
  return wanted.some((a) => taken.some((b) => clash(a, b)))
    ? {
        reason: 'NodePorts',
        message: "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
      }
    : undefined;
}

function shortage(spec: PodSpec, node: NodeCapacity, others: Beside): Verdict | undefined {
  const pods = Number(node.allocatable.pods ?? Number.POSITIVE_INFINITY);
  if (others.count + 1 > pods) return short('pods', 1, others.count, pods);
  return shortOf(spec, node, others);
}

/** What the node has to give of a resource, in the units of `podRequest`; undefined where it does not say. */
export function capacityOf(node: NodeCapacity, resource: string): number | undefined {
  const text = node.allocatable[resource];
  if (text === undefined) return undefined;
  return amountOf(text, resource);
}

/** CPU, memory, storage or huge pages that the pod asks for and the others have left too little of. */
export function shortOf(spec: PodSpec, node: NodeCapacity, others: Beside): Verdict | undefined {
  const counted = Object.keys(node.allocatable).filter((name) => COUNTED.test(name));
  for (const resource of ['cpu', 'memory', ...counted]) {
    const capacity = capacityOf(node, resource);
    const requested = podRequest(spec, resource);
    if (capacity === undefined || requested === 0) continue;
    const used = others.requested(resource);
    if (used + requested > capacity) return short(resource, requested, used, capacity);
  }
  return undefined;
}

const COUNTED = /^(ephemeral-storage$|hugepages-)/;

function short(resource: string, requested: number, used: number, capacity: number): Verdict {
  return {
    reason: `OutOf${resource}`,
    message: `Node didn't have enough resource: ${resource}, requested: ${requested}, used: ${used}, capacity: ${capacity}`,
  };
}
