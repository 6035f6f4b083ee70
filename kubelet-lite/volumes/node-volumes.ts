import type { Client, Informer } from '@trimtab/client';
import type { Clock, Logger, PersistentVolume, Random } from '@trimtab/machinery';
import type { DownwardFacts } from '../container/downward.js';
import { imageCredentials } from '../container/image-credentials.js';
import type { PodLayout } from '../container/pod-layout.js';
import type { UserNamespaces } from '../container/user-namespaces.js';
import type { ImageStore } from '../images/image-store.js';
import type { CredentialEntries } from '../images/registry/credentials.js';
import type { EventRecorder } from '../node/event-recorder.js';
import { type Pod, uidOf } from '../pod/api.js';
import type { PodManager } from '../pod/pod-manager.js';
import type { VolumeMounts } from '../runtime/volume-mounts.js';
import { DirectoryVolumes } from './directory-volumes.js';
import { ImageVolumes } from './image-volumes.js';
import { LocalVolumeRemover } from './local-volume-remover.js';
import { ObjectTracker } from './object-tracker.js';
import { PersistentVolumeMounter } from './persistent-volumes.js';
import { diskReader, StorageWatch } from './storage-watch.js';

export interface NodeVolumesOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly nodeName: string;
  readonly layout: PodLayout;
  readonly userNamespaces: UserNamespaces;
  /** Absolute. */
  readonly volumesDir: string;
  readonly images: ImageStore;
  /** What the node itself may show to registries. */
  readonly registryCredentials?: (image: string) => Promise<readonly CredentialEntries[]>;
  readonly recorder: EventRecorder;
  readonly mounts?: VolumeMounts;
  readonly downward: (pod: Pod) => DownwardFacts;
}

/** All about volumes on a node. */
export interface NodeVolumes {
  readonly volumes: DirectoryVolumes;
  readonly tracker: ObjectTracker;
  /** From now on limits of local storage are kept, and what is in deleted volumes of this node is removed. */
  follow(pods: Followed<Pod>, persistent: Informer<PersistentVolume>, running: PodManager): void;
  stop(): void;
}

interface Followed<T> {
  addHandler(handler: (change: { readonly type: string; readonly object: T }) => void): unknown;
}

/** An evicted pod has this long: its room is needed (kubelet: immediateEvictionGracePeriodSeconds). */
const EVICTION_GRACE_MS = 1_000;

export function nodeVolumes(options: NodeVolumesOptions): NodeVolumes {
  const { client, clock, random, logger, nodeName, layout, volumesDir, mounts } = options;
  const { podsDir, memoryDir } = layout;
  const mounting = mounts ? { mounts } : {};
  const tracker = new ObjectTracker({ client, clock, random, logger });
  const persistent = new PersistentVolumeMounter({ client, nodeName, volumesDir, podsDir });
  const volumes = new DirectoryVolumes({
    ...options,
    ...mounting,
    tracker,
    podsDir,
    ...(memoryDir ? { memoryDir } : {}),
    persistent,
    images: new ImageVolumes({
      ...options,
      ...mounting,
      podsDir,
      idMaps: (pod) => options.userNamespaces.ofPod(pod),
      credentials: imageCredentials({
        client,
        logger,
        ...(options.registryCredentials ? { node: options.registryCredentials } : {}),
      }),
    }),
  });
  const stops: (() => void)[] = [];
  return {
    volumes,
    tracker,
    follow: (pods, objects, running) => {
      const watch = new StorageWatch({ clock, logger, layout, volumes, disk: diskReader, ...ofRunning(running) });
      pods.addHandler(({ type, object }) => {
        if (type !== 'deleted') watch.notice(object);
      });
      const remover = new LocalVolumeRemover({
        client,
        clock,
        logger,
        volumes: objects,
        isHere: (hostname) => hostname === nodeName,
        discard: (volume) => persistent.discard(volume),
      });
      remover.start();
      stops.push(
        () => watch.stop(),
        () => remover.stop(),
      );
    },
    stop: () => {
      for (const stop of stops) stop();
      volumes.stop();
      tracker.stop();
    },
  };
}

function ofRunning(running: PodManager) {
  return {
    pods: () =>
      running
        .workers()
        .filter((worker) => worker.active)
        .map((worker) => ({
          pod: worker.pod,
          attempt: (container: string) => worker.container(container)?.context.attempt ?? 0,
        })),
    evict: (pod: Pod, message: string) =>
      running.worker(uidOf(pod))?.fail('Warning', { reason: 'Evicted', message }, EVICTION_GRACE_MS),
  };
}
