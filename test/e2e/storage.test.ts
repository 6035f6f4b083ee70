import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { etcdInstalled } from '../../api/store/engine/etcd/testing.js';
import { Cluster, eventually, Place, type Ran, run } from './cluster.js';

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
    `/api/v1/namespaces/default/configmaps?watch=1&resourceVersion=${before}&timeoutSeconds=5`,
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

const withEtcd = etcdInstalled ? test : test.skip;

withEtcd(
  'etcd over TLS: certificates of both sides are asked for, and readiness says when it does not answer',
  async () => {
    const file = (name: string): string => join(place.dataDir, name);
    const openssl = async (...args: readonly string[]) => {
      const { code, stderr } = await run('openssl', args);
      if (code !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}`);
    };
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    await openssl(
      'req',
      '-x509',
      ...key,
      '-keyout',
      file('ca.key'),
      '-out',
      file('ca.crt'),
      '-subj',
      '/CN=ca',
      '-days',
      '2',
    );
    const certify = async (name: string, address: string) => {
      const own = (suffix: string) => file(`${name}.${suffix}`);
      await writeFile(own('cnf'), `subjectAltName=IP:${address}\nextendedKeyUsage=serverAuth,clientAuth\n`);
      await openssl('req', ...key, '-keyout', own('key'), '-out', own('csr'), '-subj', `/CN=${name}`);
      const authority = ['-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-CAcreateserial'];
      await openssl(
        'x509',
        '-req',
        '-in',
        own('csr'),
        ...authority,
        '-out',
        own('crt'),
        '-days',
        '2',
        '-extfile',
        own('cnf'),
      );
    };
    for (const [name, address] of [
      ['right', '127.0.0.1'],
      ['wrong', '127.0.0.9'],
      ['client', '127.0.0.1'],
    ] as const)
      await certify(name, address);
    const url = 'https://127.0.0.1:2379';
    const started = (certificate: string): Promise<ChildProcess> =>
      new Promise((resolve, reject) => {
        const flags = [
          ...['--data-dir', file(`etcd-${certificate}`), '--listen-client-urls', url, '--advertise-client-urls', url],
          ...['--listen-peer-urls', 'http://127.0.0.1:2380', '--cert-file', file(`${certificate}.crt`)],
          ...[
            '--key-file',
            file(`${certificate}.key`),
            '--client-cert-auth',
            '--trusted-ca-file',
            file('ca.crt'),
            '--logger=zap',
          ],
        ];
        const child = spawn(...place.inside('etcd', flags), { stdio: ['ignore', 'ignore', 'pipe'] });
        let log = '';
        child.stderr.on('data', (text) => {
          log += String(text);
          if (log.includes('serving client traffic')) resolve(child);
        });
        child.once('close', (code) => reject(new Error(`etcd ended with ${code}: ${log.slice(-2000)}`)));
      });
    const stopped = async (child: ChildProcess) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const closed = new Promise((resolve) => child.once('close', resolve));
      child.kill('SIGKILL');
      await closed;
    };
    const authority = ['--etcd-servers', url, '--etcd-cafile', file('ca.crt')];
    const client = ['--etcd-certfile', file('client.crt'), '--etcd-keyfile', file('client.key')];
    let etcd = await started('right');
    try {
      await expect(up(...authority)).rejects.toThrow(/--etcd-certfile/);
      await up(...authority, ...client);
      expect(cluster!.stderr).toBe('');
      await cluster!.apply(map('one'));
      expect(await names()).toEqual(['one']);
      etcd.kill('SIGSTOP');
      const unready = await cluster!.kubectl('get', '--raw', '/readyz');
      expect(unready.stderr).toContain('[-]store failed: it has not answered in 2 s');
      expect(await cluster!.must('get', '--raw', '/livez')).toBe('ok');
      etcd.kill('SIGCONT');
      await eventually(
        () => cluster!.kubectl('get', '--raw', '/readyz'),
        ({ stdout }) => stdout === 'ok',
      );
      await cluster!.terminate();
      await stopped(etcd);
      etcd = await started('wrong');
      await expect(up(...authority, ...client)).rejects.toThrow(/127\.0\.0\.1 is not in the cert's list/);
    } finally {
      await stopped(etcd);
    }
  },
);

withEtcd(
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
