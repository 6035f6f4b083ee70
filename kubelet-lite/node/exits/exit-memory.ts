import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '@trimtab/machinery';
import type { ExitRecord } from './exit-record.js';

export interface ExitMemoryOptions {
  /** Records are at `<directory>/<uid>/<container>-<attempt>.json`. */
  readonly directory: string;
  readonly logger: Logger;
  /** Of one container. */
  readonly keepPerContainer?: number;
  /** Of all together; the oldest go first. */
  readonly maxBytes?: number;
}

const KEEP_PER_CONTAINER = 20;
const MAX_BYTES = 16 * 2 ** 20;

interface Kept {
  readonly path: string;
  readonly bytes: number;
  readonly container: string;
}

/** Ends of containers, on disk: they outlive the kubelet and the pod, within a budget. */
export class ExitMemory {
  readonly #options: ExitMemoryOptions;
  /** In the order they were written. */
  #kept: Promise<Map<string, Kept>> | undefined;
  #last: Promise<void> = Promise.resolve();

  constructor(options: ExitMemoryOptions) {
    this.#options = options;
  }

  /** Written behind, one after another; never rejects. */
  remember(record: ExitRecord): Promise<void> {
    this.#last = this.#last
      .then(() => this.#write(record))
      .catch((error: unknown) =>
        this.#options.logger.warn(
          { pod: record.pod, error: String(error) },
          'the end of a container is not remembered',
        ),
      );
    return this.#last;
  }

  /** Whether this end is remembered already. */
  async has(uid: string, container: string, attempt: number): Promise<boolean> {
    await this.#last;
    return (await this.#index()).has(this.#pathOf(uid, container, attempt));
  }

  /** Oldest first; of the pods of that name, also those that are gone. */
  async of(namespace: string, pod: string, uid?: string): Promise<readonly ExitRecord[]> {
    await this.#last;
    const found: ExitRecord[] = [];
    for (const { path } of (await this.#index()).values()) {
      if (uid !== undefined && !path.includes(`/${uid}/`)) continue;
      const text = await fs.readFile(path, 'utf8').catch(() => '');
      const record = parsed(text);
      if (record?.namespace === namespace && record.pod === pod) found.push(record);
    }
    return found.sort((a, b) =>
      a.finishedAt < b.finishedAt ? -1 : a.finishedAt > b.finishedAt ? 1 : a.attempt - b.attempt,
    );
  }

  async #write(record: ExitRecord): Promise<void> {
    const { directory, keepPerContainer = KEEP_PER_CONTAINER, maxBytes = MAX_BYTES } = this.#options;
    const kept = await this.#index();
    const container = `${record.uid}/${record.container}`;
    const path = this.#pathOf(record.uid, record.container, record.attempt);
    const text = JSON.stringify(record);
    await fs.mkdir(join(directory, record.uid), { recursive: true, mode: 0o700 });
    await fs.writeFile(`${path}.new`, text, { mode: 0o600 });
    await fs.rename(`${path}.new`, path);
    kept.delete(path);
    kept.set(path, { path, bytes: Buffer.byteLength(text), container });
    const own = [...kept.values()].filter((one) => one.container === container);
    for (const one of own.slice(0, Math.max(own.length - keepPerContainer, 0))) await this.#drop(kept, one);
    let bytes = [...kept.values()].reduce((sum, one) => sum + one.bytes, 0);
    for (const one of [...kept.values()]) {
      if (bytes <= maxBytes || one.path === path) break;
      bytes -= one.bytes;
      await this.#drop(kept, one);
    }
  }

  #pathOf(uid: string, container: string, attempt: number): string {
    return join(this.#options.directory, uid, `${container}-${attempt}.json`);
  }

  async #drop(kept: Map<string, Kept>, { path }: Kept): Promise<void> {
    kept.delete(path);
    await fs.rm(path, { force: true });
    // Fails, as it should, while there are others beside it.
    await fs.rmdir(join(path, '..')).catch(() => {});
  }

  #index(): Promise<Map<string, Kept>> {
    this.#kept ??= this.#readIndex();
    return this.#kept;
  }

  async #readIndex(): Promise<Map<string, Kept>> {
    const { directory } = this.#options;
    const found: (Kept & { readonly at: number })[] = [];
    for (const uid of await fs.readdir(directory).catch(() => []))
      for (const file of await fs.readdir(join(directory, uid)).catch(() => [])) {
        const path = join(directory, uid, file);
        const stat = await fs.stat(path).catch(() => undefined);
        if (!stat || !file.endsWith('.json')) continue;
        const container = `${uid}/${file.slice(0, file.lastIndexOf('-'))}`;
        found.push({ path, bytes: stat.size, container, at: stat.mtimeMs });
      }
    return new Map(found.sort((a, b) => a.at - b.at).map(({ at: _, ...one }) => [one.path, one]));
  }
}

function parsed(text: string): ExitRecord | undefined {
  try {
    return JSON.parse(text) as ExitRecord;
  } catch {
    return undefined;
  }
}
