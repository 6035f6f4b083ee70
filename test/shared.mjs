/**
 * What a whole run shares: a directory whose name `TRIMTAB_TEST_SHARED` says, for what is dear to make and never changed. It is made
 * before the first test file and goes after the last.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** jest calls it with its configuration; what it returns nobody reads. */
export default function setup() {
  const directory = mkdtempSync(join(tmpdir(), 'trimtab-shared-'));
  process.env.TRIMTAB_TEST_SHARED = directory;
  globalThis.removeShared = () => rmSync(directory, { recursive: true, force: true });
}
