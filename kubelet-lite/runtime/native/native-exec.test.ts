import { readdirSync, readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import type { OciSpec } from '../oci.js';
import { RuntimeError } from '../runtime.js';
import { type TestPods, withPods } from './test-pods.js';

/**
 * Who asks the same container again and again gets its programs from a process that has gone all the way in once: see
 * isolation/pod/zygote.c. What they are and may is to be the same, and nobody is to notice.
 */
withPods('execs one after another', { idle: true }, (pods) => {
  const exec = (id: string, ...command: string[]) =>
    pods.runtime.execSync(id, { command, timeoutMs: 120_000, maxOutput: 20_000 });
  const sh = (id: string, command: string) => exec(id, 'sh', '-c', command);
  /** The pod process's own helpers among its children, as opposed to what runs in containers. */
  const helpers = async (pod = 'pod') => {
    const { pid } = (await pods.runtime.list()).find(({ id }) => id === pod)!;
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .split(' ')
      .filter((child) => child !== '')
      .map(Number)
      .filter((child) => comm(child) === 'trimtab-pod');
  };
  const comm = (pid: number) => {
    try {
      return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
    } catch {
      return '';
    }
  };
  const until = async (there: () => Promise<boolean>) => {
    while (!(await there())) await new Promise((resolve) => setTimeout(resolve, 2));
  };
  /** A container that has been asked twice, and its helper, which is done when it owns no more of its maker's memory. */
  const asked = async (id: string, pod = 'pod') => {
    const before = new Set(await helpers(pod));
    await exec(id, 'true');
    await exec(id, 'true');
    const fresh = async () => (await helpers(pod)).filter((pid) => !before.has(pid));
    await until(async () => (await fresh()).some(waitsForRequests));
    return (await fresh())[0]!;
  };
  /** recvmsg, outside the PID namespace of the container. */
  const waitsForRequests = (pid: number) => {
    try {
      return /^(47|212) /.test(readFileSync(`/proc/${pid}/syscall`, 'utf8'));
    } catch {
      return false;
    }
  };
  const start = (id: string, change?: (spec: OciSpec) => OciSpec) =>
    pods.runtime.startContainer('pod', pods.container(id, ['sleep', '1000'], {}, change));
  const streamed = async (id: string, command: readonly string[]) => {
    const shell = await pods.runtime.exec(id, { command, stdin: true, stdout: true, stderr: true, tty: false });
    shell.stdin!.end('given');
    const [out, err] = await Promise.all([text(shell.stdout!), text(shell.stderr!)]);
    return { out, err, code: await shell.exit };
  };

  test.each([
    ['of the node’s user', 'same', {}],
    ['of root', 'rooted', { process: { user: { uid: 0, gid: 0, additionalGids: [7, 9] }, noNewPrivileges: false } }],
    [
      'of somebody',
      'somebody',
      {
        process: {
          user: { uid: 1234, gid: 77, umask: 0o27 },
          cwd: '/tmp',
          rlimits: [{ type: 'RLIMIT_NOFILE', soft: 100, hard: 200 }],
        },
      },
    ],
    ['without a filter', 'unfiltered', { linux: { seccomp: undefined } }],
  ])('are all the same: in a container %s', async (_, id, change: { process?: object; linux?: object }) => {
    await start(id, (s) => ({
      ...s,
      process: { ...s.process, oomScoreAdj: 500, ...change.process },
      linux: { ...s.linux, ...change.linux },
    }));
    const identity =
      'grep -vE "^(Name|Tgid|Pid|PPid|Vm|Rss|NS|SigQ|.*ctxt|Mems|Cpus|Threads|Speculation|Untag|HugetlbP|THP)" /proc/self/status; ' +
      'cat /proc/self/cgroup /proc/self/limits /proc/self/oom_score_adj; id; umask; pwd; env; ls -l /proc/self/ns; ' +
      'for fd in 1 2; do stat -Lc "%F %u %a" /proc/self/fd/$fd; done; ls /proc/self/fd; readlink /proc/$$/fd/0; tty; ' +
      '[ "$(cut -d" " -f6 /proc/$$/stat)" = $$ ] && echo leader of its session';
    const first = await sh(id, identity);
    const helper = await asked(id);
    expect(comm(helper)).toBe('trimtab-pod');
    expect(await sh(id, identity)).toEqual(first);
    expect(first.stdout).toMatch(/\nNoNewPrivs:[\s\S]*\nleader of its session\n$/);
    // Nobody inside sees it.
    const { stdout } = await exec(id, 'ps', '-o', 'comm');
    expect(stdout.trim().split(/\s+/).sort()).toEqual(['COMMAND', 'ps', 'sleep']);
    await pods.runtime.removeContainer(id);
    await until(async () => comm(helper) === '');
  });

  test('end with their code or signal and say what they said, with streams too', async () => {
    await start('codes');
    await asked('codes');
    for (const [command, result] of [
      ['echo out; echo err >&2; exit 3', { exitCode: 3, stdout: 'out\n', stderr: 'err\n' }],
      ['kill -9 $$', { exitCode: 137, stdout: '', stderr: '' }],
      ['cat; seq 1 30000 | tail -1', { exitCode: 0, stdout: '30000\n', stderr: '' }],
      // Somebody else still has its output open.
      ['sleep 100 & echo mine', { exitCode: 0, stdout: 'mine\n', stderr: '' }],
    ] as const)
      expect(await sh('codes', command)).toEqual(result);
    const much = await sh('codes', 'seq 1 100000 >&2; echo done');
    expect([much.stdout, much.stderr.length]).toEqual(['done\n', 20_000]);
    expect(await streamed('codes', ['sh', '-c', 'cat; echo err >&2; exit 4'])).toEqual({
      out: 'given',
      err: 'err\n',
      code: 4,
    });
    const long = 'x'.repeat(20_000);
    expect((await exec('codes', 'sh', '-c', 'echo $#', 'sh', ...Array(300).fill('a'))).stdout).toBe('300\n');
    expect((await exec('codes', 'echo', long.slice(1))).stdout).toBe(`${long.slice(1)}\n`);
    expect((await exec('codes', '/bin/echo', '', 'b')).stdout).toBe(' b\n');
    for (const [command, object] of [
      ['nothing', 'nothing: not found in $PATH'],
      ['/no/such', '/no/such'],
    ] as const) {
      const failed = { stage: 'exec', errno: 'ENOENT', object };
      await expect(exec('codes', command)).rejects.toMatchObject(failed);
      await expect(streamed('codes', [command])).rejects.toMatchObject(failed);
    }
    await pods.runtime.removeContainer('codes');
  });

  test('many at once are kept apart, and late ones are ended at every step of their way', async () => {
    await start('many');
    const helper = await asked('many');
    const numbers = Array.from({ length: 25 }, (_, i) => i);
    const answers = await Promise.all(numbers.map((i) => sh('many', `echo ${i}; exit ${i}`)));
    expect(answers).toEqual(numbers.map((i) => ({ exitCode: i, stdout: `${i}\n`, stderr: '' })));
    for (let i = 0; i < 60; i++)
      await expect(
        pods.runtime.execSync('many', { command: ['sleep', '500'], timeoutMs: 1 + (i % 4), maxOutput: 100 }),
      ).rejects.toMatchObject({ code: 'Timeout' });
    expect((await exec('many', 'ps')).stdout).not.toContain('sleep 500');
    expect(comm(helper)).toBe('trimtab-pod');
    await pods.runtime.removeContainer('many');
  });

  test('a stream has what was said before anybody could listen', async () => {
    await start('early');
    await asked('early');
    const ask = async () => {
      for (let i = 0; i < 100; i++)
        expect(await streamed('early', ['echo', String(i)])).toMatchObject({ out: `${i}\n` });
    };
    await Promise.all([ask(), ask(), ask(), ask()]);
    await pods.runtime.removeContainer('early');
  });

  test('go on where the helper is killed, and answer where the container ends meanwhile', async () => {
    await start('killed');
    const helper = await asked('killed');
    const running = sh('killed', 'sleep 0.2; echo whole');
    await sh('killed', 'true');
    process.kill(helper, 'SIGKILL');
    await until(async () => comm(helper) === '');
    expect(await running).toMatchObject({ exitCode: 0, stdout: 'whole\n' });
    for (let i = 0; i < 3; i++) expect(await sh('killed', 'echo again')).toMatchObject({ stdout: 'again\n' });
    await pods.runtime.removeContainer('killed');
    await start('ending');
    await asked('ending');
    const all = Array.from({ length: 20 }, () => exec('ending', 'sleep', '100').catch((error: unknown) => error));
    await pods.runtime.signal('ending', 'KILL');
    for (const answer of await Promise.all(all))
      if (answer instanceof RuntimeError) expect(['start', 'exec', 'namespace']).toContain(answer.stage);
      else expect(answer).toMatchObject({ exitCode: 137 });
    await pods.runtime.removeContainer('ending');
    expect(await helpers()).toEqual([]);
  });

  test.each([
    [
      'whose filter leaves no room for it',
      { seccomp: { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['clone'], action: 'SCMP_ACT_ERRNO' }] } },
    ],
    ['that may have few processes', { resources: { pids: { limit: 12 } } }],
  ])('go without one in a container %s', async (what, linux) => {
    const id = `few-${what.length}`;
    await start(id, (s) => ({ ...s, linux: { ...s.linux, ...(linux as object) } }));
    for (let i = 0; i < 5; i++) {
      expect(await exec(id, 'true')).toMatchObject({ exitCode: 0 });
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    expect(await helpers()).toEqual([]);
    await pods.runtime.removeContainer(id);
  });

  test('in a pod with a user namespace and shared processes too', async () => {
    const ids = [{ containerID: 0, hostID: 1_310_720, size: 65_536 }];
    await pods.runtime.runSandbox(
      pods.sandbox('users', { sharePid: true, userNamespace: { uidMappings: ids, gidMappings: ids } }),
    );
    const inside = (s: OciSpec) => ({
      ...s,
      process: { ...s.process, user: { uid: 5, gid: 6 } },
      linux: { ...s.linux, cgroupsPath: s.linux.cgroupsPath!.replace('/pod/', '/users/') },
    });
    await pods.runtime.startContainer('users', pods.container('mapped', ['sleep', '1000'], {}, inside));
    await asked('mapped', 'users');
    const command = 'id -u; cat /proc/self/uid_map; echo reopened > /dev/stdout; ls -ld /proc/self';
    const { stdout } = await sh('mapped', command);
    expect(stdout).toMatch(/^5\n\s+0 +1310720 +65536\nreopened\n/);
    await pods.runtime.removeSandbox('users');
  });

  test('leave nothing open in the pod process', async () => {
    const open = async (target: TestPods) => {
      const { pid } = (await target.runtime.list()).find(({ id }) => id === 'pod')!;
      return readdirSync(`/proc/${pid}/fd`).length;
    };
    await start('open');
    const before = await open(pods);
    const helper = await asked('open');
    await Promise.all(Array.from({ length: 10 }, () => sh('open', 'echo')));
    // Where requests go; and the helper has its streams, where they come from, and nothing of the node's.
    expect((await open(pods)) - before).toBeLessThanOrEqual(2);
    expect(readdirSync(`/proc/${helper}/fd`).length).toBe(4);
    await pods.runtime.removeContainer('open');
  });
});
