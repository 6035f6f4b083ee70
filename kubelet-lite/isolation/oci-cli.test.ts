import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, cannotRun, config, coreBinary, makeCore, Workbench } from './oci-bundle.js';

const why = cannotRun();
const withContainers = why === undefined ? describe : describe.skip;

let bench: Workbench;
let sequence = 0;
const next = (): string => `${bench.prefix}${sequence++}`;

beforeAll(() => {
  makeCore();
  bench = new Workbench();
}, 180_000);
afterAll(() => bench.remove());

describe('words', () => {
  test('help begins with examples, for all and for each command', () => {
    expect(bench.core('--help').stdout).toMatch(/^Examples:\n {2}trimtab-core spec/);
    const commands = bench
      .core('--help')
      .stdout.match(/^Commands:\n((?: {2}.*\n)+)/m)?.[1]
      ?.split('\n')
      .map((line) => line.trim().split(' ')[0] ?? '')
      .filter((name) => name && name !== 'node' && name !== 'plan');
    expect(commands).toEqual(
      expect.arrayContaining(['create', 'start', 'run', 'state', 'kill', 'delete', 'exec', 'ps', 'pause', 'resume']),
    );
    for (const command of commands ?? [])
      expect(bench.core(command, '--help').stdout).toMatch(/^Example:\n {2}trimtab-core/);
  });

  test('says its versions', () => {
    expect(bench.core('--version').stdout).toMatch(/^trimtab-core version \d+\.\d+\.\d+\nspec: 1\.\d+\.\d+\n$/);
  });

  test.each([
    [['state'], 2, 'a container id is needed'],
    [['create', '--pid-file'], 2, '--pid-file needs a value'],
    [['run', '--frobnicate', 'x'], 2, '--frobnicate is not known here'],
    [['start', 'a', 'b'], 2, 'too many arguments: b'],
    [['state', '../x'], 2, "container id '../x'"],
    [['checkpoint', 'x'], 2, "no command 'checkpoint'"],
    [[], 2, 'a command is needed'],
    [['--systemd-cgroup', 'list'], 1, 'systemd as cgroup manager; use cgroupfs'],
    [['--cgroup-manager=systemd', 'list'], 1, 'systemd as cgroup manager; use cgroupfs'],
    [['--rootless=true', 'list'], 1, 'run as root'],
    [['--log-format=xml', 'list'], 1, 'use text or json'],
    [['list', '--format', 'yaml'], 1, 'table or json'],
    [['events', 'x'], 1, 'without --stats'],
    [['state', 'nobody'], 1, 'nobody does not exist'],
    [['start', 'nobody'], 1, 'nobody does not exist'],
    [['kill', 'nobody', 'NOSUCH'], 1, 'signal NOSUCH'],
    [['run', '--bundle', '/nowhere', 'x'], 1, '/nowhere: No such file or directory'],
    [['run', '--no-pivot', 'x'], 1, '--no-pivot'],
    [['exec', '--apparmor', 'p', 'x', 'true'], 1, '--apparmor'],
  ])('%j is refused', (args, status, message) => {
    expect(bench.core(...args)).toMatchObject({ status, stderr: expect.stringContaining(message) });
  });

  test('writes errors as JSON into a log file', () => {
    const log = join(bench.directory, 'log');
    bench.core('--log', log, '--log-format=json', 'state', 'nobody');
    const entry = JSON.parse(readFileSync(log, 'utf8')) as Record<string, string>;
    expect(entry).toMatchObject({ level: 'error', msg: expect.stringContaining('nobody does not exist') });
    expect(entry.time).toMatch(/^\d{4}-\d\d-\d\dT/);
  });

  test('promises no feature that the plan refuses', () => {
    const features = JSON.parse(bench.core('features').stdout) as {
      hooks: string[];
      mountOptions: string[];
      linux: {
        namespaces: string[];
        capabilities: string[];
        seccomp: { actions: string[]; operators: string[]; archs: string[]; supportedFlags: string[] };
      };
    };
    expect(features.hooks).toHaveLength(6);
    const plan = (changes: Config): string =>
      spawnSync(coreBinary, ['plan', join(bench.bundle('plan', config(['true'], changes)), 'config.json')], {
        encoding: 'utf8',
      }).stderr;
    for (const option of features.mountOptions) {
      const type = option === 'tmpcopyup' ? 'tmpfs' : option.includes('idmap') ? undefined : 'bind';
      if (type)
        expect([option, plan({ mounts: [{ destination: '/x', type, source: '/y', options: [option] }] })]).toEqual([
          option,
          '',
        ]);
    }
    const { seccomp } = features.linux;
    for (const action of seccomp.actions)
      for (const op of seccomp.operators)
        expect([
          action,
          op,
          plan({
            linux: {
              seccomp: {
                defaultAction: 'SCMP_ACT_ALLOW',
                architectures: seccomp.archs,
                flags: seccomp.supportedFlags,
                syscalls: [{ names: ['mkdir'], action, args: [{ index: 0, value: 1, valueTwo: 1, op }] }],
              },
            },
          }),
        ]).toEqual([action, op, '']);
    expect(plan({ process: { capabilities: { bounding: features.linux.capabilities } } })).toBe('');
  });

  test('spec writes a configuration the plan takes, and never over another', () => {
    const { status } = bench.core('spec', '--bundle', bench.directory);
    expect(status).toBe(0);
    expect(JSON.parse(bench.read('config.json'))).toMatchObject({ process: { args: ['sh'] } });
    expect(bench.core('spec', '--bundle', bench.directory)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('File exists'),
    });
  });
});

