import * as fs from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock, Volume } from '@trimtab/machinery';
import type { ImageCredentials } from '../container/image-credentials.js';
import { ensureImage, type Say } from '../container/image-puller.js';
import type { Image, ImageStore } from '../images/image-store.js';
import type { EventRecorder } from '../node/event-recorder.js';
import { type Pod, uidOf } from '../pod/api.js';
import { podSubject } from '../pod/pod-context.js';
import type { IdMaps, VolumeMounts } from '../runtime/volume-mounts.js';

export interface ImageVolumesOptions {
  readonly images: ImageStore;
  readonly credentials?: ImageCredentials;
  readonly clock: Clock;
  readonly recorder: EventRecorder;
  readonly podsDir: string;
  /** Of pods with a user namespace. */
  readonly idMaps?: (pod: Pod) => Promise<IdMaps | undefined>;
  /** Absent: images of one layer only. */
  readonly mounts?: VolumeMounts;
}

/** What an image volume shows: the very image it was set up with, whatever its reference names by now. */
interface Shown {
  readonly id: string;
  readonly layers: readonly string[];
}

/** The overlay of several layers has its ids mapped already; a lone layer is mapped as it is bound. */
export const showsMappedIds = (volume: Volume, directory: string): boolean =>
  volume.image !== undefined && directory.endsWith(`/volumes/${volume.name}`);

/** Volumes that show the files of an image. */
export class ImageVolumes {
  readonly #options: ImageVolumesOptions;

  constructor(options: ImageVolumesOptions) {
    this.#options = options;
  }

  /**
   * Idempotent: finds or fetches the image as the volume's pull policy says, unless that has been done for this pod before.
   * Answers the directory that shows it; rejects with an ImageError.
   */
  async mount(pod: Pod, volume: Volume): Promise<string> {
    const note = join(this.#options.podsDir, uidOf(pod), 'volumes', `.image-${volume.name}`);
    const known = await fs.readFile(note, 'utf8').catch(() => undefined);
    const shown = known === undefined ? await this.#find(pod, volume) : (JSON.parse(known) as Shown);
    if (known === undefined) await writeNote(note, shown);
    const [only, ...others] = shown.layers;
    const directory = join(dirname(note), volume.name);
    if (only !== undefined && others.length === 0) return only;
    await fs.mkdir(directory, { recursive: true, mode: 0o755 });
    if (only === undefined) return directory;
    const { mounts } = this.#options;
    if (!mounts) throw new Error(`image volume "${volume.name}" has several layers, which this node cannot mount`);
    return mounts.mount(
      directory,
      'overlay',
      shown.layers.map((layer) => `lowerdir+=${layer}`),
      await this.#options.idMaps?.(pod),
    );
  }

  async #find(pod: Pod, volume: Volume): Promise<Shown> {
    const { images, clock, recorder } = this.#options;
    const { reference = '', pullPolicy } = volume.image ?? {};
    if (reference === '') throw new Error(`image volume "${volume.name}" names no image`);
    const wanted = {
      name: volume.name,
      image: reference,
      ...(pullPolicy === undefined ? {} : { imagePullPolicy: pullPolicy }),
    };
    const say: Say = (type, reason, message) => recorder.event(podSubject(pod), type, reason, message);
    const image: Image = await ensureImage(images, clock, wanted, say, async () => [
      ...((await this.#options.credentials?.(pod, say, reference)) ?? []),
    ]);
    return { id: image.id, layers: image.layers };
  }
}

/** Whole or not at all. */
async function writeNote(note: string, shown: Shown): Promise<void> {
  await fs.mkdir(dirname(note), { recursive: true, mode: 0o755 });
  await fs.writeFile(`${note}.new`, JSON.stringify(shown));
  await fs.rename(`${note}.new`, note);
}
