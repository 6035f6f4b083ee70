import type { Clock, Logger } from '@trimtab/machinery';
import type { ImageStore, ImageUpkeep } from '../images/image-store.js';
import type { PodManager } from '../pod/pod-manager.js';
import type { FileSystemReading } from '../stats/machine-readings.js';
import type { EventRecorder } from './event-recorder.js';

/** When unused images go, in percent of the disk they are on (kubernetes: imageGCHighThresholdPercent and its kin). */
export interface ImageGcPolicy {
  /** From here on images are removed, 100: never. */
  readonly highPercent: number;
  /** Until no more than this is taken. */
  readonly lowPercent: number;
  /** Images that were used, or came, more recently stay. */
  readonly minAgeMs: number;
}

export const DEFAULT_IMAGE_GC: ImageGcPolicy = { highPercent: 85, lowPercent: 80, minAgeMs: 120_000 };

/** How many bytes of images are to go; undefined: none. Pure. */
export function bytesToFree(fs: FileSystemReading | undefined, policy: ImageGcPolicy): number | undefined {
  if (!fs || fs.capacityBytes === 0 || policy.highPercent >= 100) return undefined;
  const takenPercent = 100 - Math.floor((fs.availableBytes * 100) / fs.capacityBytes);
  if (takenPercent < policy.highPercent) return undefined;
  return Math.floor((fs.capacityBytes * (100 - policy.lowPercent)) / 100) - fs.availableBytes;
}

export interface ImageGcOptions {
  readonly nodeName: string;
  readonly images: ImageStore & ImageUpkeep;
  readonly pods: PodManager;
  readonly policy: ImageGcPolicy;
  readonly fileSystem: () => Promise<FileSystemReading | undefined>;
  readonly recorder: EventRecorder;
  readonly clock: Clock;
  readonly logger: Logger;
}

const EVERY_MS = 300_000;

/** Removes unused images while the disk is too full: looked at every five minutes, those longest unused first. */
export class ImageGc {
  readonly #options: ImageGcOptions;
  #cancel: (() => void) | undefined;
  #stopped = false;

  constructor(options: ImageGcOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#options.policy.highPercent < 100) this.#arm();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  /** All that nobody uses, whatever their age: the disk is needed for something else. */
  async removeAll(): Promise<void> {
    const { images, clock, logger } = this.#options;
    const { removed, bytes } = await images.removeUnused({ inUse: await this.#inUse(), now: clock.now() });
    if (removed.length > 0) logger.info({ images: removed.length, bytes }, 'unused images removed');
  }

  #arm(): void {
    if (this.#stopped) return;
    this.#cancel = this.#options.clock.after(EVERY_MS, () => {
      this.#collect()
        .catch((error: unknown) => this.#say('ImageGCFailed', String(error instanceof Error ? error.message : error)))
        .finally(() => this.#arm());
    });
  }

  async #collect(): Promise<void> {
    const { images, policy, clock, fileSystem } = this.#options;
    const wanted = bytesToFree(await fileSystem(), policy);
    if (wanted === undefined) return;
    const { bytes } = await images.removeUnused({
      inUse: await this.#inUse(),
      bytes: wanted,
      minAgeMs: policy.minAgeMs,
      now: clock.now(),
    });
    if (bytes < wanted)
      this.#say(
        'FreeDiskSpaceFailed',
        `Failed to garbage collect required amount of images. Attempted to free ${wanted} bytes, but only found ${bytes} bytes eligible to free.`,
      );
  }

  /** Of containers that run, and of those that are to run again. */
  async #inUse(): Promise<ReadonlySet<string>> {
    const { images, pods } = this.#options;
    const named = pods
      .workers()
      .filter((worker) => worker.active)
      .flatMap((worker) => worker.containers())
      .flatMap(({ definition, context }) => [definition.image ?? '', context.image, context.imageID])
      .filter((reference) => reference !== '');
    const found = await Promise.all(
      [...new Set(named)].map((reference) => images.find(reference).catch(() => undefined)),
    );
    return new Set(found.flatMap((image) => (image ? [image.id] : [])));
  }

  #say(reason: string, message: string): void {
    const { nodeName, recorder } = this.#options;
    recorder.event({ apiVersion: 'v1', kind: 'Node', name: nodeName, uid: nodeName }, 'Warning', reason, message);
  }
}
