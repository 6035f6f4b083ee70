import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, config, coreBinary, useWorkbench } from './bundle.js';

const bench = useWorkbench();

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
