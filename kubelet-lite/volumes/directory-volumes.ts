import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '@trimtab/client';
import type { Clock, Logger, Random, Volume } from '@trimtab/machinery';
import type { DownwardFacts } from '../container/downward.js';
import { type Pod, uidOf } from '../pod/api.js';
import type { VolumeMounts } from '../runtime/volume-mounts.js';
import { hugePagesOf, hugePagesOptions, makeShared, tmpfsOptions } from './empty-dir.js';
import { checkHostPath } from './host-path.js';
import type { ImageVolumes } from './image-volumes.js';
import type { ObjectTracker } from './object-tracker.js';
import { isPayloadVolume } from './payload.js';
import { PayloadVolumes } from './payload-volumes.js';
import type { PersistentVolumeMounter } from './persistent-volumes.js';
import { referencesOf } from './references.js';
import { isSecretPayload, kindOf } from './volume-kind.js';
import { VolumeError, type VolumeManager } from './volume-manager.js';

export interface DirectoryVolumesOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly tracker: ObjectTracker;
  /** Pods' volumes are at `<podsDir>/<uid>/volumes/<name>`. */
  readonly podsDir: string;
  /** A directory on a tmpfs, for what must be in memory; without one emptyDirs of medium Memory are refused. */
  readonly memoryDir?: string;
  readonly downward: (pod: Pod) => DownwardFacts;
  readonly persistent: PersistentVolumeMounter;
  readonly images: ImageVolumes;
  /** Absent: emptyDirs in memory have no size of their own, and huge pages are refused. */
  readonly mounts?: VolumeMounts;
}

interface PodVolumes {
  readonly payload: PayloadVolumes;
  /** Where mounted volumes are found, by name. */
  readonly mounted: Map<string, string>;
  /** Milliseconds since the epoch. */
  failingSince: number | undefined;
}

/** How long the kubelet waits for volumes before it says that it does. */
const MOUNT_WAIT_MS = 123_000;

/** Volumes as directories below the kubelet's root, or file systems mounted there. */
export class DirectoryVolumes implements VolumeManager {
  readonly #options: DirectoryVolumesOptions;
  readonly #pods = new Map<string, PodVolumes>();
  readonly #listeners: ((uid: string) => void)[] = [];

