import type { Container } from '@trimtab/machinery';
import type { Image } from '../images/image-store.js';
import type { SavedAllocation } from '../pod/allocation.js';
import type { Pod } from '../pod/api.js';
import type { ContainerConfig, SandboxConfig } from '../runtime/runtime.js';

/** One start of one container, as the runtime will be asked for it. */
export interface ContainerRequest {
  readonly pod: Pod;
  readonly container: Container;
  readonly attempt: number;
  readonly image: Image;
  readonly podIPs: readonly string[];
  /** The process whose PID namespace an ephemeral container joins. */
  readonly targetPid?: number;
}

/**
 * Turns pods and containers into what the runtime runs, and keeps their files below the kubelet's root: `/etc/hosts`,
 * `/etc/resolv.conf`, termination messages, logs. The simulated node has one that writes nothing.
 */
export interface ContainerFiles {
  sandbox(pod: Pod): Promise<SandboxConfig>;
  /** Rejects with {@link ContainerConfigError} when the pod asks for something that is not there. */
  prepare(request: ContainerRequest): Promise<PreparedContainer>;
  /** What the container left at its termination message path, or the end of its log, as its policy says. */
  terminationMessage(pod: Pod, container: Container, attempt: number, failed: boolean): Promise<string>;
  /** Drops logs and files of attempts before the last two. */
  forgetAttempts(pod: Pod, container: string, attempt: number): Promise<void>;
  /** Writes down what the pod is allocated; on disk when it resolves. */
  saveAllocation(pod: Pod, saved: SavedAllocation): Promise<void>;
  /** What was written down in earlier lives of the node, by UID. */
  allocations(): Promise<ReadonlyMap<string, SavedAllocation>>;
  /** The pod has ended: everything but its logs goes. */
  removePod(uid: string): Promise<void>;
  /** Removes what is left of pods that went while the node was down; `isKnown` tells by UID, at any later time, which stay. */
  tidy(isKnown: (uid: string) => boolean): Promise<void>;
  /** The pod is gone from the API. */
  removeLogs(pod: Pod): Promise<void>;
}

export interface PreparedContainer {
  readonly config: ContainerConfig;
  /** To be called once the start has succeeded or failed: closes what pinned the mount sources. */
  release(): Promise<void>;
}

/** `reason` becomes the container's waiting reason. */
export class ContainerConfigError extends Error {
  constructor(
    readonly reason: 'CreateContainerConfigError' | 'CreateContainerError',
    message: string,
  ) {
    super(message);
    this.name = 'ContainerConfigError';
  }
}

/** Annotations under which a container's identity survives in the runtime. */
export const ANNOTATION = {
  podName: 'io.trimtab.pod.name',
  podNamespace: 'io.trimtab.pod.namespace',
  podUid: 'io.trimtab.pod.uid',
  container: 'io.trimtab.container.name',
  attempt: 'io.trimtab.container.attempt',
  image: 'io.trimtab.container.image',
  imageID: 'io.trimtab.container.image-id',
  stopSignal: 'io.trimtab.container.stop-signal',
  /** The image as the pod's object names it, and the resources it was started with: what an adopter compares. */
  definedImage: 'io.trimtab.container.defined-image',
  resources: 'io.trimtab.container.resources',
  /** Whom its first process runs as: JSON of `status.containerStatuses[].user.linux`. */
  user: 'io.trimtab.container.user',
} as const;
