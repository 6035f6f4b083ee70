import type { NodeCondition, NodeStatus } from '@trimtab/machinery';
import { formatQuantity, milliQuantity, quantityOf, timestamp } from '@trimtab/machinery';
import type { Pressure } from '../eviction/decide.js';
import { amountIn, type Signal, type Threshold } from '../eviction/thresholds.js';
import type { Image } from '../images/image-store.js';
import type { MachineInfo } from './machine-info.js';

/** What is kept back from pods: for the system and for the kubelet itself, together. */
export interface Reserved {
  readonly milliCPU: number;
  readonly memoryBytes: number;
  readonly diskBytes?: number;
  readonly pids?: number;
}

export interface NodeFacts {
  readonly nodeName: string;
  readonly nodeIP: string;
  readonly machine: MachineInfo;
  readonly maxPods: number;
  readonly reserved: Reserved;
  /** What is never filled: below it pods are evicted at once. */
  readonly thresholds: readonly Threshold[];
  readonly version: string;
  readonly kubeletPort: number;
}

const SHOWN_IMAGES = 50;

const bytes = (n: number): string => formatQuantity(quantityOf(Math.floor(n / 1024) * 1024, 'BinarySI'));

export function nodeCapacity({ machine, maxPods }: NodeFacts): Readonly<Record<string, string>> {
  return {
    cpu: String(machine.cpus),
    memory: bytes(machine.memoryBytes),
    'ephemeral-storage': bytes(machine.diskBytes),
    'hugepages-1Gi': '0',
    'hugepages-2Mi': '0',
    pods: String(maxPods),
  };
}

/** Capacity less what is reserved and less the hard eviction thresholds. */
export function nodeAllocatable(facts: NodeFacts): Readonly<Record<string, string>> {
  const { machine, reserved, thresholds } = facts;
  const kept = (signal: Signal, capacity: number): number => {
    const threshold = thresholds.find((t) => t.hard && t.signal === signal);
    return threshold ? amountIn(threshold.below, capacity) : 0;
  };
  const left = (capacity: number, away: number, signal: Signal) =>
    Math.max(capacity - away - kept(signal, capacity), 0);
  return {
    ...nodeCapacity(facts),
    cpu: formatQuantity(milliQuantity(Math.max(machine.cpus * 1_000 - reserved.milliCPU, 0))),
    memory: bytes(left(machine.memoryBytes, reserved.memoryBytes, 'memory.available')),
    'ephemeral-storage': bytes(left(machine.diskBytes, reserved.diskBytes ?? 0, 'nodefs.available')),
  };
}

/** `notReady`: why pods cannot be run now. Conditions keep their transition time while their status stays. */
export function nodeStatus(
  facts: NodeFacts,
  images: readonly Image[],
  notReady: string | undefined,
  pressures: readonly Pressure[],
  previous: readonly NodeCondition[],
  now: number,
): NodeStatus {
  const { machine } = facts;
  return {
    capacity: nodeCapacity(facts),
    allocatable: nodeAllocatable(facts),
    addresses: [
      { type: 'InternalIP', address: facts.nodeIP },
      { type: 'Hostname', address: facts.nodeName },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: facts.kubeletPort } },
    nodeInfo: {
      architecture: machine.architecture,
      bootID: machine.bootID,
      containerRuntimeVersion: `trimtab://${facts.version.replace(/^v/, '')}`,
      kernelVersion: machine.kernelVersion,
      kubeProxyVersion: '',
      kubeletVersion: facts.version,
      machineID: machine.machineID,
      operatingSystem: 'linux',
      osImage: machine.osImage,
      systemUUID: machine.systemUUID,
    },
    // The handler without a name is the built-in runtime.
    runtimeHandlers: [{ name: '', features: { recursiveReadOnlyMounts: true, userNamespaces: true } }],
    features: { supplementalGroupsPolicy: true },
    images: [...images]
      .sort((a, b) => b.size - a.size)
      .slice(0, SHOWN_IMAGES)
      .map((image) => ({ names: [...image.digests, ...image.tags], sizeBytes: image.size })),
    conditions: conditions(notReady, pressures).map((c) => {
      const old = previous.find((p) => p.type === c.type);
      return {
        ...c,
        lastHeartbeatTime: timestamp(now),
        lastTransitionTime: old?.status === c.status ? old.lastTransitionTime : timestamp(now),
      };
    }),
  };
}

/** Status, reason and message of a pressure, there and not there (kubernetes: pkg/kubelet/nodestatus/setters.go). */
const PRESSURES: readonly (readonly [Pressure, readonly [string, string], readonly [string, string]])[] = [
  [
    'MemoryPressure',
    ['KubeletHasInsufficientMemory', 'kubelet has insufficient memory available'],
    ['KubeletHasSufficientMemory', 'kubelet has sufficient memory available'],
  ],
  [
    'DiskPressure',
    ['KubeletHasDiskPressure', 'kubelet has disk pressure'],
    ['KubeletHasNoDiskPressure', 'kubelet has no disk pressure'],
  ],
  [
    'PIDPressure',
    ['KubeletHasInsufficientPID', 'kubelet has insufficient PID available'],
    ['KubeletHasSufficientPID', 'kubelet has sufficient PID available'],
  ],
];

function conditions(notReady: string | undefined, pressures: readonly Pressure[]): readonly NodeCondition[] {
  return [
    ...PRESSURES.map(([type, there, gone]): NodeCondition => {
      const pressed = pressures.includes(type);
      const [reason, message] = pressed ? there : gone;
      return { type, status: pressed ? 'True' : 'False', reason, message };
    }),
    notReady
      ? { type: 'Ready', status: 'False', reason: 'KubeletNotReady', message: notReady }
      : { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'kubelet is posting ready status' },
  ];
}
