import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Cluster, eventually, guestbookImages, Place, type Ran, REDIS, type RunOptions, shellPod } from './cluster.js';

/** The `trimtab` commands for those without kubectl, against a real cluster. */
describe('trimtab', () => {
  let place: Place;
  let cluster: Cluster;

  beforeAll(async () => {
    place = await new Place().make();
    await guestbookImages(place);
    cluster = await Cluster.start(place);
  });
  afterAll(async () => {
    await cluster?.stop();
    await place?.remove();
  });

  const say = (options: RunOptions, ...args: string[]): Promise<Ran> =>
    place.trimtabWith({ ...options, env: { HOME: place.dataDir, KUBECONFIG: cluster.ready.kubeconfig } }, ...args);
  const ok = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await say({}, ...args);
    if (code !== 0) throw new Error(`trimtab ${args.join(' ')} ended with ${code}: ${stderr}${stdout}`);
    return stdout;
  };
  const file = async (name: string, ...objects: object[]): Promise<string> => {
    const path = join(place.dataDir, name);
    await writeFile(path, objects.map((object) => JSON.stringify(object)).join('\n---\n'));
    return path;
  };
  const sleeper = () => shellPod('sleeper', 'echo started; trap "exit 0" TERM; while :; do busybox sleep 0.2; done');
  const settings = (value: string) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'settings' },
    data: { colour: value },
  });

  test('every command has help with an exit code of 0, and nonsense has not', async () => {
    const help = await ok('--help');
    for (const command of 'up down doctor image apply get describe delete wait logs exec'.split(' ')) {
      expect(help).toMatch(new RegExp(`^  ${command}\\b`, 'm'));
      expect(await ok(command, '--help')).toContain(`Usage: trimtab ${command}`);
    }
    const { code, stderr } = await say({}, 'gett');
    expect([code, stderr]).toEqual([1, expect.stringMatching(/unknown command 'gett'[\s\S]*Did you mean get/)]);
  });

  test('apply creates, configures, leaves unchanged, shows without storing, and refuses', async () => {
    const path = await file('app.yaml', sleeper(), settings('red'));
    expect(await ok('apply', '-f', path)).toMatch(/pod\/sleeper created\nconfigmap\/settings created\n/);
    expect(await ok('apply', '-f', path)).toMatch(/pod\/sleeper unchanged\nconfigmap\/settings unchanged\n/);
    const blue = JSON.stringify(settings('blue'));
    const dry = await say({ input: blue }, 'apply', '-f', '-', '--dry-run');
    expect([dry.code, dry.stdout]).toEqual([0, expect.stringContaining('configmap/settings configured')]);
    expect(await cluster.must('get', 'cm', 'settings', '-o', 'jsonpath={.data.colour}')).toBe('red');
    expect((await say({ input: blue }, 'apply', '-f', '-')).stdout).toBe('configmap/settings configured\n');
    expect(await cluster.must('get', 'cm', 'settings', '-o', 'jsonpath={.data.colour}')).toBe('blue');

    const bad = await say({ input: JSON.stringify(shellPod('bad', 'x', {}, { image: '' })) }, 'apply', '-f', '-');
    expect([bad.code, bad.stderr]).toEqual([1, expect.stringContaining('spec.containers[0].image: Required value')]);
    expect((await cluster.kubectl('get', 'pod', 'bad')).code).toBe(1);
    expect((await say({}, 'apply', '-f', '/no/such.yaml')).stderr).toContain('/no/such.yaml');
  });

  test('wait for a condition, then get in every format', async () => {
    expect(await ok('wait', 'pod/sleeper', '--for', 'condition=Ready', '--timeout', '120')).toContain('sleeper');
    expect(await ok('get', 'pods')).toMatch(/^NAME\s+READY\s+STATUS\s+RESTARTS\s+AGE\s*\nsleeper\s+1\/1\s+Running\s+0/);
    expect(await ok('get', 'po', '-o', 'wide')).toMatch(/sleeper.*10\.244\.0\.\d+\s+node-a/);
    expect(await ok('get', 'pod', 'sleeper', '-o', 'yaml')).toMatch(/^apiVersion: v1\n[\s\S]*phase: Running/);
    expect(JSON.parse(await ok('get', 'pod/sleeper', '-o', 'json'))).toMatchObject({ status: { phase: 'Running' } });
    expect(await ok('get', 'pods', '-l', 'app=sleeper', '-o', 'name')).toBe('pod/sleeper\n');
    expect(await ok('get', 'pods,configmaps', '-A')).toMatch(/default\s+(pod\/)?sleeper[\s\S]*settings/);
    const { code, stderr } = await say({}, 'get', 'pod', 'nobody');
    expect([code, stderr]).toEqual([1, expect.stringContaining('pods "nobody" not found')]);
    expect((await say({}, 'get', 'gizmos')).stderr).toContain('gizmos');
  });

  test('describe tells the story with events', async () => {
    const out = await ok('describe', 'pod', 'sleeper');
    for (const word of ['sleeper', 'node-a', 'Running', 'Scheduled', 'Started']) expect(out).toContain(word);
    expect(await ok('describe', 'node/node-a')).toContain('Ready');
  });

  test('logs, exec with input, exit code and errors', async () => {
    expect(await ok('logs', 'sleeper')).toBe('started\n');
    expect(await ok('logs', 'sleeper', '--timestamps', '--tail', '1')).toMatch(/^\d{4}-\S+Z started\n$/);
    expect(await ok('exec', 'sleeper', '--', 'cat', '/proc/1/comm')).toBe('sh\n');
    expect((await say({ input: 'from stdin' }, 'exec', '-i', 'sleeper', '--', 'cat')).stdout).toBe('from stdin');
    const failed = await say({}, 'exec', 'sleeper', '--', 'sh', '-c', 'echo oops >&2; exit 7');
    expect([failed.code, failed.stderr]).toEqual([7, expect.stringContaining('oops')]);
    expect((await say({}, 'logs', 'nobody')).code).toBe(1);
    await ok('apply', '-f', await file('talker.yaml', shellPod('talker', 'echo a; busybox sleep 0.3; echo b')));
    await eventually(
      () => say({}, 'logs', 'talker'),
      ({ stdout }) => stdout.startsWith('a\n'),
    );
  });

  test('delete by name, by file, by selector; waiting until they are gone', async () => {
    await ok('delete', 'pod', 'talker');
    expect((await say({}, 'get', 'pod', 'talker')).code).toBe(1);
    const waiting = ok('wait', 'pod/sleeper', '--for', 'delete', '--timeout', '120');
    expect(await ok('delete', '-f', join(place.dataDir, 'app.yaml'))).toMatch(/sleeper[\s\S]*settings/);
    await waiting;
    await ok(
      'apply',
      '-f',
      await file('one.yaml', { ...settings('x'), metadata: { name: 'one', labels: { a: 'b' } } }),
    );
    await ok('delete', 'configmaps', '-l', 'a=b');
    expect((await say({}, 'get', 'configmap', 'one')).code).toBe(1);
    expect((await say({}, 'delete', 'pod', 'nobody')).stderr).toContain('"nobody" not found');
    expect((await say({}, 'wait', 'node/node-a', '--for', 'condition=Never', '--timeout', '1')).code).toBe(1);
  });

  test('image ls, rm, load of an archive made here; what is not an archive is refused', async () => {
    const dir = ['--data-dir', place.dataDir];
    expect(await ok('image', 'ls', ...dir)).toContain(REDIS.split(':')[0]!);
    const archive = await busyboxArchive(join(place.dataDir, 'archive'));
    expect(await ok('image', 'load', archive, ...dir)).toContain('example.test/busy:1');
    await cluster.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'loaded' },
      spec: {
        restartPolicy: 'Never',
        containers: [{ name: 'main', image: 'example.test/busy:1', command: ['/busybox', 'echo', 'from an archive'] }],
      },
    });
    await eventually(
      () => cluster.kubectl('logs', 'loaded'),
      ({ stdout }) => stdout === 'from an archive\n',
    );
    await ok('image', 'rm', 'example.test/busy:1', ...dir);
    expect(await ok('image', 'ls', ...dir)).not.toContain('example.test/busy');
    const { code, stderr } = await say({}, 'image', 'load', join(place.dataDir, 'app.yaml'), ...dir);
    expect([code, stderr]).toEqual([1, expect.stringContaining('app.yaml')]);
  });

  test('doctor finds nothing missing where the tests can run', async () => {
    expect(await ok('doctor')).toMatch(/^ok\s+native core/m);
  });

  test('down stops the cluster and everything it runs; a second time there is nothing left', async () => {
    await ok('apply', '-f', await file('app.yaml', sleeper()));
    await ok('wait', 'pod/sleeper', '--for', 'condition=Ready');
    expect(await ok('down', '--data-dir', place.dataDir)).toBe('stopped\n');
    expect(cluster.child.exitCode).toBe(0);
    expect(await ok('down', '--data-dir', place.dataDir)).toContain('nothing runs');
    const { code, stderr } = await say({}, 'get', 'pods');
    expect([code, stderr]).toEqual([1, expect.stringMatching(/ECONNREFUSED|cannot be reached|not running|refused/)]);
  });

  /** A docker-save archive of one image that holds busybox alone. */
  async function busyboxArchive(directory: string): Promise<string> {
    await mkdir(join(directory, 'root'), { recursive: true });
    const here = (...args: string[]) => place.run('sh', ['-ec', ...args]);
    const made = await here(
      `cd ${directory}; cp /bin/busybox root/busybox; tar -C root -cf layer.tar busybox; sha256sum layer.tar | cut -d' ' -f1`,
    );
    const config = {
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      os: 'linux',
      config: { Env: ['PATH=/'] },
      rootfs: { type: 'layers', diff_ids: [`sha256:${made.stdout.trim()}`] },
    };
    await writeFile(join(directory, 'config.json'), JSON.stringify(config));
    const manifest = [{ Config: 'config.json', RepoTags: ['example.test/busy:1'], Layers: ['layer.tar'] }];
    await writeFile(join(directory, 'manifest.json'), JSON.stringify(manifest));
    await here(`cd ${directory}; tar -cf image.tar manifest.json config.json layer.tar`);
    return join(directory, 'image.tar');
  }
});
