import { type FSWatcher, watch } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Logger } from '@trimtab/machinery';

/** One file of the folder as it is now. */
export interface Manifest {
  readonly path: string;
  readonly text: string;
}

export interface ManifestFolder {
  read(): Promise<readonly Manifest[]>;
  /** Calls back after something in the folder has changed; the returned function ends it. */
  watch(changed: () => void): () => void;
}

/** Editors write in several steps: changes that come together are one. */
const GATHER_MS = 100;

/** A folder of manifests: every file but hidden ones, in the order of their names; watched, never polled. */
export function manifestFolder(directory: string, clock: Clock, logger: Logger): ManifestFolder {
  return {
    async read() {
      const names = await fs.readdir(directory).catch((error: NodeJS.ErrnoException): string[] => {
        if (error.code !== 'ENOENT') logger.error({ directory, error: String(error) }, 'static pods cannot be read');
        return [];
      });
      const found: Manifest[] = [];
      for (const name of names.filter((one) => !one.startsWith('.')).sort()) {
        const path = join(directory, name);
        const text = await fs.readFile(path, 'utf8').catch(() => undefined);
        if (text !== undefined) found.push({ path, text });
      }
      return found;
    },
    watch(changed) {
      let cancel: (() => void) | undefined;
      let watcher: FSWatcher | undefined;
      try {
        watcher = watch(directory, () => {
          cancel?.();
          cancel = clock.after(GATHER_MS, changed);
        });
        watcher.on('error', (error) => logger.error({ directory, error: String(error) }, 'static pods not watched'));
      } catch (error) {
        logger.error({ directory, error: String(error) }, 'static pods not watched; changes need a restart');
      }
      return () => {
        cancel?.();
        watcher?.close();
      };
    },
  };
}
