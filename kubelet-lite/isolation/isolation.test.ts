import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const here = resolve('kubelet-lite/isolation');

test('the C units hold under the address and undefined-behaviour sanitizers', () => {
  const made = spawnSync('make', ['--silent', '--no-print-directory', '-C', here, 'test'], { encoding: 'utf8' });
  expect({ status: made.status, stderr: made.stderr }).toEqual({ status: 0, stderr: '' });
  expect(made.stdout.match(/^ok /gm)).toHaveLength(10);
});

test('what parses the words of others holds for a thousand changes of good ones', () => {
  const args = ['--silent', '--no-print-directory', '-C', here, 'fuzz', 'FUZZ_RUNS=1000'];
  const made = spawnSync('make', args, { encoding: 'utf8', timeout: 280_000 });
  expect({ status: made.status, stderr: made.stderr }).toEqual({ status: 0, stderr: '' });
  expect(made.stdout.match(/^fuzz_\w+ seed 1: 1000 runs/gm)).toHaveLength(6);
});

describe('the command line', () => {
  const dir = mkdtempSync(join(tmpdir(), 'tt-cli-'));
  const core = (...args: string[]) => spawnSync(join(here, 'build/trimtab-core'), args, { encoding: 'utf8' });
  beforeAll(() => {
    spawnSync('make', ['--silent', '--no-print-directory', '-C', here], { stdio: 'inherit' });
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  test('prints the plan of a configuration before doing anything', () => {
    const config = join(dir, 'config.json');
    writeFileSync(
      config,
      JSON.stringify({
        ociVersion: '1.2.0',
        root: { path: 'rootfs', readonly: true },
        process: { args: ['/bin/true'], env: [], cwd: '/', user: { uid: 5, gid: 6 } },
        mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }],
        linux: {
          namespaces: [{ type: 'pid' }, { type: 'mount' }],
          seccomp: { profile: 'runtime/default' },
          maskedPaths: ['/proc/kcore'],
        },
      }),
    );
    const { stdout, status } = core('plan', config);
    expect(status).toBe(0);
    expect(stdout.split('\n')).toEqual(
      expect.arrayContaining([
        'new-namespace pid',
        'root rootfs readonly',
        'mask /proc/kcore',
        'user 5:6 no-new-privileges=0',
        'exec /bin/true in /',
      ]),
    );
    expect(Number(/seccomp (\d+) instructions/.exec(stdout)?.[1])).toBeGreaterThan(100);
  });

  test('names the place of a fault in a configuration', () => {
    const config = join(dir, 'broken.json');
    writeFileSync(config, '{"process": tru}');
    expect(core('plan', config)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('byte 12: value expected'),
    });
  });

  test('refuses by name what it does not support', () => {
    expect(core('checkpoint', 'x')).toMatchObject({ status: 2 });
    expect(core('run', '--no-such-thing', 'y')).toMatchObject({
      status: 2,
      stderr: 'trimtab-core: run: --no-such-thing is not known here\ntry: trimtab-core run --help\n',
    });
    expect(core('--root', dir, 'state', 'nobody')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('nobody does not exist'),
    });
  });
});
