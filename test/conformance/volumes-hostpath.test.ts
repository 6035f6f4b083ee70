import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { type Container, type HostPathVolumeSource, Pods, type VolumeMount } from '@trimtab/machinery';
import { describeReal, IMAGE, useRealCluster } from './real-cluster.js';

/** One for the whole file. */
const c = useRealCluster();

describeReal('[sig-storage] HostPath', () => {
  let scratch: string;
  beforeEach(async () => {
    scratch = join(c.directory, 'scratch', c.ns);
    await fs.mkdir(scratch, { recursive: true });
  });

  async function pod(
    script: string,
    hostPath: HostPathVolumeSource,
    mount: Partial<VolumeMount> = {},
    container: Partial<Container> = {},
    name = 'p',
  ): Promise<void> {
    const volumeMounts = [{ name: 'v', mountPath: '/v', ...mount }];
    await c.pod(name, script, { volumeMounts, ...container }, { volumes: [{ name: 'v', hostPath }] });
  }

  test('should give a volume the correct mode', async () => {
    await fs.chmod(scratch, 0o1777);
    await pod('stat -c %A /v', { path: scratch });
    expect(await c.output('p')).toBe('drwxrwxrwt\n');
  });

  test('should support r/w', async () => {
    await fs.writeFile(join(scratch, 'in'), 'from the node');
    await pod('cat /v/in; echo -n from the pod > /v/out', { path: scratch });
    expect(await c.output('p')).toBe('from the node');
    expect(await fs.readFile(join(scratch, 'out'), 'utf8')).toBe('from the pod');
  });

  test('should support subPath', async () => {
    await pod('echo -n x > /v/file', { path: scratch }, { subPath: 'sub/path' });
    await c.output('p');
    expect(await fs.readFile(join(scratch, 'sub/path/file'), 'utf8')).toBe('x');
  });

  test('read-only is read-only; of a file mounted elsewhere nothing but the file is seen', async () => {
    await fs.writeFile(join(scratch, 'file'), 'text');
    const path = join(scratch, 'file');
    await pod('(echo x > /f) 2>&1; cat /f', { path, type: 'File' }, { mountPath: '/f', readOnly: true });
    expect(await c.output('p')).toBe("sh: can't create /f: Read-only file system\ntext");
  });

  describe('types', () => {
    test.each<[string, string, string]>([
      ['Directory', 'file', 'is not a directory'],
      ['Directory', 'missing', 'is not a directory'],
      ['File', 'directory', 'is not a file'],
      ['FileOrCreate', 'directory', 'is not a file'],
      ['DirectoryOrCreate', 'file', 'is not a directory'],
      ['Socket', 'file', 'is not a socket file'],
      ['CharDevice', 'file', 'is not a character device'],
      ['BlockDevice', 'file', 'is not a block device'],
    ])('should fail on mounting as %s what is a %s', async (type, what, why) => {
      await fs.writeFile(join(scratch, 'file'), '');
      await fs.mkdir(join(scratch, 'directory'));
      const path = join(scratch, what);
      await pod('true', { path, type });
      expect((await c.event('p', 'FailedMount')).message).toBe(
        `MountVolume.SetUp failed for volume "v" : hostPath type check failed: ${path} ${why}`,
      );
    });

    test('should be mounted when they are what they say, or are made so', async () => {
      execFileSync('mknod', [join(scratch, 'null'), 'c', '1', '3']);
      const types = { 'new/dir': 'DirectoryOrCreate', 'new-file': 'FileOrCreate', null: 'CharDevice', any: '' };
      const volumes = Object.entries(types).map(([path, type], i) => ({
        name: `v${i}`,
        hostPath: { path: join(scratch, path), type },
      }));
      const volumeMounts = volumes.map(({ name }) => ({ name, mountPath: `/${name}` }));
      const script = 'for v in 0 1 2 3; do stat -c %F-%a /v$v; done';
      await c.pod('p', script, { volumeMounts }, { volumes });
      expect(await c.output('p')).toMatch(
        /^directory-755\nregular empty file-644\ncharacter special file-644\ndirectory-755\n$/,
      );
    });
  });

  describe('mounts that come and go', () => {
    let shared: string;
    const mount = (...args: string[]) => execFileSync('mount', args);
    beforeEach(async () => {
      shared = join(scratch, 'shared');
      await fs.mkdir(shared);
      mount('-t', 'tmpfs', 'test', shared);
      mount('--make-shared', shared);
    });
    afterEach(() => execFileSync('umount', ['-R', shared]));

    test('should propagate mounts within defined scopes', async () => {
      const privileged = { securityContext: { privileged: true } };
      const names = { master: 'Bidirectional', slave: 'HostToContainer', private: 'None' } as const;
      for (const [name, mountPropagation] of Object.entries(names)) {
        await fs.mkdir(join(shared, name));
        await pod('sleep 1000', { path: shared }, { mountPropagation }, privileged, name);
      }
      await fs.mkdir(join(shared, 'host'));
      // A container has what was mounted when it began, whatever comes after.
      for (const name of Object.keys(names)) await c.running(name);
      for (const name of Object.keys(names)) {
        const mounting = `mount -t tmpfs e2e /v/${name} && echo ${name} > /v/${name}/file`;
        expect(await c.exec(name, ['sh', '-c', mounting])).toEqual({ text: '', code: 0 });
      }
      mount('-t', 'tmpfs', 'e2e', join(shared, 'host'));
      await fs.writeFile(join(shared, 'host/file'), 'host');
      const seen = async (name: string) => {
        const { text } = await c.exec(name, ['sh', '-c', 'cd /v; ls */file']);
        return text
          .split('\n')
          .filter(Boolean)
          .map((line) => line.split('/')[0]);
      };
      expect(await seen('master')).toEqual(['host', 'master']);
      expect(await seen('slave')).toEqual(['host', 'master', 'slave']);
      expect(await seen('private')).toEqual(['private']);
      const own = (await fs.readdir(shared)).filter(
        (name) => !execFileSync('ls', [join(shared, name)]).equals(Buffer.alloc(0)),
      );
      expect(own.sort()).toEqual(['host', 'master']);
      for (const name of Object.keys(names)) await c.gone(Pods, name, 0);
    });

    test('a mount that nothing can come through is refused by name', async () => {
      mount('--make-private', shared);
      await pod('true', { path: shared }, { mountPropagation: 'HostToContainer' });
      const { message } = await c.event('p', 'Failed', /propag|shared/);
      expect(message).toContain(`path "${shared}" is mounted on "${shared}" but it is not a shared or slave mount`);
    });

    test.each([
      [undefined, 'rw'],
      ['Enabled', 'ro'],
      ['IfPossible', 'ro'],
    ] as const)('recursiveReadOnly %s leaves mounts below %s', async (recursiveReadOnly, below) => {
      await fs.mkdir(join(shared, 'below'));
      mount('-t', 'tmpfs', 'e2e', join(shared, 'below'));
      const script = 'for f in /v/f /v/below/f; do (echo > $f) 2>/dev/null && echo rw || echo ro; done';
      await pod(script, { path: shared }, { readOnly: true, ...(recursiveReadOnly ? { recursiveReadOnly } : {}) });
      expect(await c.output('p')).toBe(`ro\n${below}\n`);
    });
  });

  describe('sub paths', () => {
    test.each([
      ['a link out of the volume', 'out', /subPath "out" leads outside of its volume/],
      ['a link to the root', 'root/etc', /leads outside of its volume/],
      ['a dangling link', 'dangling', /dangling|outside/],
    ])('%s is refused', async (_what, subPath, why) => {
      await fs.symlink('..', join(scratch, 'out'));
      await fs.symlink('/', join(scratch, 'root'));
      await fs.symlink('nowhere', join(scratch, 'dangling'));
      await pod('true', { path: scratch }, { subPath });
      const { message } = await c.event('p', 'Failed', why);
      expect(message).toContain('failed to prepare subPath for volumeMount "v" of container "main"');
      await c.until(
        Pods,
        'p',
        ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === 'CreateContainerConfigError',
      );
    });

    test('links within the volume are followed', async () => {
      await fs.mkdir(join(scratch, 'real'));
      await fs.writeFile(join(scratch, 'real/file'), 'inside');
      await fs.symlink('real', join(scratch, 'link'));
      await pod('cat /v/file', { path: scratch }, { subPath: 'link' });
      expect(await c.output('p')).toBe('inside');
    });

    test('a container that swaps a directory for a link while others start never leads them out', async () => {
      const emptyDir = { name: 'v', emptyDir: {} };
      const busybox = { image: IMAGE };
      // All that can be seen at the other end of the link is the node's own root, which has no such file.
      const swap =
        'cd /v; mkdir -p real; echo inside > real/marker; ln -s / link; while :; do mv real sub; mv sub real; mv link sub; mv sub link; done';
      await c.create(Pods, {
        metadata: { name: 'p' },
        spec: {
          restartPolicy: 'Always',
          terminationGracePeriodSeconds: 0,
          volumes: [emptyDir],
          containers: [
            {
              name: 'swapper',
              ...busybox,
              command: ['sh', '-c', swap],
              volumeMounts: [{ name: 'v', mountPath: '/v' }],
            },
          ],
        },
      });
      const running = await c.running('p');
      const { pinSubPath } = await import('../../kubelet-lite/volumes/pinned-path.js');
      const volume = join(c.directory, 'root/pods', running.metadata.uid!, 'volumes/v');
      const ends = { inside: 0, refused: 0 };
      // Longer where the container does not get to swap anything meanwhile.
      for (let n = 0; n < 2_000 || (n < 200_000 && (ends.inside === 0 || ends.refused === 0)); n++) {
        try {
          const pin = await pinSubPath(volume, 'sub', { make: false });
          const inside = (await fs.readdir(pin.path)).every((name) => name === 'marker');
          await pin.release();
          expect(inside).toBe(true);
          ends.inside++;
        } catch (error) {
          if (error instanceof Error && 'matcherResult' in error) throw error;
          ends.refused++;
        }
      }
      // Both have been met, or nothing has been tried.
      expect(ends).toEqual({ inside: expect.any(Number), refused: expect.any(Number) });
      expect(ends.inside).toBeGreaterThan(0);
      expect(ends.refused).toBeGreaterThan(0);
    });
  });
});

