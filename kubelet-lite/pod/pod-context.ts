import type { Client } from '@trimtab/client';
import type { Clock, Logger, Random } from '@trimtab/machinery';
import type { ContainerFiles } from '../container/container-files.js';
import type { ImageCredentials } from '../container/image-credentials.js';
import type { BackOff } from '../container/restart.js';
import type { ImageStore } from '../images/image-store.js';
import type { EventRecorder, EventSubject } from '../node/event-recorder.js';
import type { PodNetwork } from '../node/pod-network.js';
import type { Prober } from '../probes/prober.js';
import type { PodRuntime } from '../runtime/runtime.js';
import type { VolumeManager } from '../volumes/volume-manager.js';
import type { ResizeRefusal } from './allocation.js';
import type { Pod } from './api.js';

/** What every pod's worker is handed: the node's services, and time. */
export interface PodContextDeps {
  readonly client: Client;
  readonly runtime: PodRuntime;
  readonly network: PodNetwork;
  readonly images: ImageStore;
  readonly imageCredentials?: ImageCredentials;
  readonly volumes: VolumeManager;
  readonly files: ContainerFiles;
  readonly prober: Prober;
  readonly recorder: EventRecorder;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly nodeName: string;
  readonly nodeIP: string;
  readonly restartBackOff: BackOff;
  readonly pullBackOff: BackOff;
}

/** The pods beside this one. */
export interface PodNeighbourhood {
  gone(uid: string): void;
  /** The node has set something else aside for this one. */
  allocated(): void;
  /** Resources have been given back. */
  freed(): void;
  /** Whether the node has room for the pod as it now wants to be. */
  refusal(desired: Pod): ResizeRefusal | undefined;
}

export function podSubject(pod: Pod, container?: string): EventSubject {
  const { spec } = pod;
  const path = spec.initContainers?.some((c) => c.name === container)
    ? 'initContainers'
    : spec.ephemeralContainers?.some((c) => c.name === container)
      ? 'ephemeralContainers'
      : 'containers';
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    namespace: pod.metadata.namespace,
    name: pod.metadata.name ?? '',
    uid: pod.metadata.uid,
    ...(container ? { fieldPath: `spec.${path}{${container}}` } : {}),
  };
}
