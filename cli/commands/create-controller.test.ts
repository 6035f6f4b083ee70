import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { projectFiles } from './controller-template.js';
import { createController } from './create-controller.js';

const packages = new Proxy({}, { get: () => '^0.1.0' });

test('row 35: a new project has kind, controller, tests, image and chart, and its manifests are YAML', () => {
  const files = projectFiles({ name: 'web-site', kind: 'WebSite', group: 'example.org', packages });
  expect(Object.keys(files)).toEqual(
    expect.arrayContaining([
      'src/kind.ts',
      'src/operator.ts',
      'src/operator.test.ts',
      'image.yaml',
      'chart/Chart.yaml',
    ]),
  );
  expect(files['src/kind.ts']).toContain("plural: 'websites'");
  expect(files['src/operator.ts']).toContain('export const webSite = controller<WebSite>');
  expect(JSON.parse(files['package.json']!)).toMatchObject({ scripts: { dev: 'trimtab dev src/operator.ts' } });
  for (const path of ['image.yaml', 'chart/Chart.yaml', 'chart/values.yaml'])
    for (const document of parseAllDocuments(files[path]!)) expect(document.errors).toEqual([]);
});

test('it is laid out where nothing is, and nowhere else', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'controller-'));
  const said: unknown[] = [];
  const log = console.log;
  console.log = (text: unknown) => void said.push(text);
  try {
    await createController('backup', { directory, group: 'example.com' });
    expect(await readFile(join(directory, 'src/kind.ts'), 'utf8')).toContain("kind: 'Backup'");
    await writeFile(join(directory, 'mine'), '');
    await expect(createController('backup', { directory, group: 'example.com' })).rejects.toThrow('is not empty');
    await expect(createController('Backup', { group: 'example.com' })).rejects.toThrow('no name for a controller');
  } finally {
    console.log = log;
    await rm(directory, { recursive: true });
  }
  expect(said).toHaveLength(1);
});