  constructor(options: DirectoryVolumesOptions) {
    this.#options = options;
    options.tracker.onChange((uid) => {
      this.#pods.get(uid)?.payload.refresh();
      for (const listener of this.#listeners) listener(uid);
    });
  }

  onChange(listener: (uid: string) => void): void {
    this.#listeners.push(listener);
  }

  pathOf(pod: Pod, name: string): string {
    const volume = pod.spec.volumes?.find((v) => v.name === name);
    if (!volume) throw new Error(`container mounts volume "${name}", which the pod does not have`);
    const kind = kindOf(volume);
    if (volume.hostPath) return volume.hostPath.path;
    if (kind === 'claim') return this.#options.persistent.pathOf(pod, name);
    return this.#pods.get(uidOf(pod))?.mounted.get(name) ?? this.#directoryOf(pod, volume);
  }

  async setUp(pod: Pod): Promise<void> {
    const uid = uidOf(pod);
    const volumes = pod.spec.volumes ?? [];
    const state: PodVolumes = this.#pods.get(uid) ?? {
      payload: new PayloadVolumes(this.#options, pod, (volume) => this.#directoryOf(pod, volume)),
      mounted: new Map(),
      failingSince: undefined,
    };
    this.#pods.set(uid, state);
    const followed = this.#options.tracker.follow(uid, referencesOf(pod));
    followed.catch(() => {});
    // Side by side: a pod's start waits for the last of them.
    const results = await Promise.allSettled(volumes.map((volume) => this.#mount(state, pod, volume, followed)));
    const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as VolumeError] : []));
    if (failures.length > 0) throw new AggregateError([...failures, ...this.#overdue(state, failures)]);
    // What containers' environments refer to is no volume's.
    await followed;
    state.failingSince = undefined;
    state.payload.follow();
  }

  updated(pod: Pod): void {
    this.#pods.get(uidOf(pod))?.payload.updated(pod);
  }

  async tearDown(uid: string): Promise<void> {
    const { tracker, persistent, podsDir } = this.#options;
    const state = this.#pods.get(uid);
    this.#pods.delete(uid);
    tracker.release(uid);
    persistent.forget(uid);
    await state?.payload.stop();
    // Of a pod that an earlier kubelet has set up nothing is known but what is there.
    if (!state || state.mounted.size > 0) await this.#unmountBelow((directory) => join(directory, uid));
    await fs.rm(join(podsDir, uid, 'volumes'), { recursive: true, force: true });
    // What of the pod is in memory goes with its other files, when nothing can be mounted from it any more.
  }

  async tidy(isKnown: (uid: string) => boolean): Promise<void> {
    await this.#unmountBelow((directory) => directory, isKnown);
  }

  stop(): void {
    for (const state of this.#pods.values()) void state.payload.stop();
  }

  async #mount(state: PodVolumes, pod: Pod, volume: Volume, followed: Promise<void>): Promise<void> {
    try {
      if (isPayloadVolume(volume)) await followed;
      switch (kindOf(volume)) {
        case 'hostPath':
          return await checkHostPath(volume.hostPath!.path, volume.hostPath!.type);
        case 'payload':
          return await state.payload.write(volume);
        case 'claim':
          return await this.#options.persistent.mount(pod, volume);
        case 'emptyDir':
          return await makeShared(this.#directoryOf(pod, volume), pod.spec.securityContext?.fsGroup);
        case 'memory':
          return await this.#inMemory(state, pod, volume);
        case 'hugePages':
          return await this.#hugePages(state, pod, volume);
        case 'image':
          state.mounted.set(volume.name, await this.#options.images.mount(pod, volume));
          return;
      }
    } catch (error) {
      throw new VolumeError(volume.name, error instanceof Error ? error.message : String(error));
    }
  }

  /** A pod that waits as long as the kubelet would is told of as a whole, again and again. */
  #overdue(state: PodVolumes, failures: readonly VolumeError[]): readonly Error[] {
    const now = this.#options.clock.now();
    state.failingSince ??= now;
    if (now - state.failingSince < MOUNT_WAIT_MS) return [];
    state.failingSince = now;
    const names = failures.map(({ volume }) => volume).join(' ');
    return [
      new Error(
        `Unable to attach or mount volumes: unmounted volumes=[${names}], unattached volumes=[], failed to process volumes=[]: context deadline exceeded`,
      ),
    ];
  }

  async #inMemory(state: PodVolumes, pod: Pod, volume: Volume): Promise<void> {
    const { memoryDir, mounts, downward } = this.#options;
    const directory = this.#directoryOf(pod, volume);
    if (mounts) {
      const options = tmpfsOptions(pod, volume, downward(pod).allocatable.memory ?? '0');
      await fs.mkdir(directory, { recursive: true, mode: 0o700 });
      state.mounted.set(volume.name, await mounts.mount(directory, 'tmpfs', options));
      return;
    }
    if (!memoryDir)
      throw new Error('emptyDir medium Memory needs a directory on a tmpfs, and this node was given none');
    await makeShared(directory, pod.spec.securityContext?.fsGroup, true);
  }

  async #hugePages(state: PodVolumes, pod: Pod, volume: Volume): Promise<void> {
    const options = hugePagesOptions(pod, volume);
    const size = options[0]!.slice('pagesize='.length);
    if ((await hugePagesOf(size)) === 0)
      throw new Error(`this node has set no huge pages of ${size} bytes aside (vm.nr_hugepages)`);
    const { mounts } = this.#options;
    if (!mounts) throw new Error('this node cannot mount file systems of huge pages');
    const directory = this.#directoryOf(pod, volume);
    await fs.mkdir(directory, { recursive: true, mode: 0o700 });
    state.mounted.set(volume.name, await mounts.mount(directory, 'hugetlbfs', options));
  }

  #directoryOf(pod: Pod, volume: Volume): string {
    const { memoryDir, podsDir } = this.#options;
    const inMemory = kindOf(volume) === 'memory' || isSecretPayload(volume);
    if (inMemory && memoryDir) return join(memoryDir, uidOf(pod), volume.name);
    return join(podsDir, uidOf(pod), 'volumes', volume.name);
  }

  /** Unmounts what is below the pods' directories, but for pods that are known. */
  async #unmountBelow(part: (directory: string) => string, isKnown?: (uid: string) => boolean): Promise<void> {
    const { mounts, podsDir, memoryDir } = this.#options;
    if (!mounts) return;
    for (const root of memoryDir ? [podsDir, memoryDir] : [podsDir]) {
      for (const point of await mounts.below(part(root))) {
        const uid = point.slice(root.length + 1).split('/')[0] ?? '';
        if (!isKnown?.(uid)) await mounts.unmount(point);
      }
    }
  }
}