describeReal('[sig-node] Variable Expansion', () => {
  const env = [{ name: 'POD_NAME', value: 'foo' }];
  const volumes = [{ name: 'v', emptyDir: {} }];

  test('should allow substituting values in a volume subpath', async () => {
    const volumeMounts = [
      { name: 'v', mountPath: '/logscontainer', subPathExpr: '$(POD_NAME)' },
      { name: 'v', mountPath: '/testcontainer' },
    ];
    await c.pod('p', 'test -d /testcontainer/foo && ls -d /logscontainer', { env, volumeMounts }, { volumes });
    expect(await c.output('p')).toBe('/logscontainer\n');
  });

  test.each([
    ['backticks', '..', '$(POD_NAME)', "unable to provision SubPath `..`: must not contain '..'"],
    ['absolute path', '/tmp', '$(POD_NAME)', 'error SubPath `/tmp` must not be an absolute path'],
  ])('should fail substituting values in a volume subpath with %s', async (_what, value, subPathExpr, why) => {
    const container = {
      env: [{ name: 'POD_NAME', value }],
      volumeMounts: [{ name: 'v', mountPath: '/v', subPathExpr }],
    };
    await c.pod('p', 'true', container, { volumes });
    expect((await c.event('p', 'Failed')).message).toBe(`Error: ${why}`);
  });

  test('should verify that a failing subpath expansion can be modified during the lifecycle of a container', async () => {
    const fieldRef = { fieldPath: "metadata.annotations['mysubpath']" };
    const container = {
      env: [...env, { name: 'ANNOTATION', valueFrom: { fieldRef } }],
      volumeMounts: [{ name: 'v', mountPath: '/subpath_mount', subPathExpr: '$(ANNOTATION)/$(POD_NAME)' }],
    };
    await c.pod('p', 'sleep 1000', container, { volumes });
    expect((await c.event('p', 'Failed')).message).toContain('missing value for ANNOTATION');
    const body = { metadata: { annotations: { mysubpath: 'mypath' } } };
    await c.client.patch(Pods, { namespace: c.ns, name: 'p' }, { type: 'merge', body });
    await c.running('p');
  });

  test('should succeed in writing subpaths in container', async () => {
    const fieldRef = { fieldPath: "metadata.annotations['mysubpath']" };
    const container = {
      env: [{ name: 'ANNOTATION', valueFrom: { fieldRef } }, ...env],
      volumeMounts: [
        { name: 'v', mountPath: '/subpath_mount', subPathExpr: '$(ANNOTATION)/$(POD_NAME)' },
        { name: 'v', mountPath: '/volume_mount' },
      ],
      image: IMAGE,
      name: 'main',
      command: ['sleep', '1000'],
    };
    await c.create(Pods, {
      metadata: { name: 'p', annotations: { mysubpath: 'mypath' } },
      spec: { terminationGracePeriodSeconds: 0, containers: [container], volumes },
    });
    await c.running('p');
    await c.exec('p', ['touch', '/volume_mount/mypath/foo/test.log']);
    expect(await c.exec('p', ['ls', '/subpath_mount'])).toEqual({ text: 'test.log\n', code: 0 });
    const body = { metadata: { annotations: { mysubpath: 'mynewpath' } } };
    await c.client.patch(Pods, { namespace: c.ns, name: 'p' }, { type: 'merge', body });
    // What is mounted stays.
    expect(await c.exec('p', ['ls', '/volume_mount/mypath/foo'])).toEqual({ text: 'test.log\n', code: 0 });
  });
});
