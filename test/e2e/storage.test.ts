import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { etcdInstalled } from '../../api/store/engine/etcd/testing.js';
import { Cluster, Place, type Ran } from './cluster.js';

let place: Place;
let cluster: Cluster | undefined;
beforeEach(async () => {
  place = await new Place().make();
});
afterEach(async () => {
  await cluster?.kill();
  cluster = undefined;
  await place.remove();
});

const up = async (...args: readonly string[]): Promise<Cluster> => {
  cluster = await Cluster.start(place, '--no-node', ...args);
  return cluster;
};
const snapshot = (word: string, ...args: readonly string[]): Promise<Ran> =>
  place.trimtab('snapshot', word, '--data-dir', place.dataDir, ...args);
const map = (name: string): object => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } });
const revision = async (): Promise<number> =>
  Number(JSON.parse(await cluster!.must('get', '--raw', '/api/v1/configmaps')).metadata.resourceVersion);
const store = (): string => join(place.dataDir, 'store');

async function names(): Promise<readonly string[]> {
  const text = await cluster!.must('get', 'configmaps', '-o', 'name');
  return text.split('\n').flatMap((line) => /^configmap\/(?!kube-root-ca)(.+)$/.exec(line)?.[1] ?? []);
}

test('killed while it is written to: all that was acknowledged is there, and a watch goes on without a gap', async () => {
  await up();
  const before = await revision();
  const acknowledged: string[] = [];
  const stop = { asked: false };
  const writer = async (of: string) => {
    for (let i = 0; !stop.asked; i++) {
      const name = `${of}-${i}`;
      const { code } = await cluster!.kubectlWith({ input: JSON.stringify(map(name)) }, 'create', '-f', '-');
      if (code === 0) acknowledged.push(name);
    }
  };
  const writers = ['a', 'b'].map(writer);
  for (const atLeast of [3, 6, 9]) {
    while (acknowledged.length < atLeast) await new Promise((resolve) => setTimeout(resolve, 20));
    await cluster!.kill();
    await up();
  }
  stop.asked = true;
  await Promise.all(writers);
  const found = await names();
  expect(found).toEqual(expect.arrayContaining(acknowledged));
  const watch = await cluster!.must(
    ...['get', '--raw'],
    `/api/v1/namespaces/default/configmaps?watch=1&resourceVersion=${before}&timeoutSeconds=1`,
  );
  const events = watch
    .trim()
    .split('\n')
    .map(
      (line) => JSON.parse(line) as { type: string; object: { metadata: { name: string; resourceVersion: string } } },
    );
  const revisions = events.map(({ object }) => Number(object.metadata.resourceVersion));
  expect(revisions).toEqual([...new Set(revisions)].sort((x, y) => x - y));
  const added = events.flatMap(({ type, object }) => (type === 'ADDED' ? [object.metadata.name] : []));
  expect(added.filter((name) => !name.startsWith('kube-')).sort()).toEqual([...found].sort());
});

test('a snapshot of a running cluster is whole, takes the place of a damaged store, and damage is refused by name', async () => {
  await up();
  for (const name of ['one', 'two']) await cluster!.apply(map(name));
  const file = join(place.dataDir, 'saved');
  expect(await snapshot('save', file)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/revision \d+, \d+ objects/),
  });
  await cluster!.apply(map('three'));
  expect((await snapshot('restore', file)).stderr).toMatch(/pid|running|use/);
  expect((await snapshot('verify')).code).toBe(0);
  const before = await revision();
  await cluster!.terminate();

  // A flipped bit in the middle of what was acknowledged.
  const log = (await readdir(store())).find((name) => name.endsWith('.log'))!;
  const bytes = await readFile(join(store(), log));
  bytes[bytes.indexOf('"two"') + 1]! ^= 1;
  await writeFile(join(store(), log), bytes);
  const verified = await snapshot('verify');
  expect([verified.code, verified.stderr]).toEqual([1, expect.stringContaining('configmaps default/two')]);
  await expect(up()).rejects.toThrow(/configmaps default\/two at revision \d+ is damaged .*snapshot restore/s);

  expect((await snapshot('verify', file)).code).toBe(0);
  expect((await snapshot('restore', file)).stderr).toContain('--force');
  expect((await snapshot('restore', '--force', file)).code).toBe(0);
  await up();
  expect(await names()).toEqual(['one', 'two']);
  // Revisions never go back, so nobody takes the restored state for a later one of the same line.
  expect(await revision()).toBeGreaterThan(before);
  const watch = await cluster!.kubectl(
    ...['get', '--raw'],
    `/api/v1/configmaps?watch=1&resourceVersion=${before}&timeoutSeconds=1`,
  );
  expect(watch.stdout + watch.stderr).toMatch(/too old resource version|Expired/);

  await truncate(file, 500);
  expect((await snapshot('verify', file)).stderr).toContain('no whole snapshot');
});

test('Secrets are ciphertext on disk; keys are rotated; without its key a Secret is refused by name', async () => {
  const key = (name: string) => ({ name, secret: randomBytes(32).toString('base64') });
  const [first, second] = [key('first'), key('second')];
  const configuration = async (keys: readonly object[], ...others: readonly object[]): Promise<string[]> => {
    const file = join(place.dataDir, 'encryption.json');
    const resources = [{ resources: ['secrets'], providers: [{ aesgcm: { keys } }, ...others] }];
    const document = { apiVersion: 'apiserver.config.k8s.io/v1', kind: 'EncryptionConfiguration', resources };
    await writeFile(file, JSON.stringify(document), { mode: 0o600 });
    return ['--encryption-provider-config', file];
  };
  const plain = Buffer.from('hush, a secret').toString('base64');
  const onDisk = async (): Promise<boolean> => {
    const files = (await readdir(store())).map((name) => readFile(join(store(), name), 'latin1'));
    return (await Promise.all(files)).some((text) => text.includes(plain));
  };
  const read = () => cluster!.must('get', 'secret', 's', '-o', 'jsonpath={.data.word}');
  const restart = async (...args: readonly string[]) => {
    await cluster!.terminate();
    await up(...args);
  };

  await up();
  await cluster!.must('create', 'secret', 'generic', 's', '--from-literal=word=hush, a secret');
  expect(await onDisk()).toBe(true);
  await restart(...(await configuration([first], { identity: {} })), '--encryption-rewrite');
  expect([await onDisk(), await read()]).toEqual([false, plain]);
  await restart(...(await configuration([second, first])), '--encryption-rewrite');
  await restart(...(await configuration([second])));
  expect([await onDisk(), await read()]).toEqual([false, plain]);
  await cluster!.terminate();
  await expect(up(...(await configuration([first])))).rejects.toThrow(/secrets default\/s .*key second/);
  await expect(up()).rejects.toThrow(/--encryption-provider-config/);
});

(etcdInstalled ? test : test.skip)(
  'two servers over three members of etcd: one truth, nothing given twice, one leader, and another when it is killed',
  async () => {
    const script = fileURLToPath(new URL('../etcd/servers.mjs', import.meta.url));
    const child = spawn(process.execPath, [script, '--rounds', '10'], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data) => {
        output += String(data);
      });
    const code = await new Promise((resolve) => child.on('close', resolve));
    if (code !== 0) throw new Error(output);
    expect(output).toMatch(/leaders: . led and was killed; . did its work/);
  },
);
