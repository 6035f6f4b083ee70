import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, config, coreBinary, describeContainers, useWorkbench } from './bundle.js';

const bench = useWorkbench();
const { next } = bench;

describeContainers('containers', () => {
  afterEach(() => expect(bench.clear()).toEqual([]));

  test('goes through its states, and refuses what does not fit each', () => {
    const id = next();
    const bundle = bench.bundle(id, config(['sleep', '1000'], { annotations: { 'example.com/a': 'b' } }));
    const pidFile = join(bench.directory, 'pid');
    expect(bench.core('create', '--bundle', bundle, '--pid-file', pidFile, id)).toMatchObject({
      status: 0,
      stdout: '',
    });
    const state = bench.state(id);
    expect(state).toMatchObject({
      ociVersion: '1.0.2',
      id,
      status: 'created',
      bundle,
      annotations: { 'example.com/a': 'b' },
    });
    expect(String(state.pid)).toBe(readFileSync(pidFile, 'utf8'));
    expect(bench.core('create', '--bundle', bundle, id)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('File exists'),
    });
    expect(bench.core('delete', id).stderr).toContain('is created; kill it first, or use --force');
    expect(bench.core('resume', id).stderr).toContain('is created, not paused');
    // What is written into the bundle from now on is without effect.
    writeFileSync(join(bundle, 'config.json'), '{}');
    expect(bench.core('start', id)).toMatchObject({ status: 0 });
    expect(bench.state(id).status).toBe('running');
    expect(bench.core('start', id).stderr).toContain('is running, not created');
    expect(bench.core('delete', id).stderr).toContain('is running; kill it first');
    expect(bench.core('pause', id).status).toBe(0);
    expect(bench.state(id).status).toBe('paused');
    expect(bench.core('exec', id, 'true').stderr).toContain('is paused, not running');
    expect(bench.core('resume', id).status).toBe(0);
    expect(bench.core('kill', id, 'KILL').status).toBe(0);
    bench.await(id, 'stopped');
    expect(bench.state(id)).toMatchObject({ pid: 0 });
    for (const args of [
      ['kill', id],
      ['exec', id, 'true'],
      ['update', '--memory', '1g', id],
      ['pause', id],
      ['start', id],
    ])
      expect(bench.core(...args)).toMatchObject({ status: 1, stderr: expect.stringContaining(id) });
    expect(bench.core('delete', id).status).toBe(0);
    expect(bench.core('delete', id).status).toBe(1);
    expect(bench.core('delete', '--force', id).status).toBe(0);
  });

  test('a create that is killed half-way leaves a stopped container, which can be deleted', () => {
    const id = next();
    const hooks = { createRuntime: [{ path: '/bin/sh', args: ['sh', '-c', 'kill -KILL $PPID; sleep 1'] }] };
    const bundle = bench.bundle(id, config(['sleep', '1000'], { hooks }));
    expect(bench.core('create', '--bundle', bundle, id).status).not.toBe(0);
    bench.await(id, 'stopped');
    expect(bench.core('delete', id)).toMatchObject({ status: 0, stderr: '' });
  });

  test('what waits for start holds nothing of the host', () => {
    const id = next();
    bench.core('create', '--bundle', bench.bundle(id, config(['sleep', '1000'])), id);
    const files = `/proc/${bench.state(id).pid}/fd`;
    const open = readdirSync(files).map((fd) => readlinkSync(join(files, fd)).replace(/^.*\//, ''));
    expect(open.sort()).toEqual(['gate', 'null', 'report', 'stderr', 'stdout']);
    bench.core('start', id);
    expect(readdirSync(files)).toEqual(['0', '1', '2']);
    bench.core('delete', '--force', id);
  });

  test('of two starts at once one wins', () => {
    const id = next();
    bench.core('create', '--bundle', bench.bundle(id, config(['sleep', '1000'])), id);
    const { stdout } = bench.shell(
      `core start ${id} 2>/dev/null & a=$!; core start ${id} 2>/dev/null; b=$?; wait $a; echo $(($? + b))`,
    );
    expect(stdout).toBe('1\n');
    bench.core('delete', '--force', id);
  });

  test('run gives output, exit code and signal, and leaves nothing', () => {
    expect(bench.run(next(), config(['sh', '-c', 'echo out; echo err >&2; exit 7']))).toMatchObject({
      status: 7,
      stdout: 'out\n',
      stderr: 'err\n',
    });
    expect(
      bench.run(next(), config(['sh', '-c', 'kill -KILL $$; sleep 1'], { linux: { namespaces: [{ type: 'mount' }] } }))
        .status,
    ).toBe(137);
    expect(bench.run(next(), config(['cat', '/proc/self/comm'])).stdout).toBe('cat\n');
  });

  test('run --keep leaves a stopped container', () => {
    const id = next();
    bench.core('run', '--keep', '--bundle', bench.bundle(id, config(['true'])), id);
    expect(bench.state(id).status).toBe('stopped');
    bench.core('delete', id);
  });

  test('a signal to run reaches the container', () => {
    const id = next();
    const bundle = bench.bundle(
      id,
      config(['sh', '-c', 'trap "echo caught; exit 3" TERM; echo up; while :; do sleep 1 & wait; done']),
    );
    const { stdout } = bench.shell(
      `coproc exec ${coreBinary} --root ${bench.root} run --bundle ${bundle} ${id}
       pid=$COPROC_PID; read -u "${'$'}{COPROC[0]}" up; kill -TERM $pid; read -u "${'$'}{COPROC[0]}" last; wait $pid; echo "$up $last $?"`,
    );
    expect(stdout).toBe('up caught 3\n');
  });

  test('a program that is not there is the end of the container, not of start', () => {
    const id = next();
    expect(bench.run(next(), config(['nosuch']))).toMatchObject({
      status: 127,
      stderr: expect.stringContaining('nosuch: not found in $PATH'),
    });
    expect(bench.run(next(), config(['/etc']))).toMatchObject({
      status: 126,
      stderr: expect.stringContaining('Permission denied'),
    });
    expect(bench.core('create', '--bundle', bench.bundle(id, config(['nosuch'])), id).status).toBe(0);
    expect(bench.core('start', id)).toMatchObject({
      status: 0,
      stderr: expect.stringContaining('warning: exec: nosuch'),
    });
    bench.await(id, 'stopped');
    bench.core('delete', id);
  });

  test('a container without a process can be created, and ends when started', () => {
    const id = next();
    const { process: _, ...rest } = config(['true']);
    expect(bench.core('create', '--bundle', bench.bundle(id, rest), id).status).toBe(0);
    expect(bench.core('start', id).stderr).toContain('has no process to run');
    bench.await(id, 'stopped');
    bench.core('delete', id);
    expect(bench.run(next(), rest)).toMatchObject({ status: 1, stderr: expect.stringContaining('process is not set') });
  });

  test.each([
    ['not JSON', '{"process": tru}', 'byte 12: value expected'],
    ['a version of another kind', JSON.stringify({ ...config(['true']), ociVersion: '3.0.0' }), 'ociVersion 3.0.0'],
    [
      'a terminal nobody serves',
      JSON.stringify(config(['true'], { process: { terminal: true } })),
      'needs --console-socket',
    ],
  ])('create refuses %s and leaves nothing', (_name, text, message) => {
    const id = next();
    const content = text.includes('"root"') ? (JSON.parse(text) as Config) : text;
    expect(bench.core('create', '--bundle', bench.bundle(id, content), id)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(message),
    });
  });

  test('a signal right after start is not lost to a program that has yet to catch it', () => {
    const id = next();
    const script = 'busybox usleep 100000; trap "touch /caught; exit 0" TERM; while :; do sleep 1 & wait; done';
    const bundle = bench.bundle(id, config(['sh', '-c', script]));
    bench.core('run', '--detach', '--bundle', bundle, id);
    expect(bench.core('kill', id, 'TERM').status).toBe(0);
    bench.await(id, 'stopped');
    expect(existsSync(join(bench.directory, 'rootfs/caught'))).toBe(true);
    bench.core('delete', id);
  });

  test('kill --all reaches every process of a shared PID namespace, and delete --force too', () => {
    const id = next();
    const shared = { linux: { namespaces: [{ type: 'mount' }, { type: 'network' }] } };
    const bundle = bench.bundle(id, config(['sh', '-c', 'sleep 1000 & sleep 1000 & wait'], shared));
    bench.core('run', '--detach', '--bundle', bundle, id);
    const processes = (): number[] => JSON.parse(bench.core('ps', '--format', 'json', id).stdout) as number[];
    for (let tries = 0; tries < 300 && processes().length < 3; tries++);
    expect(processes()).toHaveLength(3);
    expect(bench.core('kill', '--all', id, 'KILL').status).toBe(0);
    bench.await(id, 'stopped');
    for (let tries = 0; tries < 300 && processes().length > 0; tries++);
    expect(processes()).toEqual([]);
    bench.core('delete', id);
  });

  test('list and ps show what there is', () => {
    const [a, b] = [next(), next()];
    bench.sleeper(a);
    bench.core('create', '--bundle', bench.bundle(b, config(['true'])), b);
    expect(bench.core('list', '--quiet').stdout.split('\n')).toEqual(expect.arrayContaining([a, b]));
    expect(JSON.parse(bench.core('list', '--format=json').stdout)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ id: a, status: 'running' }),
        expect.objectContaining({ id: b, status: 'created' }),
      ]),
    );
    expect(bench.core('list').stdout).toMatch(new RegExp(`${a} .*running`));
    expect(bench.core('ps', a).stdout).toMatch(/PID +COMMAND\n\d+ +sleep 1000/);
    expect(JSON.parse(bench.core('ps', '-f', 'json', a).stdout)).toEqual([bench.state(a).pid]);
    bench.core('delete', '-f', a);
    bench.core('delete', '-f', b);
  });

  test('update changes limits by options and by file; events tells figures', () => {
    const id = next();
    bench.sleeper(id);
    const limit = (controller: string, file: string): string => {
      const v1 = `/sys/fs/cgroup/${controller}/trimtab-oci-${id}/${file}`;
      return existsSync(v1) ? readFileSync(v1, 'utf8').trim() : 'v2';
    };
    expect(bench.core('update', '--memory', '64m', '--pids-limit', '33', '--cpu-share', '512', id)).toMatchObject({
      status: 0,
      stderr: '',
    });
    expect(['67108864', 'v2']).toContain(limit('memory', 'memory.limit_in_bytes'));
    expect(['33', 'v2']).toContain(limit('pids', 'pids.max'));
    const { status } = bench.shell(`echo '{"pids":{"limit":44}}' | core update --resources - ${id}`);
    expect(status).toBe(0);
    expect(['44', 'v2']).toContain(limit('pids', 'pids.max'));
    expect(bench.core('update', '--memory', 'lots', id).stderr).toContain("memory.limit: 'lots' is no number");
    const stats = JSON.parse(bench.core('events', '--stats', id).stdout) as Record<string, unknown>;
    expect(stats).toMatchObject({ type: 'stats', id, data: { pids: { current: 1 } } });
    bench.core('delete', '-f', id);
  });

  test('shares our mount namespace when none is asked for, and takes its mounts away again', () => {
    const id = next();
    const bundle = bench.bundle(id, config(['sleep', '1000'], { linux: { namespaces: [{ type: 'network' }] } }));
    expect(bench.core('run', '-d', '--bundle', bundle, id)).toMatchObject({ status: 0, stderr: '' });
    expect(bench.core('exec', id, 'ls', '/').stdout).toContain('bin\n');
    expect(bench.core('exec', id, 'ls', '/home').status).not.toBe(0);
    bench.core('delete', '-f', id);
  });

  test('groups that were there before stay, those made for it go', () => {
    const id = next();
    const bundle = bench.bundle(id, config(['true'], { linux: { cgroupsPath: `${bench.prefix}parent/of/it` } }));
    expect(bench.core('run', '--bundle', bundle, id).status).toBe(0);
  });

  test('the program inherits no descriptor but those asked for', () => {
    const count = config(['sh', '-c', 'ls /proc/self/fd | wc -l']);
    const bundle = bench.bundle('fds', count);
    // 0, 1, 2, and the one ls reads.
    expect(bench.shell(`exec 3</etc/passwd 4</etc/passwd; core run --bundle ${bundle} ${next()}`).stdout.trim()).toBe(
      '4',
    );
    expect(
      bench
        .shell(`exec 3</etc/passwd 4</etc/passwd; core run --preserve-fds 2 --bundle ${bundle} ${next()}`)
        .stdout.trim(),
    ).toBe('6');
    expect(bench.shell(`exec 3</etc/passwd; LISTEN_FDS=1 core run --bundle ${bundle} ${next()}`).stdout.trim()).toBe(
      '5',
    );
    expect(
      bench.shell(`exec 3</etc/passwd 4<&-; core run --preserve-fds=2 --bundle ${bundle} ${next()}`),
    ).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('descriptor 4 of --preserve-fds'),
    });
  });

  test('a terminal is served in the foreground', () => {
    const id = next();
    const bundle = bench.bundle(
      id,
      config(['sh', '-c', 'tty; exit 5'], { process: { terminal: true, consoleSize: { height: 20, width: 90 } } }),
    );
    expect(bench.inTerminal(`run --bundle ${bundle} ${id}`)).toMatchObject({
      status: 5,
      stdout: expect.stringContaining('/dev/pts/0\r\n'),
    });
  });
});
