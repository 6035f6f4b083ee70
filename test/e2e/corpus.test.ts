import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { type ApiCluster, apiCluster } from '../api-cluster.js';
import { run } from './cluster.js';

/**
 * Manifests as people write them, through real kubectl, client-side and server-side: each object is taken or refused for the
 * reason named here, and applying it a second time changes nothing. The selection beside this file is always tried; a folder
 * named by `TRIMTAB_CORPUS` as well.
 */

const own = fileURLToPath(new URL('corpus', import.meta.url));
const corpora = [own, ...(process.env.TRIMTAB_CORPUS ? [process.env.TRIMTAB_CORPUS] : [])];

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name?: string; readonly namespace?: string };
}

/** Why objects are refused: `folder/kind/name` and what is said of it. The first that fits is held against what was said. */
const refusals: readonly (readonly [object: RegExp, why: RegExp])[] = [
  [/^corpus\/refused\/Deployment\/old$/, /no matches for kind "Deployment" in version "extensions\/v1beta1"/],
  [/^corpus\/refused\/Deployment\/no-selector$/, /spec\.selector: Required value|missing required field "selector"/],
  [/^corpus\/refused\/Service\/no-ports$/, /spec\.ports: Required value/],
  [
    /^corpus\/refused\/Pod\/misspelt$/,
    /unknown field "spec\.contaners"|\.spec\.contaners: field not declared in schema/,
  ],
  // Of other people's folders: kinds that are no longer, or not here, and patches for kustomize that are no whole objects.
  [
    /^(?!corpus\/)/,
    /no matches for kind|spec\.selector: Required value|spec\.template\.spec\.containers: Required value|\.image: Required value|\$patch/,
  ],
];

async function folders(root: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, string[]>();
  for (const entry of (await readdir(root, { recursive: true, withFileTypes: true })).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  )) {
    if (!entry.isFile() || !/\.ya?ml$|\.json$/.test(entry.name)) continue;
    const folder = entry.parentPath;
    found.set(folder, [...(found.get(folder) ?? []), join(folder, entry.name)]);
  }
  return found;
}

/** The Kubernetes objects of a file; nothing of templates and of what is for other tools. */
async function objectsOf(file: string): Promise<readonly Manifest[]> {
  const text = await readFile(file, 'utf8');
  if (text.includes('{{')) return [];
  const documents = parseAllDocuments(text, { uniqueKeys: false, version: '1.1' });
  if (!Array.isArray(documents)) return [];
  return documents
    .filter((d) => d.errors.length === 0)
    .map((d) => d.toJS() as (Partial<Manifest> & { items?: readonly Manifest[] }) | null)
    .flatMap((o): readonly (Partial<Manifest> | null)[] => (o?.kind === 'List' ? (o.items ?? []) : [o]))
    .filter((o): o is Manifest => Boolean(o?.apiVersion && o.kind && o.metadata?.name))
    .filter((o) => !/kustomize\.config|skaffold|^Kustomization$|^Component$/.test(o.apiVersion + o.kind));
}

const idOf = (folder: string, o: Manifest): string => `${folder}/${o.kind}/${o.metadata.name}`;

describe.each(corpora)('%s', (root) => {
  describe.each(['client-side', 'server-side'])('applied %s', (how) => {
    let api: ApiCluster;
    beforeAll(async () => {
      api = await apiCluster();
    });
    afterAll(() => api?.close());

    const kubectl = (...args: readonly string[]) =>
      run('kubectl', args, {
        timeoutMs: 120_000,
        env: { KUBECONFIG: api.kubeconfig, HOME: api.directory },
      });
    const flags = how === 'server-side' ? ['--server-side', '--force-conflicts'] : [];

    test('every object is taken, or refused for a reason; a second time changes nothing', async () => {
      const unexplained: string[] = [];
      const changed: string[] = [];
      let taken = 0;
      for (const [folder, files] of await folders(root)) {
        const name = join(root === own ? 'corpus' : '', relative(root, folder)) || '.';
        const seen = new Set<string>();
        const objects: Manifest[] = [];
        for (const object of (await Promise.all(files.map(objectsOf))).flat()) {
          // One folder may hold several variants of the same object.
          const id = `${object.apiVersion} ${object.kind} ${object.metadata.namespace} ${object.metadata.name}`;
          if (seen.has(id)) continue;
          seen.add(id);
          objects.push(object);
        }
        for (const [object, outcome] of await applyAll(objects)) {
          if (outcome === 'same') taken++;
          else if (outcome.startsWith('changed')) changed.push(`${idOf(name, object)}: ${outcome}`);
          else {
            const known = refusals.find(([which]) => which.test(idOf(name, object)));
            if (!known?.[1].test(outcome)) unexplained.push(`${idOf(name, object)}: ${outcome}`);
          }
        }
      }
      expect({ unexplained, changed }).toEqual({ unexplained: [], changed: [] });
      expect(taken).toBeGreaterThan(root === own ? 20 : 0);
    }, 3_600_000);

    let folder = 0;

    /** For each object `same`, `changed …`, or why it was refused. All in one go; where that fails, one by one. */
    async function applyAll(objects: readonly Manifest[]): Promise<readonly (readonly [Manifest, string])[]> {
      if (objects.length === 0) return [];
      const outcome = await applyTwice(objects);
      if (outcome === 'same' || objects.length === 1) return objects.map((object) => [object, outcome]);
      const refused = new Map<Manifest, string>();
      const waiting = [...objects];
      const worker = async () => {
        for (let object = waiting.shift(); object; object = waiting.shift()) {
          const file = join(api.directory, `object-${folder++}.json`);
          await writeFile(file, JSON.stringify(object));
          const { code, stderr } = await kubectl('apply', '-f', file, ...flags);
          if (code !== 0) refused.set(object, stderr.trim());
        }
      };
      await Promise.all([worker(), worker(), worker()]);
      const good = objects.filter((object) => !refused.has(object));
      const rest = good.length > 0 ? await applyTwice(good) : 'same';
      return objects.map((object) => [object, refused.get(object) ?? rest]);
    }

    async function applyTwice(objects: readonly Manifest[]): Promise<string> {
      const at = join(api.directory, `apply-${folder++}`);
      await mkdir(at);
      for (const [i, object] of objects.entries()) {
        await writeFile(join(at, `${String(i).padStart(3, '0')}.json`), JSON.stringify(object));
        if (object.metadata.namespace) await needNamespace(object.metadata.namespace);
      }
      const first = await kubectl('apply', '-f', at, ...flags);
      if (first.code !== 0) return first.stderr.trim();
      const before = await versions(at);
      const second = await kubectl('apply', '-f', at, ...flags);
      if (second.code !== 0) return `changed: refused the second time: ${second.stderr.trim()}`;
      const after = await versions(at);
      return before === after ? 'same' : `changed: ${before} to ${after}`;
    }

    const namespaces = new Set(['default', 'kube-system']);
    async function needNamespace(namespace: string): Promise<void> {
      if (namespaces.has(namespace)) return;
      namespaces.add(namespace);
      await kubectl('create', 'namespace', namespace);
    }

    async function versions(at: string): Promise<string> {
      const { code, stdout, stderr } = await kubectl('get', '-f', at, '-o', 'json');
      if (code !== 0) throw new Error(stderr);
      const answer = JSON.parse(stdout) as { items?: readonly unknown[] };
      return ((answer.items ?? [answer]) as readonly { metadata: { resourceVersion: string } }[])
        .map((o) => o.metadata.resourceVersion)
        .join(' ');
    }
  });
});
