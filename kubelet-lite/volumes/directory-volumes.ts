import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '@trimtab/client';
import type { Clock, ConfigMap, Logger, Random, Secret, Volume } from '@trimtab/machinery';
import type { DownwardFacts } from '../container/downward.js';
import { type Pod, uidOf } from '../pod/api.js';
import { writePayload } from './atomic-writer.js';
import { claimNameOf } from './claim-volumes.js';
import { checkHostPath } from './host-path.js';
import type { ObjectTracker } from './object-tracker.js';
import { isPayloadVolume, payloadOf } from './payload.js';
import type { PersistentVolumeMounter } from './persistent-volumes.js';
import { referencesOf } from './references.js';
import { requestToken, type Token } from './tokens.js';
import { VolumeError, type VolumeManager } from './volume-manager.js';

export interface DirectoryVolumesOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly tracker: ObjectTracker;
  /** Pods' volumes are at `<podsDir>/<uid>/volumes/<name>`. */
  readonly podsDir: string;
  /** A directory on a tmpfs, for emptyDirs of medium Memory; without one they are refused. */
  readonly memoryDir?: string;
  readonly downward: (pod: Pod) => DownwardFacts;
  readonly persistent: PersistentVolumeMounter;
}

interface PodVolumes {
  pod: Pod;
  mounted: boolean;
  readonly tokens: Map<string, Token>;
  cancelRefresh: (() => void) | undefined;
  /** Writes of one pod follow one another. */
  last: Promise<void>;
  versions: number;
}

/** Volumes as directories below the kubelet's root. */
export class DirectoryVolumes implements VolumeManager {
  readonly #options: DirectoryVolumesOptions;
  readonly #pods = new Map<string, PodVolumes>();
  readonly #listeners: ((uid: string) => void)[] = [];

