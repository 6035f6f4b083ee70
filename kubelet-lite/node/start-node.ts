import type { Client } from '@trimtab/client';
import type { Clock, Logger, Random } from '@trimtab/machinery';
import type { ContainerFiles } from '../container/container-files.js';
import { imageCredentials } from '../container/image-credentials.js';
import { type BackOff, DEFAULT_RESTART_BACK_OFF, KUBERNETES_BACK_OFF } from '../container/restart.js';
import type { Pressure } from '../eviction/decide.js';
import { parseThresholds, type Threshold } from '../eviction/thresholds.js';
import type { ImageStore } from '../images/image-store.js';
import type { CredentialEntries } from '../images/registry/credentials.js';
import type { PodContextDeps } from '../pod/pod-context.js';
import { PodManager } from '../pod/pod-manager.js';
import type { Prober } from '../probes/prober.js';
import type { PodRuntime } from '../runtime/runtime.js';
import type { VolumeManager } from '../volumes/volume-manager.js';
import type { EventRecorder } from './event-recorder.js';
import type { MachineInfo } from './machine-info.js';
import { keepLease } from './node-lease.js';
import { NodeReporter } from './node-reporter.js';
import { type NodeFacts, nodeAllocatable, type Reserved } from './node-status.js';
import type { PodNetwork } from './pod-network.js';
import type { PodSource } from './pod-source.js';

export interface NodeOptions {
  readonly client: Client;
  readonly runtime: PodRuntime;
  readonly network: PodNetwork;
  readonly images: ImageStore;
  /** What the node itself may show to registries, after pods' own pull secrets; asked at each pull. */
  readonly registryCredentials?: (image: string) => Promise<readonly CredentialEntries[]>;
  readonly nodeName: string;
  readonly nodeIP: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly taints?: readonly { readonly key: string; readonly value?: string; readonly effect: string }[];
  readonly podCIDR?: string;
  readonly machine?: MachineInfo;
  readonly maxPods?: number;
  readonly reserved?: Reserved;
  /** When pods are evicted; default Kubernetes' own hard thresholds. */
  readonly thresholds?: readonly Threshold[];
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
  /** Why no pod can be run now, beyond what the network says. */
  readonly notReady?: () => string | undefined;
  /** When the lease is renewed, where many nodes of one process are not to do so each for itself. */
  readonly lease?: { readonly clock: Clock; readonly firstRenewMs: number };
}

export interface RunningNode {
  readonly pods: PodManager;
  /** Under these pressures from now on: told to the scheduler, and at the door to pods that would make it worse. */
  pressed(pressures: readonly Pressure[]): void;
  /** {@link NodeParts.notReady} says something else now. Resolves when the API knows. */
  readinessChanged(): Promise<void>;
  /** Leaves pods running; the next start adopts them. */
  stop(): Promise<void>;
}

const MAX_PODS = 250;
const KUBELET_PORT = 10_250;
const VERSION = 'v1.33.0+trimtab';

export function nodeFacts(options: NodeOptions, machine: MachineInfo): NodeFacts {
  return {
    nodeName: options.nodeName,
    nodeIP: options.nodeIP,
    machine,
    maxPods: options.maxPods ?? MAX_PODS,
    reserved: options.reserved ?? { milliCPU: 0, memoryBytes: 0 },
    thresholds: options.thresholds ?? parseThresholds({}),
    version: options.version ?? VERSION,
    kubeletPort: KUBELET_PORT,
  };
}

/** Registers the node, adopts what runs, and follows the pods bound to it from then on. */
export async function startNode(options: NodeOptions, parts: NodeParts): Promise<RunningNode> {
  const { client, clock, logger, nodeName } = options;
  const facts = nodeFacts(options, parts.machine);
  const labels = {
    'kubernetes.io/hostname': nodeName,
    'kubernetes.io/os': 'linux',
    'kubernetes.io/arch': parts.machine.architecture,
    ...options.labels,
  };
  const deps: PodContextDeps = {
    ...options,
    ...parts,
    imageCredentials: imageCredentials({
      client,
      logger,
      ...(options.registryCredentials ? { node: options.registryCredentials } : {}),
    }),
    restartBackOff: options.restartBackOff ?? DEFAULT_RESTART_BACK_OFF,
    pullBackOff: options.pullBackOff ?? KUBERNETES_BACK_OFF,
  };
  let pressures: readonly Pressure[] = [];
  const allocatable = nodeAllocatable(facts);
  const pods = new PodManager(deps, parts.pods, () => ({
    name: nodeName,
    allocatable,
    labels,
    pressures,
    shuttingDown: parts.notReady?.() !== undefined,
  }));
  const reporter = new NodeReporter({ ...options, ...parts, facts, labels });
  await Promise.all([reporter.register(), pods.start()]);
  const stopLease = keepLease({ client, clock, logger, nodeName, nodeUid: () => reporter.uid, ...parts.lease });
  return {
    pods,
    pressed: (now) => {
      pressures = now;
      reporter.pressed(now);
    },
    readinessChanged: () => reporter.readinessChanged(),
    stop: async () => {
      stopLease();
      reporter.stop();
      await pods.stop();
    },
  };
}