withContainers(`containers${why ? ` (${why})` : ''}`, () => {
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
    expect(bench.shell(inTerminal(`run --bundle ${bundle} ${id}`))).toMatchObject({
      status: 5,
      stdout: expect.stringContaining('/dev/pts/0\r\n'),
    });
  });
});

/** A command line with a terminal for its standard streams. */
const inTerminal = (args: string): string =>
  `script -qec "${coreBinary} --root ${bench.root} ${args}" /dev/null </dev/null`;

withContainers(`exec${why ? ` (${why})` : ''}`, () => {
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
    const { stdout } = bench.shell(inTerminal(`exec --tty ${id} tty`));
    expect(stdout.trim()).toMatch(/^\/dev\/pts\/\d+$/);
  });

  test("is in the container's groups and cannot be reached from them by our file", () => {
    const groups = exec(id, 'cat', '/proc/self/cgroup').stdout.trim().split('\n');
    for (const line of groups) expect(line).toMatch(/:\/$/);
    // What runs inside was started from a sealed copy: /proc/PID/exe of the container's process is its own program.
    expect(exec(id, 'readlink', '/proc/1/exe').stdout.trim()).toBe('/bin/sleep');
  });
});

withContainers(`hooks${why ? ` (${why})` : ''}`, () => {
  const kinds = ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'] as const;
  const log = () => join(bench.directory, 'hooks.log');
  const said = () => (existsSync(log()) ? readFileSync(log(), 'utf8').trim().split('\n') : []);
  /** Outside a hook writes to the host's file, inside to one of the root. */
  const hook = (kind: string, script = '', more: object = {}) => {
    const file = kind === 'startContainer' ? '/hooks.log' : log();
    return {
      path: '/bin/sh',
      args: ['sh', '-c', `read state; echo "${kind} $state $X" >> ${file}; ${script}`],
      env: ['PATH=/bin:/usr/bin', 'X=y'],
      ...more,
    };
  };
  const statusOf = (line: string | undefined): unknown => {
    const match = /^(\w+) (\{.*\}) y$/.exec(line ?? '');
    return match ? [match[1], (JSON.parse(match[2] ?? '{}') as { status: string }).status] : line;
  };
  beforeEach(() => bench.shell(`rm -f ${log()} rootfs/hooks.log`));
  afterEach(() => expect(bench.clear()).toEqual([]));

  test('run in the order of the specification, with the state on their input', () => {
    const id = next();
    const hooks = Object.fromEntries(kinds.map((kind) => [kind, [hook(kind), hook(kind)]]));
    const bundle = bench.bundle(id, config(['sleep', '1000'], { hooks, annotations: { k: 'v' } }));
    expect(bench.core('create', '--bundle', bundle, id)).toMatchObject({ status: 0, stderr: '' });
    const { pid } = bench.state(id);
    expect(said().map(statusOf)).toEqual([
      ['prestart', 'created'],
      ['prestart', 'created'],
      ['createRuntime', 'creating'],
      ['createRuntime', 'creating'],
      ['createContainer', 'creating'],
      ['createContainer', 'creating'],
    ]);
    for (const line of said())
      expect(JSON.parse(line.slice(line.indexOf('{'), line.lastIndexOf('}') + 1))).toMatchObject({
        id,
        pid,
        bundle,
        annotations: { k: 'v' },
      });
    expect(existsSync(join(bench.directory, 'rootfs/hooks.log'))).toBe(false);
    expect(bench.core('start', id)).toMatchObject({ status: 0, stderr: '' });
    expect(bench.read('rootfs/hooks.log').trim().split('\n').map(statusOf)).toEqual([
      ['startContainer', 'created'],
      ['startContainer', 'created'],
    ]);
    expect(said().slice(6).map(statusOf)).toEqual([
      ['poststart', 'running'],
      ['poststart', 'running'],
    ]);
    bench.core('delete', '--force', id);
    expect(said().slice(8).map(statusOf)).toEqual([
      ['poststop', 'stopped'],
      ['poststop', 'stopped'],
    ]);
  });

  test("createContainer sees the container's mounts, createRuntime the host's", () => {
    const look = (kind: string) => [
      hook(kind, `grep -c ' ${bench.directory}/rootfs/proc ' /proc/self/mounts >> ${log()}; true`),
    ];
    bench.run(
      next(),
      config(['true'], { hooks: { createRuntime: look('createRuntime'), createContainer: look('createContainer') } }),
    );
    expect(said().filter((line) => /^\d/.test(line))).toEqual(['0', '1']);
  });

  test.each(['prestart', 'createRuntime', 'createContainer', 'startContainer'] as const)(
    'a failing %s hook stops the container; nothing runs, poststop does',
    (kind) => {
      const id = next();
      const hooks = {
        [kind]: [hook(kind, 'echo because >&2; exit 3'), hook('poststart')],
        poststop: [hook('poststop')],
      };
      const bundle = bench.bundle(id, config(['touch', '/ran'], { hooks }));
      const made = bench.core('create', '--bundle', bundle, id);
      const failed = kind === 'startContainer' ? bench.core('start', id) : made;
      expect(failed).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(new RegExp(`${kind} /bin/sh: exit code 3: because`)),
      });
      if (kind === 'startContainer') {
        bench.await(id, 'stopped');
        bench.core('delete', id);
      }
      expect(existsSync(join(bench.directory, 'rootfs/ran'))).toBe(false);
      expect(said().map((line) => line.split(' ')[0])).toEqual(
        kind === 'startContainer' ? ['poststop'] : [kind, 'poststop'],
      );
    },
  );

  test.each(['poststart', 'poststop'] as const)('a failing %s hook is a warning, and the rest goes on', (kind) => {
    const id = next();
    const hooks = { [kind]: [hook(kind, 'exit 1'), hook(kind)] };
    const bundle = bench.bundle(id, config(['true'], { hooks }));
    bench.core('create', '--bundle', bundle, id);
    const start = bench.core('start', id);
    bench.await(id, 'stopped');
    const removed = bench.core('delete', id);
    expect([start.status, removed.status]).toEqual([0, 0]);
    expect(start.stderr + removed.stderr).toContain(`warning: hook: ${kind} /bin/sh: exit code 1`);
    expect(said()).toHaveLength(2);
  });

  test('a hook that takes longer than its timeout is killed', () => {
    const hooks = { createRuntime: [hook('createRuntime', 'exec sleep 100', { timeout: 1 })] };
    expect(bench.run(next(), config(['true'], { hooks }))).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('createRuntime /bin/sh after 1 s'),
    });
  });

  test.each([
    [{ prestart: [{ path: 'sh' }] }, "path 'sh' is not absolute"],
    [{ poststop: [{ path: '/bin/sh', timeout: 0 }] }, 'timeout of /bin/sh'],
    [{ poststop: 5 }, 'hooks.poststop'],
    [{ createRuntime: [{ path: '/no/such' }] }, 'exit code 127: No such file or directory'],
  ])('%j is refused', (hooks, message) => {
    expect(bench.run(next(), config(['true'], { hooks }))).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(message),
    });
  });

  test('a hook asks for the state while the container is being created', () => {
    const id = next();
    const script = `${coreBinary} --root ${bench.root} state ${id} >> ${log()}`;
    bench.run(id, config(['true'], { hooks: { createRuntime: [hook('createRuntime', script)] } }));
    expect(JSON.parse(said()[1] ?? '{}')).toMatchObject({ id, status: 'creating' });
    expect(readdirSync(bench.root)).toEqual([]);
  });
});
