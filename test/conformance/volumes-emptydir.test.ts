import type { EmptyDirVolumeSource, PodSpec } from '@trimtab/machinery';
import { describeReal, IMAGE, useRealCluster } from './real-cluster.js';

/** Titles are those of the conformance suite and of its neighbours among the node tests. */
describeReal('[sig-storage] EmptyDir volumes', () => {
  const c = useRealCluster();
  const NON_ROOT = 1001;

  /** What a script prints that finds the volume at /test-volume. */
  async function seen(script: string, emptyDir: EmptyDirVolumeSource, context: PodSpec['securityContext'] = {}) {
    const mount = { name: 'test-volume', mountPath: '/test-volume' };
    const volumes = [{ name: 'test-volume', emptyDir }];
    await c.pod('p', script, { volumeMounts: [mount] }, { volumes, securityContext: context });
    return c.output('p');
  }

  // Who measures with the sticky bit sees it where the kubelet's tmpfs has it.
  test.each<[string, EmptyDirVolumeSource, string]>([
    ['tmpfs', { medium: 'Memory' }, 'tmpfs drwxrwxrwt'],
    ['default medium', {}, 'drwxrwxrwx'],
  ])(
    'volume on %s should have the correct mode [LinuxOnly] [NodeConformance] [Conformance]',
    async (_name, emptyDir, expected) => {
      const kind = emptyDir.medium ? 'stat -f -c %T /test-volume | tr "\\n" " ";' : '';
      expect(await seen(`${kind} stat -c %A /test-volume`, emptyDir)).toBe(`${expected}\n`);
    },
  );

  for (const medium of ['tmpfs', 'default'])
    for (const mode of ['0644', '0666', '0777'])
      for (const who of ['root', 'non-root'])
        test(`should support (${who},${mode},${medium}) [LinuxOnly] [NodeConformance] [Conformance]`, async () => {
          const script = `umask 0; cd /test-volume; echo -n mount-tester > test-file; chmod ${mode} test-file; cat test-file; stat -c ' %a %u %T' test-file; stat -f -c %T .`;
          const text = await seen(
            script,
            medium === 'tmpfs' ? { medium: 'Memory' } : {},
            who === 'root' ? {} : { runAsUser: NON_ROOT },
          );
          const uid = who === 'root' ? 0 : NON_ROOT;
          expect(text).toMatch(new RegExp(`^mount-tester ${mode.slice(1)} ${uid} 0\n`));
          expect(text.endsWith('\ntmpfs\n')).toBe(medium === 'tmpfs');
        });

  test('pod should support shared volumes between containers [Conformance]', async () => {
    const volumeMounts = [{ name: 'shared', mountPath: '/usr/share/volumeshare' }];
    const busybox = { image: 'busybox:1', volumeMounts };
    const writer = 'echo Hello from the busy-box sub-container > /usr/share/volumeshare/shareddata.txt; sleep 1000';
    await c.pod('p', 'sleep 1000', busybox, {
      volumes: [{ name: 'shared', emptyDir: {} }],
      containers: [
        { name: 'main', command: ['sleep', '1000'], ...busybox },
        { name: 'sub', command: ['sh', '-c', writer], ...busybox },
      ],
    });
    await c.running('p');
    const { text } = await c.exec('p', [
      'sh',
      '-c',
      'until [ -s /usr/share/volumeshare/shareddata.txt ]; do sleep 0.01; done; cat /usr/share/volumeshare/shareddata.txt',
    ]);
    expect(text).toBe('Hello from the busy-box sub-container\n');
  });

  describe('when FSGroup is specified', () => {
    const fsGroup = 123;

    test.each([
      ['root', {}, 0],
      ['non-root', { runAsUser: NON_ROOT }, NON_ROOT],
    ])('new files should be created with FSGroup ownership when container is %s', async (_who, context, uid) => {
      const script = 'umask 0; echo x > /test-volume/f; stat -c "%A %u %g" /test-volume/f';
      expect(await seen(script, { medium: 'Memory' }, { ...context, fsGroup })).toBe(`-rw-rw-rw- ${uid} ${fsGroup}\n`);
    });

    test('nonexistent volume subPath should have the correct mode and owner using FSGroup', async () => {
      await c.pod(
        'p',
        'stat -c "%A %u %g" /test-volume; id -G',
        { volumeMounts: [{ name: 'v', mountPath: '/test-volume', subPath: 'subpath' }] },
        { volumes: [{ name: 'v', emptyDir: {} }], securityContext: { fsGroup, runAsUser: NON_ROOT } },
      );
      expect(await c.output('p')).toBe(`drwxrwsrwx 0 ${fsGroup}\n0 ${fsGroup}\n`);
    });

    test('files with FSGroup ownership should support (root,0644,tmpfs)', async () => {
      const script = 'echo x > /test-volume/f; chmod 644 /test-volume/f; stat -c "%A %u %g" /test-volume/f';
      expect(await seen(script, { medium: 'Memory' }, { fsGroup })).toBe(`-rw-r--r-- 0 ${fsGroup}\n`);
    });

    test.each([
      ['default medium', {}, 'drwxrwsrwx'],
      ['tmpfs', { medium: 'Memory' }, 'drwxrwsrwt'],
    ])('volume on %s should have the correct mode using FSGroup', async (_name, emptyDir, mode) => {
      expect(await seen('stat -c "%A %u %g" /test-volume', emptyDir, { fsGroup })).toBe(`${mode} 0 ${fsGroup}\n`);
    });
  });

  test('pod should support memory backed volumes of specified size', async () => {
    const script =
      'df -k /test-volume | tail -n 1 | { read _ size _; echo $size; }; dd if=/dev/zero of=/test-volume/f bs=1M count=12 2>&1 | head -n 1';
    expect(await seen(script, { medium: 'Memory', sizeLimit: '10Mi' })).toMatch(
      /^10240\ndd: .*No space left on device/,
    );
  });

  describe('shared memory', () => {
    const size = 'df -k /dev/shm | tail -n 1 | { read _ size _; echo $size; }';

    test('is 64 MiB, for all containers of a pod together', async () => {
      const writer = {
        name: 'writer',
        image: IMAGE,
        command: ['sh', '-c', 'dd if=/dev/zero of=/dev/shm/f bs=1M count=60'],
      };
      const fill = 'dd if=/dev/zero of=/dev/shm/g bs=1M count=8 2>&1 | grep -o "No space left on device"';
      await c.pod('p', `${size}; ${fill}; stat -c %A /dev/shm`, {}, { initContainers: [writer] });
      expect(await c.output('p')).toBe('65536\nNo space left on device\ndrwxrwxrwt\n');
    });

    test('is as large as an emptyDir in memory that is mounted over it', async () => {
      const volumeMounts = [{ name: 'shm', mountPath: '/dev/shm' }];
      const volumes = [{ name: 'shm', emptyDir: { medium: 'Memory', sizeLimit: '100Mi' } }];
      await c.pod('p', size, { volumeMounts }, { volumes });
      expect(await c.output('p')).toBe('102400\n');
    });
  });
});