  constructor(options: DirectoryVolumesOptions) {
    this.#options = options;
    options.tracker.onChange((uid) => {
      this.#refresh(uid);
      for (const listener of this.#listeners) listener(uid);
    });
  }

  onChange(listener: (uid: string) => void): void {
    this.#listeners.push(listener);
  }

  pathOf(pod: Pod, name: string): string {
    const volume = pod.spec.volumes?.find((v) => v.name === name);
    if (!volume) throw new Error(`container mounts volume "${name}", which the pod does not have`);
    if (volume.hostPath) return volume.hostPath.path;
    if (claimNameOf(pod, volume)) return this.#options.persistent.pathOf(pod, name);
    if (isMemory(volume)) return join(this.#options.memoryDir ?? '', uidOf(pod), name);
    return join(this.#options.podsDir, uidOf(pod), 'volumes', name);
  }

  async setUp(pod: Pod): Promise<void> {
    const uid = uidOf(pod);
    const state: PodVolumes = this.#pods.get(uid) ?? {
      pod,
      mounted: false,
      tokens: new Map(),
      cancelRefresh: undefined,
      last: Promise.resolve(),
      versions: 0,
    };
    state.pod = pod;
    this.#pods.set(uid, state);
    const unsupported = (pod.spec.volumes ?? []).find((v) => !isSupported(v));
    if (unsupported) throw new VolumeError(unsupported.name, unsupportedReason(unsupported));
    await this.#options.tracker.follow(uid, referencesOf(pod));
    for (const volume of pod.spec.volumes ?? []) await this.#mount(state, volume);
    state.mounted = true;
  }

  updated(pod: Pod): void {
    const state = this.#pods.get(uidOf(pod));
    if (!state) return;
    const shown = (p: Pod) => JSON.stringify([p.metadata.labels, p.metadata.annotations]);
    const changed = shown(state.pod) !== shown(pod);
    state.pod = pod;
    if (changed) this.#refresh(uidOf(pod));
  }

  async tearDown(uid: string): Promise<void> {
    const state = this.#pods.get(uid);
    this.#pods.delete(uid);
    state?.cancelRefresh?.();
    this.#options.tracker.release(uid);
    this.#options.persistent.forget(uid);
    await state?.last;
    await fs.rm(join(this.#options.podsDir, uid, 'volumes'), { recursive: true, force: true });
    // What of the pod is in memory goes with its other files, when nothing can be mounted from it any more.
  }

  stop(): void {
    for (const state of this.#pods.values()) state.cancelRefresh?.();
  }

  async #mount(state: PodVolumes, volume: Volume): Promise<void> {
    try {
      if (volume.hostPath) await checkHostPath(volume.hostPath.path, volume.hostPath.type);
      else if (isPayloadVolume(volume)) await this.#write(state, volume);
      else if (claimNameOf(state.pod, volume)) await this.#options.persistent.mount(state.pod, volume);
      else await this.#emptyDir(state.pod, volume);
    } catch (error) {
      throw new VolumeError(volume.name, error instanceof Error ? error.message : String(error));
    }
  }

  async #emptyDir(pod: Pod, volume: Volume): Promise<void> {
    if (isMemory(volume) && !this.#options.memoryDir) {
      throw new Error('emptyDir medium Memory needs a directory on a tmpfs, and this node was given none');
    }
    const directory = this.pathOf(pod, volume.name);
    const fsGroup = pod.spec.securityContext?.fsGroup;
    const made = await fs.mkdir(directory, { recursive: true });
    // What a pod did to its own directory is its own, also after the kubelet has started again.
    if (made === undefined) return;
    if (fsGroup !== undefined) await fs.chown(directory, 0, fsGroup);
    await fs.chmod(directory, fsGroup === undefined ? 0o777 : 0o2777);
  }

  async #write(state: PodVolumes, volume: Volume): Promise<void> {
    const { pod } = state;
    const { tracker, downward, clock } = this.#options;
    await this.#ensureTokens(state, volume);
    const namespace = pod.metadata.namespace ?? '';
    const payload = payloadOf(volume, {
      downward: downward(pod),
      configMap: (name) => tracker.get({ kind: 'ConfigMap', namespace, name }) as ConfigMap | undefined,
      secret: (name) => tracker.get({ kind: 'Secret', namespace, name }) as Secret | undefined,
      token: (source) => state.tokens.get(`${volume.name}/${source}`)?.token ?? '',
    });
    const directory = this.pathOf(pod, volume.name);
    await fs.mkdir(directory, { recursive: true, mode: 0o755 });
    const version = `${new Date(clock.now()).toISOString().replaceAll(/[-:.]/g, '_')}_${++state.versions}`;
    await writePayload(directory, payload, pod.spec.securityContext?.fsGroup, version);
  }

  async #ensureTokens(state: PodVolumes, volume: Volume): Promise<void> {
    const { client, clock, random } = this.#options;
    for (const [index, source] of (volume.projected?.sources ?? []).entries()) {
      if (!source.serviceAccountToken) continue;
      const key = `${volume.name}/${index}`;
      const known = state.tokens.get(key);
      if (known && clock.now() < known.refreshAt) continue;
      state.tokens.set(key, await requestToken(client, clock, random, state.pod, source.serviceAccountToken));
    }
    this.#armRefresh(state);
  }

  #armRefresh(state: PodVolumes): void {
    const { clock } = this.#options;
    state.cancelRefresh?.();
    const due = Math.min(...[...state.tokens.values()].map((token) => token.refreshAt));
    if (!Number.isFinite(due)) return;
    // Never sooner than in a second: a server that hands out expired tokens must not make us spin.
    state.cancelRefresh = clock.after(Math.max(due - clock.now(), 1_000), () => this.#refresh(uidOf(state.pod)));
  }

  /** Rewrites what has changed of a pod that is up; failures leave the old content. */
  #refresh(uid: string): void {
    const state = this.#pods.get(uid);
    if (!state?.mounted) return;
    state.last = state.last.then(async () => {
      for (const volume of state.pod.spec.volumes ?? []) {
        if (!isPayloadVolume(volume) || this.#pods.get(uid) !== state) continue;
        try {
          await this.#write(state, volume);
        } catch (error) {
          this.#options.logger.warn(
            { uid, volume: volume.name, error: String(error) },
            'volume not brought up to date',
          );
          this.#armRefresh(state);
        }
      }
    });
  }
}

const isMemory = (volume: Volume): boolean => volume.emptyDir?.medium === 'Memory';

function isSupported(volume: Volume): boolean {
  if (volume.emptyDir) return ['', 'Memory', undefined].includes(volume.emptyDir.medium);
  const { name: _name, ...sources } = volume;
  // A volume without any source is an emptyDir (API defaulting).
  const claimed = Boolean(volume.persistentVolumeClaim ?? volume.ephemeral);
  return claimed || Boolean(volume.hostPath) || isPayloadVolume(volume) || Object.keys(sources).length === 0;
}

function unsupportedReason(volume: Volume): string {
  if (volume.emptyDir) return `emptyDir medium "${volume.emptyDir.medium}" is not supported by this node`;
  const kind = Object.keys(volume).find((key) => key !== 'name') ?? 'unknown';
  return `volumes of type ${kind} are not supported by this node; it offers emptyDir, hostPath, persistentVolumeClaim, ephemeral, configMap, secret, downwardAPI and projected`;
}
