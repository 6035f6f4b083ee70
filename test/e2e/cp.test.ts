import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { Cluster, Place, shellPod } from './cluster.js';

/** `kubectl cp`, both ways, and what it says to an image without tar. */
describe('kubectl cp', () => {
  let place: Place;
  let cluster: Cluster;

  const recipe = (name: string, programs: readonly string[]): string =>
    JSON.stringify({
      reference: `trimtab.local/${name}:1`,
      programs: { '/bin/busybox': '/bin/busybox' },
      links: Object.fromEntries(programs.map((program) => [`/bin/${program}`, 'busybox'])),
      directories: ['data', 'tmp'],
      config: { Env: ['PATH=/bin'] },
    });

  beforeAll(async () => {
    place = await new Place().make();
    const images = { 'with-tar': ['sh', 'sleep', 'tar', 'cat', 'stat', 'ls', 'mkdir'], 'without-tar': ['sh', 'sleep'] };
    for (const [name, programs] of Object.entries(images)) {
      const path = join(place.dataDir, `${name}.yaml`);
      await fs.writeFile(path, recipe(name, programs));
      const { code, stderr } = await place.trimtab('image', 'assemble', '--data-dir', place.dataDir, path);
      if (code !== 0) throw new Error(stderr);
    }
    cluster = await Cluster.start(place);
    for (const name of Object.keys(images)) {
      const volumes = { volumes: [{ name: 'v', emptyDir: {} }] };
      const container = { image: `trimtab.local/${name}:1`, volumeMounts: [{ name: 'v', mountPath: '/data' }] };
      await cluster.apply(shellPod(name, 'while :; do sleep 1; done', volumes, container));
    }
    await cluster.must('wait', 'pod', '--all', '--for=condition=Ready', '--timeout=120s');
  });
  afterAll(async () => {
    await cluster?.stop();
    await place?.remove();
  });

  const local = (...parts: string[]) => join(place.dataDir, 'cp', ...parts);
  const inside = (...command: string[]) => cluster.must('exec', 'with-tar', '--', ...command);

  test('takes files and directories in and out again, with modes and every byte', async () => {
    await fs.mkdir(local('out', 'deep', 'empty'), { recursive: true });
    const bytes = Buffer.from(Array.from({ length: 3 << 20 }, (_, i) => (i * 31 + (i >> 8)) & 0xff));
    await fs.writeFile(local('out', 'deep', 'large'), bytes);
    await fs.writeFile(local('out', 'a name with spaces'), 'spaces');
    await fs.writeFile(local('out', 'program'), '#!/bin/sh', { mode: 0o755 });
    await cluster.must('cp', local('out'), 'with-tar:/data/in');
    expect(await inside('stat', '-c', '%s', '/data/in/deep/large')).toBe(`${bytes.length}\n`);
    expect(await inside('stat', '-c', '%a %F', '/data/in/program', '/data/in/deep/empty')).toMatch(
      /^755 regular file\n7\d5 directory\n$/,
    );
    await cluster.must('cp', 'with-tar:/data/in', local('back'));
    expect(bytes.equals(await fs.readFile(local('back', 'deep', 'large')))).toBe(true);
    expect(await fs.readFile(local('back', 'a name with spaces'), 'utf8')).toBe('spaces');
    await cluster.must('cp', 'with-tar:data/in/program', local('one'), '-c', 'main', '--retries=3');
    expect(await fs.readFile(local('one'), 'utf8')).toBe('#!/bin/sh');
  });

  test('without tar in the image it fails, and says what is missing', async () => {
    await fs.writeFile(local('file'), 'x');
    for (const args of [
      [local('file'), 'without-tar:/data/file'],
      ['without-tar:/data', local('none')],
    ]) {
      const { code, stderr } = await cluster.kubectl('cp', ...args);
      expect(code).not.toBe(0);
      expect(stderr).toMatch(/tar: not found in \$PATH/);
    }
  });
});
