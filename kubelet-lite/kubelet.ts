import type { Client } from '@trimtab/client';
import type { Clock, Logger, Random } from '@trimtab/machinery';
import type { ContainerFiles } from './container/container-files.js';
import { type BackOff, DEFAULT_RESTART_BACK_OFF, KUBERNETES_BACK_OFF } from './container/restart.js';
import type { ImageStore } from './images/image-store.js';
import type { EventRecorder } from './node/event-recorder.js';
import type { MachineInfo } from './node/machine-info.js';
import { keepLease } from './node/node-lease.js';
import { NodeReporter } from './node/node-reporter.js';
import { type NodeFacts, nodeAllocatable, type Reserved } from './node/node-status.js';
import type { PodNetwork } from './node/pod-network.js';
import type { PodSource } from './node/pod-source.js';
import type { PodContextDeps } from './pod/pod-context.js';
import { PodManager } from './pod/pod-manager.js';
import type { Prober } from './probes/prober.js';
import type { PodRuntime } from './runtime/runtime.js';
import type { VolumeManager } from './volumes/volume-manager.js';

export interface KubeletOptions {
  readonly client: Client;
  readonly runtime: PodRuntime;
  readonly network: PodNetwork;
  readonly images: ImageStore;
  readonly nodeName: string;
  readonly nodeIP: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly labels?: Readonly<Record<string, string>>;
  readonly taints?: readonly { readonly key: string; readonly value?: string; readonly effect: string }[];
  readonly podCIDR?: string;
  readonly machine?: MachineInfo;
  readonly maxPods?: number;
  readonly reserved?: Reserved;
  /** Shown as `kubeletVersion`. */
  readonly version?: string;
  readonly restartBackOff?: BackOff;
  readonly pullBackOff?: BackOff;
}

/** What differs between a real node and a simulated one. */
export interface NodeParts {
  readonly machine: MachineInfo;
  readonly pods: PodSource;
  readonly volumes: VolumeManager;
  readonly files: ContainerFiles;
  readonly prober: Prober;
  readonly recorder: EventRecorder;
}

export interface Node {
  readonly pods: PodManager;
  /** Leaves pods running; the next start adopts them. */
  stop(): Promise<void>;
}

const MAX_PODS = 250;
const VERSION = 'v1.33.0+trimtab';

/** Registers the node, adopts what runs, and follows the pods bound to it from then on. */
export async function startNode(options: KubeletOptions, parts: NodeParts): Promise<Node> {
  const { client, clock, logger, nodeName, nodeIP } = options;
  const facts: NodeFacts = {
    nodeName,
    nodeIP,
    machine: parts.machine,
    maxPods: options.maxPods ?? MAX_PODS,
    reserved: options.reserved ?? { milliCPU: 0, memoryBytes: 0 },
    version: options.version ?? VERSION,
    kubeletPort: 10250,
  };
  const labels = {
    'kubernetes.io/hostname': nodeName,
    'kubernetes.io/os': 'linux',
    'kubernetes.io/arch': parts.machine.architecture,
    ...options.labels,
  };
  const deps: PodContextDeps = {
    ...options,
    ...parts,
    restartBackOff: options.restartBackOff ?? DEFAULT_RESTART_BACK_OFF,
    pullBackOff: options.pullBackOff ?? KUBERNETES_BACK_OFF,
  };
  const pods = new PodManager(deps, parts.pods, () => ({ allocatable: nodeAllocatable(facts), labels }));
  const reporter = new NodeReporter({ ...options, recorder: parts.recorder, facts, labels });
  await Promise.all([reporter.register(), pods.start()]);
  const stopLease = keepLease({ client, clock, logger, nodeName, nodeUid: () => reporter.uid });
  return {
    pods,
    stop: async () => {
      stopLease();
      reporter.stop();
      await pods.stop();
    },
  };
}
