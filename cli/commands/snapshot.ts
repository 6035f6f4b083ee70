import { resolve } from 'node:path';
import { restoreSnapshot, type SnapshotSummary, saveSnapshot, verifySnapshot, verifyStore } from '@trimtab/store';
import { pathsOf } from '../paths.js';

interface SnapshotOptions {
  readonly dataDir: string;
}

interface RestoreOptions extends SnapshotOptions {
  readonly force?: boolean;
  readonly bumpRevision: number;
}

const storeOf = ({ dataDir }: SnapshotOptions): string => pathsOf(resolve(dataDir)).store;

/** Of a cluster that runs as well as of one that does not. */
export async function save(file: string, options: SnapshotOptions): Promise<void> {
  console.log(`saved ${file}: ${words(await saveSnapshot(storeOf(options), resolve(file)))}`);
}

export async function restore(file: string, options: RestoreOptions): Promise<void> {
  const { before, ...summary } = await restoreSnapshot(resolve(file), storeOf(options), options);
  if (before !== undefined) console.log(`the store that was there is in ${before}`);
  console.log(`restored ${file}: ${words(summary)}; revisions go on from there`);
}

export async function verify(file: string | undefined, options: SnapshotOptions): Promise<void> {
  const what = file ?? storeOf(options);
  const summary = file === undefined ? await verifyStore(what) : await verifySnapshot(resolve(file));
  console.log(`${what} is whole: ${words(summary)}`);
}

const words = ({ revision, records, bytes }: SnapshotSummary): string =>
  `revision ${revision}, ${records} objects, ${(bytes / 1e6).toFixed(1)} MB`;
