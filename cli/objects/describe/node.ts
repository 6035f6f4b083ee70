import {
  addQuantities,
  combineAmounts,
  type Event,
  formatQuantity,
  type Lease,
  type Node,
  type Pod,
  parseAmounts,
  podRequests,
  quantityNumber,
  type ResourceAmounts,
  sinceText,
} from '@trimtab/machinery';
import { type Block, type Entry, optional, timeText, value } from './block.js';
import { eventsEntry } from './events.js';
import { annotations, created, deletion, identity, labels } from './metadata.js';

const ROLE = 'node-role.kubernetes.io/';

export interface NodeSurroundings {
  /** Those bound to the node. */
  readonly pods: readonly Pod[];
  readonly lease: Lease | undefined;
  readonly events: readonly Event[];
}

export function describeNode(node: Node, { pods, lease, events }: NodeSurroundings, now: number): Block {
  const { metadata, spec = {}, status = {} } = node;
  const roles = Object.keys(metadata.labels ?? {}).filter((key) => key.startsWith(ROLE));
  const running = pods.filter(({ status: of }) => of?.phase !== 'Succeeded' && of?.phase !== 'Failed');
  return [
    ...identity(node),
    value('Roles', roles.map((key) => key.slice(ROLE.length)).join(',') || '<none>'),
    ...labels(node),
    ...annotations(node),
    ...created(node),
    ...deletion(node),
    value(
      'Taints',
      (spec.taints ?? []).map(({ key, value: text, effect }) => `${key}${text ? `=${text}` : ''}:${effect}`),
    ),
    value('Unschedulable', Boolean(spec.unschedulable)),
    leaseEntry(lease),
    {
      label: 'Conditions',
      table: {
        header: ['Type', 'Status', 'LastHeartbeatTime', 'LastTransitionTime', 'Reason', 'Message'],
        rows: (status.conditions ?? []).map((condition) => [
          condition.type,
          condition.status,
          timeText(condition.lastHeartbeatTime),
          timeText(condition.lastTransitionTime),
          condition.reason ?? '',
          condition.message ?? '',
        ]),
      },
    },
    { label: 'Addresses', inner: (status.addresses ?? []).map(({ type, address }) => value(type, address)) },
    amountsEntry('Capacity', status.capacity),
    amountsEntry('Allocatable', status.allocatable),
    systemEntry(node),
    ...optional('PodCIDR', spec.podCIDR),
    ...(spec.podCIDRs ? [value('PodCIDRs', spec.podCIDRs.join(','))] : []),
    podsEntry(running, status.allocatable, now),
    allocatedEntry(running, status.allocatable),
    eventsEntry(events, now),
  ];
}

function leaseEntry(lease: Lease | undefined): Entry {
  const { holderIdentity, acquireTime, renewTime } = lease?.spec ?? {};
  if (!lease) return value('Lease', '<none>');
  return {
    label: 'Lease',
    inner: [
      value('HolderIdentity', holderIdentity ?? '<unset>'),
      value('AcquireTime', timeText(acquireTime)),
      value('RenewTime', timeText(renewTime)),
    ],
  };
}

const amountsEntry = (label: string, amounts: Readonly<Record<string, string>> | undefined): Entry => ({
  label,
  inner: Object.entries(amounts ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, amount]) => value(name, amount)),
});

/** `machineID` becomes `Machine ID`. */
function systemEntry({ status }: Node): Entry {
  const facts = Object.entries(status?.nodeInfo ?? {}).filter(([, fact]) => typeof fact === 'string');
  const label = (name: string): string =>
    (name.charAt(0).toUpperCase() + name.slice(1)).replace(/([a-z])([A-Z])/g, '$1 $2');
  return { label: 'System Info', inner: facts.map(([name, fact]) => value(label(name), String(fact))) };
}

const RESOURCES = ['cpu', 'memory'] as const;

const limitsOf = ({ spec }: Pod): ResourceAmounts =>
  (spec?.containers ?? []).reduce<ResourceAmounts>(
    (sum, { resources }) => combineAmounts(sum, parseAmounts(resources?.limits), addQuantities),
    new Map(),
  );

/** `250m (12%)` of what the node has to give. */
function shareText(
  amounts: ResourceAmounts,
  name: string,
  whole: Readonly<Record<string, string>> | undefined,
): string {
  const amount = amounts.get(name);
  const all = parseAmounts(whole).get(name);
  const text = amount ? formatQuantity(amount) : '0';
  const percent = amount && all && quantityNumber(all) > 0 ? (quantityNumber(amount) / quantityNumber(all)) * 100 : 0;
  return `${text} (${Math.trunc(percent)}%)`;
}

function podsEntry(
  pods: readonly Pod[],
  allocatable: Readonly<Record<string, string>> | undefined,
  now: number,
): Entry {
  const header = ['Namespace', 'Name', 'CPU Requests', 'CPU Limits', 'Memory Requests', 'Memory Limits', 'Age'];
  const rows = [...pods]
    .sort((a, b) => (podName(a) < podName(b) ? -1 : 1))
    .map((pod) => [
      pod.metadata.namespace ?? '',
      pod.metadata.name ?? '',
      ...RESOURCES.flatMap((name) => [
        shareText(podRequests(pod), name, allocatable),
        shareText(limitsOf(pod), name, allocatable),
      ]),
      sinceText(pod.metadata.creationTimestamp, now),
    ]);
  return { label: `Non-terminated Pods (${pods.length} in total)`, table: { header, rows } };
}

const podName = ({ metadata }: Pod): string => `${metadata.namespace}/${metadata.name}`;

function allocatedEntry(pods: readonly Pod[], allocatable: Readonly<Record<string, string>> | undefined): Entry {
  const sum = (amounts: (pod: Pod) => ResourceAmounts): ResourceAmounts =>
    pods.reduce<ResourceAmounts>((all, pod) => combineAmounts(all, amounts(pod), addQuantities), new Map());
  const requests = sum(podRequests);
  const limits = sum(limitsOf);
  const names = [...new Set([...RESOURCES, ...requests.keys(), ...limits.keys()])];
  const rows = names.map((name) => [
    name,
    shareText(requests, name, allocatable),
    shareText(limits, name, allocatable),
  ]);
  return { label: 'Allocated resources', table: { header: ['Resource', 'Requests', 'Limits'], rows } };
}
