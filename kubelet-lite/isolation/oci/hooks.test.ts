import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { config, coreBinary, describeContainers, useWorkbench } from './bundle.js';

const bench = useWorkbench();
const { next } = bench;

describeContainers('hooks', () => {
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
