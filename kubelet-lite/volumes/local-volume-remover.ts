import type { Client, Informer } from '@trimtab/client';
import { type Clock, isReason, type Logger, type PersistentVolume, PersistentVolumes } from '@trimtab/machinery';
import { awaitsRemoval, LOCAL_VOLUME } from './claim-volumes.js';

export interface LocalVolumeRemoverOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly volumes: Informer<PersistentVolume>;
  /** Whether a host of this name is one whose volumes are removed here. */
  readonly isHere: (hostname: string) => boolean;
  /** Removes what is in a volume; false while that is still in use. Idempotent. */
  readonly discard: (volume: PersistentVolume) => Promise<boolean>;
}

const RETRY_MS = 1_000;
const MAX_RETRY_MS = 60_000;

/**
 * Removes what is in local volumes that are being deleted, and lets the API object go once nothing is left. A volume of
 * policy Retain leaves its data behind.
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
      if (type !== 'deleted' && awaitsRemoval(object, this.#options.isHere)) this.#try(object.metadata.name!, 0);
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
        this.#options.logger.warn({ volume: name, error: String(error) }, 'volume not removed yet');
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
    const { client, volumes, isHere, discard } = this.#options;
    const volume = volumes.get({ name });
    if (!volume || !awaitsRemoval(volume, isHere)) return true;
    const { metadata, spec } = volume;
    if (spec?.persistentVolumeReclaimPolicy === 'Delete' && !(await discard(volume))) return false;
    const { uid, resourceVersion } = metadata;
    const finalizers = metadata.finalizers?.filter((finalizer) => finalizer !== LOCAL_VOLUME) ?? [];
    const body = { metadata: { uid, resourceVersion, finalizers } };
    await client.patch(PersistentVolumes, { name }, { type: 'merge', body }).catch((error: unknown) => {
      if (!isReason(error, 'NotFound')) throw error;
    });
    return true;
  }
}
