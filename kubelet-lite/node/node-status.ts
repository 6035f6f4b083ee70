import type { NodeCondition, NodeStatus } from '@trimtab/machinery';
import { formatQuantity, milliQuantity, quantityOf, timestamp } from '@trimtab/machinery';
import type { Image } from '../images/image-store.js';
import type { MachineInfo } from './machine-info.js';

/** What is kept back from pods. */
export interface Reserved {
  readonly milliCPU: number;
  readonly memoryBytes: number;
}

export interface NodeFacts {
  readonly nodeName: string;
  readonly nodeIP: string;
  readonly machine: MachineInfo;
  readonly maxPods: number;
  readonly reserved: Reserved;
  readonly version: string;
  readonly kubeletPort: number;
}

/** Kubernetes keeps 100 MiB free before it evicts. */
export const EVICTION_MEMORY_BYTES = 100 * 2 ** 20;
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

/** Capacity less what is reserved and less the eviction threshold. */
export function nodeAllocatable(facts: NodeFacts): Readonly<Record<string, string>> {
  const { machine, reserved } = facts;
  return {
    ...nodeCapacity(facts),
    cpu: formatQuantity(milliQuantity(Math.max(machine.cpus * 1_000 - reserved.milliCPU, 0))),
    memory: bytes(Math.max(machine.memoryBytes - reserved.memoryBytes - EVICTION_MEMORY_BYTES, 0)),
    'ephemeral-storage': bytes(machine.diskBytes * 0.9),
  };
}

/** `notReady`: why pods cannot be run now. Conditions keep their transition time while their status stays. */
export function nodeStatus(
  facts: NodeFacts,
  images: readonly Image[],
  notReady: string | undefined,
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
    conditions: conditions(notReady).map((c) => {
      const old = previous.find((p) => p.type === c.type);
      return {
        ...c,
        lastHeartbeatTime: timestamp(now),
        lastTransitionTime: old?.status === c.status ? old.lastTransitionTime : timestamp(now),
      };
    }),
  };
}

function conditions(notReady: string | undefined): readonly NodeCondition[] {
  return [
    {
      type: 'MemoryPressure',
      status: 'False',
      reason: 'KubeletHasSufficientMemory',
      message: 'kubelet has sufficient memory available',
    },
    {
      type: 'DiskPressure',
      status: 'False',
      reason: 'KubeletHasNoDiskPressure',
      message: 'kubelet has no disk pressure',
    },
    {
      type: 'PIDPressure',
      status: 'False',
      reason: 'KubeletHasSufficientPID',
      message: 'kubelet has sufficient PID available',
    },
    notReady
      ? { type: 'Ready', status: 'False', reason: 'KubeletNotReady', message: notReady }
      : { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'kubelet is posting ready status' },
  ];
}
