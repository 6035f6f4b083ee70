import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { config, coreBinary, describeContainers, useWorkbench } from './bundle.js';

const bench = useWorkbench();
const { next } = bench;

describeContainers('exec', () => {
  let id: string;
  beforeAll(() => {
    id = next();
    bench.sleeper(id, { process: { env: ['PATH=/bin', 'A=1'], user: { uid: 5, gid: 6, additionalGids: [7] } } });
  });
  afterAll(() => {
    bench.core('delete', '--force', id);
  });
  const exec = (...args: readonly string[]) => bench.core('exec', ...args);

  test('runs as the container does, with its exit code', () => {
    expect(exec(id, 'sh', '-c', 'id -u; id -g; id -G; echo $A; pwd; hostname; exit 9')).toMatchObject({
      status: 9,
      stdout: '5\n6\n6 7\n1\n/\nbox\n',
    });
    expect(exec(id, 'nosuch')).toMatchObject({ status: 127, stderr: expect.stringContaining('nosuch: not found') });
    expect(exec(id)).toMatchObject({ status: 1, stderr: expect.stringContaining('a command is needed') });
  });

  test('options change user, groups, directory, environment, capabilities', () => {
    const script = 'id -u; id -g; id -G; pwd; echo $A $B; grep -E "CapEff|NoNewPrivs" /proc/self/status';
    const args = [
      '-u',
      '0:9',
      '-g',
      '11',
      '--cwd',
      '/tmp',
      '-e',
      'A=2',
      '--env=B=3',
      '-c',
      'SYS_CHROOT',
      '--no-new-privs',
    ];
    expect(exec(...args, id, 'sh', '-c', script).stdout).toBe(
      '0\n9\n9 7 11\n/tmp\n2 3\nCapEff:\t00000000000404e1\nNoNewPrivs:\t1\n',
    );
    for (const user of ['root', '-1', '1:', '4294967295', ' 0', ''])
      expect(exec(`--user=${user}`, id, 'id')).toMatchObject({
        status: 1,
        stdout: '',
        stderr: expect.stringContaining('UID[:GID] in numbers'),
      });
    expect(exec('--cap', 'NOSUCH', id, 'true').stderr).toContain('--cap NOSUCH');
    expect(exec('--cwd', 'tmp', id, 'true').stderr).toContain('--cwd tmp: absolute');
  });

  test('takes a whole process from a file', () => {
    const file = join(bench.directory, 'process.json');
    writeFileSync(
      file,
      JSON.stringify({
        args: ['sh', '-c', 'id -u; echo $C'],
        env: ['PATH=/bin', 'C=4'],
        cwd: '/',
        user: { uid: 8, gid: 8 },
      }),
    );
    expect(exec('--process', file, id).stdout).toBe('8\n4\n');
  });

  test('detached it goes on by itself', () => {
    const pidFile = join(bench.directory, 'exec.pid');
    expect(exec('--detach', '--pid-file', pidFile, id, 'sleep', '500').status).toBe(0);
    const processes = JSON.parse(bench.core('ps', '--format=json', id).stdout) as number[];
    expect(processes).toContain(Number(readFileSync(pidFile, 'utf8')));
    expect(exec('--detach', '--tty', id, 'true').stderr).toContain('--tty needs --console-socket');
    expect(exec('--console-socket', '/x', id, 'true').stderr).toContain('--console-socket without --tty');
  });

  test('gives a terminal', () => {
    const { stdout } = bench.inTerminal(`exec --tty ${id} tty`);
    expect(stdout).toMatch(/\/dev\/pts\/\d+\r\n/);
  });

  test("is in the container's groups and cannot be reached from them by our file", () => {
    const groups = exec(id, 'cat', '/proc/self/cgroup').stdout.trim().split('\n');
    for (const line of groups) expect(line).toMatch(/:\/$/);
    // What runs inside was started from a sealed copy: /proc/PID/exe of the container's process is its own program.
    expect(exec(id, 'readlink', '/proc/1/exe').stdout.trim()).toBe('/bin/sleep');
  });

  /** See the program: what a container that may trace looks for. */
  const makeTracer = (): void => {
    execFileSync('cc', [
      '-O2',
      '-static',
      '-o',
      join(bench.directory, 'rootfs/bin/tracer'),
      'kubelet-lite/isolation/tests/inside/tracer.c',
    ]);
  };

  test.each(['', '--tty'])('into a container that may trace it comes with nothing of its caller, %s', (tty) => {
    const tracing = next();
    const name = `seen-by-${tracing}`;
    makeTracer();
    const sets = ['CAP_CHOWN', 'CAP_KILL', 'CAP_SETUID', 'CAP_SETGID', 'CAP_SYS_PTRACE'];
    const capabilities = { bounding: sets, effective: sets, permitted: sets };
    const bundle = bench.bundle(tracing, config(['tracer', 'what-the-caller-knows'], { process: { capabilities } }));
    const found = bench.shell(`
      core run --detach --bundle ${bundle} ${tracing} > ${name}
      export TOLD=what-the-caller-knows
      for i in $(seq 500); do
        script -qec "${coreBinary} --root ${bench.root} exec ${tty} ${tracing} true" /dev/null </dev/null >/dev/null || echo failed
        [ "$(grep -c seen ${name})" -ge 5 ] && break
      done
      core delete --force ${tracing}`);
    expect(found).toMatchObject({ status: 0, stdout: '', stderr: '' });
    const lines = bench.read(name).split('\n').slice(1, -1);
    expect(lines.length).toBeGreaterThanOrEqual(5);
    // The caller's terminal is what it hands over itself.
    expect(lines.filter((line) => !/^seen \d+( file:\/dev\/pts\/\d+)*$/.test(line))).toEqual([]);
  });

  test('into a container whose PID namespace another has joined, which may trace, likewise; a filter that forbids it is no obstacle', () => {
    const [owner, guest, strict] = [next(), next(), next()];
    makeTracer();
    bench.sleeper(owner);
    const sets = ['CAP_CHOWN', 'CAP_KILL', 'CAP_SETUID', 'CAP_SETGID', 'CAP_NET_BIND_SERVICE', 'CAP_SYS_PTRACE'];
    const capabilities = { bounding: sets, effective: sets, permitted: sets };
    const namespaces = [
      { type: 'pid', path: `/proc/${bench.state(owner).pid}/ns/pid` },
      ...['mount', 'network', 'ipc', 'uts', 'cgroup'].map((type) => ({ type })),
    ];
    const joined = config(['tracer', 'no-such-words'], { process: { capabilities }, linux: { namespaces } });
    const found = bench.shell(`
      core run --detach --bundle ${bench.bundle(guest, joined)} ${guest} > seen
      for i in $(seq 500); do
        core exec ${owner} true </dev/null || echo failed
        [ "$(grep -c seen seen)" -ge 5 ] && break
      done
      core delete --force ${guest}; core delete --force ${owner}`);
    expect(found).toMatchObject({ status: 0, stdout: '', stderr: '' });
    const lines = bench.read('seen').split('\n').slice(1, -1);
    expect(lines.length).toBeGreaterThanOrEqual(5);
    expect(lines.filter((line) => /rights|memory|cgroup|pidfd/.test(line))).toEqual([]);
    const seccomp = {
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names: ['clone', 'clone3', 'fork', 'vfork', 'setsid'], action: 'SCMP_ACT_ERRNO' }],
    };
    bench.sleeper(strict, { linux: { seccomp } });
    expect(exec(strict, 'echo', 'in')).toMatchObject({ status: 0, stdout: 'in\n' });
    bench.core('delete', '--force', strict);
  });

  test.each([
    ['run', 'core run --bundle $bundle $guest'],
    ['create and start', 'core create --bundle $bundle $guest && core start $guest && core delete --force $guest'],
  ])('nor does a first process that joins its PID namespace bring anything: %s', (how, command) => {
    const [owner, guest] = [next(), next()];
    const name = `seen-by-${owner}`;
    makeTracer();
    const sets = ['CAP_CHOWN', 'CAP_KILL', 'CAP_SETUID', 'CAP_SETGID', 'CAP_NET_BIND_SERVICE', 'CAP_SYS_PTRACE'];
    const capabilities = { bounding: sets, effective: sets, permitted: sets };
    const tracing = config(['tracer', 'what-the-caller-knows'], { process: { capabilities } });
    bench.shell(`core run --detach --bundle ${bench.bundle(owner, tracing)} ${owner} > ${name}`);
    const namespaces = [
      { type: 'pid', path: `/proc/${bench.state(owner).pid}/ns/pid` },
      ...['mount', 'network', 'ipc', 'uts', 'cgroup'].map((type) => ({ type })),
    ];
    // What its maker has in memory, as an engine's configuration may be.
    const annotations = { told: 'what-the-caller-knows' };
    const bundle = bench.bundle(guest, config(['sh', '-c', 'exit 0'], { annotations, linux: { namespaces } }));
    const found = bench.shell(`
      guest=${guest} bundle=${bundle}
      export TOLD=what-the-caller-knows
      for i in $(seq 300); do
        ${command} </dev/null || echo failed
        [ "$(grep -c seen ${name})" -ge 5 ] && break
      done
      core delete --force ${owner}`);
    expect(found).toMatchObject({ status: 0, stdout: '', stderr: '' });
    const lines = bench.read(name).split('\n').slice(1, -1);
    expect(lines.length).toBeGreaterThanOrEqual(5);
    // Streams are the caller's to give, root and mounts the guest's own; what it waits at between create and start is nobody's secret.
    const gate = how === 'run' ? '' : `|${bench.root}/${guest}/(gate|report)( \\(deleted\\))?`;
    const given = `( file:(${bench.directory}/std(out|err)${gate}))*`;
    const own = new RegExp(`^seen \\d+${given}( root:\\S+)?( mounts)?$`);
    expect(lines.filter((line) => !own.test(line))).toEqual([]);
  });
});
