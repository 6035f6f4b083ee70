import * as fs from 'node:fs/promises';
import type { Client, Informer } from '@trimtab/client';
import { type Clock, isReason, type Logger, type PersistentVolume, PersistentVolumes } from '@trimtab/machinery';
import { awaitsRemoval, isMade, LOCAL_VOLUME } from './claim-volumes.js';

export interface LocalVolumeRemoverOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly nodeName: string;
  readonly volumesDir: string;
  readonly volumes: Informer<PersistentVolume>;
  /** UIDs of pods of this node that use the volume. */
  readonly usersOf: (volume: string) => Promise<readonly string[]>;
}

const RETRY_MS = 1_000;
const MAX_RETRY_MS = 60_000;

/**
 * Removes the directories of local volumes that are being deleted, and lets the API object go once nothing is left. A volume
 * of policy Retain leaves its directory behind, and so does one whose path is not right below this node's directory.
 */
export class LocalVolumeRemover {
  readonly #options: LocalVolumeRemoverOptions;
  /** Volumes being worked on, or waiting for another try. */
  readonly #pending = new Map<string, { cancel: () => void }>();
  #stopListening: (() => void) | undefined;
  #stopped = false;

  constructor(options: LocalVolumeRemoverOptions) {
    this.#options = options;
  }

  start(): void {
    this.#stopListening = this.#options.volumes.addHandler(({ type, object }) => {
      if (type !== 'deleted' && awaitsRemoval(object, this.#options.nodeName)) this.#try(object.metadata.name!, 0);
    }).remove;
  }

  stop(): void {
    this.#stopped = true;
    this.#stopListening?.();
    for (const { cancel } of this.#pending.values()) cancel();
  }

  #try(name: string, attempt: number): void {
    if (this.#stopped || (attempt === 0 && this.#pending.has(name))) return;
    this.#pending.set(name, { cancel: () => {} });
    void this.#remove(name).then(
      (done) => (done ? this.#pending.delete(name) : this.#again(name, attempt)),
      (error: unknown) => {
        this.#options.logger.warn({ volume: name, error: String(error) }, 'directory of a volume not removed yet');
        this.#again(name, attempt);
      },
    );
  }

  #again(name: string, attempt: number): void {
    if (this.#stopped) return;
    const delay = Math.min(RETRY_MS * 2 ** attempt, MAX_RETRY_MS);
    const cancel = this.#options.clock.after(delay, () => this.#try(name, attempt + 1));
    this.#pending.set(name, { cancel });
  }

  /** False while a pod still uses it. */
  async #remove(name: string): Promise<boolean> {
    const { client, logger, nodeName, volumes, volumesDir, usersOf } = this.#options;
    const volume = volumes.get({ name });
    if (!volume || !awaitsRemoval(volume, nodeName)) return true;
    const { metadata, spec } = volume;
    if (spec?.persistentVolumeReclaimPolicy === 'Delete') {
      if ((await usersOf(name)).length > 0) return false;
      if (isMade(volume, volumesDir)) await fs.rm(spec.local!.path, { recursive: true, force: true });
      else logger.warn({ volume: name, path: spec.local?.path }, 'not a directory of this node: left alone');
    }
    const { uid, resourceVersion } = metadata;
    const finalizers = metadata.finalizers?.filter((finalizer) => finalizer !== LOCAL_VOLUME) ?? [];
    const body = { metadata: { uid, resourceVersion, finalizers } };
    await client.patch(PersistentVolumes, { name }, { type: 'merge', body }).catch((error: unknown) => {
      if (!isReason(error, 'NotFound')) throw error;
    });
    return true;
  }
}
