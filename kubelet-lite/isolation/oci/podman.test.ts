import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cannotRun, coreBinary, type Ended, makeCore, Workbench } from './bundle.js';

/** Other people's engines over our runtime. Each command costs them a second, so there are few tests with much in each. */

const missing = ['podman', 'conmon', 'nsenter', 'ip'].find((name) => spawnSync('which', [name]).status !== 0);
const why = cannotRun() ?? (missing && `needs ${missing}`);
const withPodman = why === undefined ? describe : describe.skip;

const image = 'localhost/box:1';

withPodman(`podman --runtime${why ? ` (${why})` : ''}`, () => {
  let bench: Workbench;
  const namespace = `tt-podman-${process.pid}`;

  /** In a network namespace of its own, and a mount namespace that takes what podman mounts along when it ends. */
  const engine = (program: string, ...args: readonly string[]): Ended => {
    const [root, run] = [join(bench.directory, 'storage'), join(bench.directory, 'run')];
    const place = ['--root', root, '--runroot', run, '--storage-driver', 'vfs'];
    const words = [...place, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
    return bench.shell(
      `nsenter --net=/run/netns/${namespace} unshare --mount --propagation private ${program} ${words} </dev/null`,
    );
  };
  const podman = (...args: readonly string[]): Ended =>
    engine(
      'podman',
      ...['--tmpdir', join(bench.directory, 'tmp'), '--cgroup-manager', 'cgroupfs', '--events-backend', 'file'],
      ...['--runtime', coreBinary],
      ...args,
    );
  const ok = (...args: readonly string[]): string => {
    const { status, stdout, stderr } = podman(...args);
    if (status !== 0) throw new Error(`podman ${args.join(' ')}: ${status}: ${stderr}`);
    return stdout.trim();
  };
  const run = (...args: readonly string[]): Ended => podman('run', '--rm', '--network', 'none', ...args);

  beforeAll(() => {
    makeCore();
    bench = new Workbench();
    bench.prepare();
    spawnSync('ip', ['netns', 'add', namespace]);
    spawnSync('ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
    bench.shell('tar -C rootfs -cf image.tar .');
    ok('import', join(bench.directory, 'image.tar'), image);
  });
  afterAll(() => {
    podman('pod', 'rm', '--all', '--force', '--time', '0');
    podman('rm', '--all', '--force', '--time', '0');
    spawnSync('ip', ['netns', 'del', namespace]);
    // podman leaves its own groups; only empty ones can go.
    bench.shell('find /sys/fs/cgroup -depth -path "*/libpod_parent*" -type d -exec rmdir {} \\; 2>/dev/null');
    bench.remove();
  });

  test('run: output, exit codes, users, limits, terminals, user namespaces', () => {
    expect(run(image, 'sh', '-c', 'echo out; exit 7')).toMatchObject({ status: 7, stdout: 'out\n' });
    expect(run(image, 'nosuch').status).toBe(127);
    expect(run(image, '/etc').status).toBe(126);
    expect(run('--tty', image, 'tty')).toMatchObject({ status: 0, stdout: '/dev/pts/0\r\n' });
    const confined = run(
      ...[
        '--user',
        '7:8',
        '--read-only',
        '--cap-drop',
        'all',
        '--security-opt',
        'no-new-privileges',
        '--memory',
        '50m',
      ],
      ...['--pids-limit', '20', '--cpus', '.5', '--tmpfs', '/new', '--volume', `${bench.directory}:/host:ro`],
      ...[
        image,
        'sh',
        '-c',
        'id -u; touch /x; touch /host/x; touch /new/x && echo wrote; grep CapEff /proc/self/status',
      ],
    );
    expect(confined.stdout).toBe('7\nwrote\nCapEff:\t0000000000000000\n');
    expect(confined.stderr.match(/^touch: /gm)).toHaveLength(2);
    expect(run('--privileged', image, 'sh', '-c', 'ls /dev | wc -l').status).toBe(0);
    const map = ['--uidmap', '0:100000:1000', '--gidmap', '0:100000:1000'];
    expect(run(...map, image, 'cat', '/proc/self/uid_map').stdout).toMatch(/^\s+0\s+100000\s+1000\n/);
  });

  test('a container through its life: exec, logs, pause, stats, update, stop, start, kill', () => {
    const script = 'trap "echo bye; exit 0" TERM; echo up; while :; do sleep 1 & wait; done';
    ok('run', '--detach', '--name', 'life', '--network', 'none', image, 'sh', '-c', script);
    expect(
      ok('exec', '--user', '5:6', '--workdir', '/etc', '--env', 'X=y', 'life', 'sh', '-c', 'id -u; pwd; echo $X'),
    ).toBe('5\n/etc\ny');
    expect(podman('exec', '--tty', 'life', 'tty').stdout).toMatch(/^\/dev\/pts\/\d+\r\n$/);
    expect(podman('exec', 'life', 'sh', '-c', 'exit 9').status).toBe(9);
    expect(podman('exec', 'life', 'nosuch').status).toBe(127);
    ok('pause', 'life');
    expect(ok('inspect', '--format', '{{.State.Status}}', 'life')).toBe('paused');
    ok('unpause', 'life');
    expect(ok('stats', '--no-stream', '--format', '{{.Name}} {{.PIDs}}', 'life')).toMatch(/^life [1-9]/);
    ok('update', '--memory', '64m', 'life');
    ok('stop', '--time', '5', 'life');
    expect(ok('logs', 'life')).toBe('up\nbye');
    expect(ok('inspect', '--format', '{{.State.ExitCode}}', 'life')).toBe('0');
    ok('start', 'life');
    ok('kill', '--signal', 'KILL', 'life');
    ok('rm', '--force', 'life');
  });

  test('a pod shares its namespaces and goes as one', () => {
    ok('pod', 'create', '--name', 'pod', '--network', 'none');
    ok('run', '--detach', '--pod', 'pod', '--name', 'in-pod', image, 'sleep', '1000');
    expect(ok('run', '--rm', '--pod', 'pod', image, 'hostname')).toBe('pod');
    ok('pod', 'pause', 'pod');
    ok('pod', 'unpause', 'pod');
    ok('pod', 'stop', '--time', '0', 'pod');
    ok('pod', 'rm', '--force', 'pod');
    expect(ok('ps', '--all', '--quiet')).toBe('');
  });

  test('buildah builds with it', () => {
    if (spawnSync('which', ['buildah']).status !== 0) return;
    const context = join(bench.directory, 'context');
    mkdirSync(context);
    writeFileSync(join(context, 'Dockerfile'), `FROM ${image}\nRUN echo built > /file\nCMD ["cat","/file"]\n`);
    const options = ['--runtime', coreBinary, '--isolation', 'oci', '--network', 'none', '--tag', 'localhost/built:1'];
    const built = engine('buildah', 'bud', ...options, context);
    expect([built.status, built.status === 0 ? '' : built.stderr]).toEqual([0, '']);
    expect(run('localhost/built:1')).toMatchObject({ status: 0, stdout: 'built\n' });
  });

  test('nothing is left of containers that are gone', () => {
    podman('rm', '--all', '--force', '--time', '0');
    expect(bench.left()).toEqual([]);
    const groups = readdirSync('/sys/fs/cgroup').flatMap((name) => {
      const found = spawnSync('find', [join('/sys/fs/cgroup', name, 'libpod_parent'), '-name', 'libpod-*'], {
        encoding: 'utf8',
      });
      return found.stdout.split('\n').filter((path) => path && !path.includes('conmon'));
    });
    expect(groups).toEqual([]);
  });
});
