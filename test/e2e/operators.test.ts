import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The built command loads operators from their source, which are in no bundle. */
test('trimtab manifests prints what an example operator needs of a cluster', async () => {
  const words = ['cli/bin/trimtab.mjs', 'manifests', 'examples/website/website.ts'];
  const { stdout } = await promisify(execFile)(process.execPath, words, {
    cwd: root,
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const objects = parseAllDocuments(stdout).map((document) => document.toJSON() as { kind: string; metadata: object });
  expect(objects.map(({ kind }) => kind)).toEqual(['CustomResourceDefinition', 'ClusterRole']);
  expect(objects[0]!.metadata).toMatchObject({ name: 'websites.example.com' });
});
