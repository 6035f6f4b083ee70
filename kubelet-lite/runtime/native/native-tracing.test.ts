import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { OciSpec } from '../oci.js';
import { withPods } from './test-pods.js';

const SECRET = 'what-the-neighbour-was-told';

/**
 * A container that may trace (CAP_SYS_PTRACE) stops whatever comes into its PID namespace and looks into it, faster than a
 * shell could: see isolation/tests/inside/tracer.c. Against a core that lets processes in any earlier each of these fails.
 */
withPods('a container that may trace', {}, (pods) => {
  beforeAll(async () => {
    const source = 'kubelet-lite/isolation/tests/inside/tracer.c';
    execFileSync('cc', ['-O2', '-static', '-o', join(pods.layer, 'bin/tracer'), source]);
    for (const [id, sharePid] of [
      ['pod', false],
      ['shared', true],
    ] as const)
      await pods.runtime.runSandbox(pods.sandbox(id, { sharePid }));
    // What the pod process once held in memory for another container.
    await pods.runtime.startContainer(
      'pod',
      pods.container('neighbour', ['sleep', '1000'], {}, (s) => ({
        ...s,
        process: { ...s.process, env: [...s.process.env!, `TOLD=${SECRET}`] },
      })),
    );
  });

  const tracing = (s: OciSpec): OciSpec => {
    const sets = s.process.capabilities!;
    const more = (set: readonly string[]) => [...set, 'CAP_SYS_PTRACE'];
    const grown = {
      bounding: more(sets.bounding),
      effective: more(sets.effective),
      permitted: more(sets.permitted),
    };
    return {
      ...s,
      process: { ...s.process, capabilities: { ...sets, ...grown } },
      linux: { ...s.linux, resources: {} },
    };
  };
  const inPod =
    (pod: string) =>
    (s: OciSpec): OciSpec => ({
      ...s,
      linux: { ...s.linux, cgroupsPath: s.linux.cgroupsPath!.replace('/pod/', `/${pod}/`) },
    });
  const seen = (id: string) => {
    const lines = pods.log(id).split('\n');
    const found = lines.filter((line) => line.includes(' F seen ')).map((line) => line.replace(/^.* F seen \d+/, ''));
    return { count: found.length, had: [...new Set(found)].filter((line) => line !== '') };
  };
  const withoutMounts = (line: string) => line.replace(/ root:\S*| mounts/g, '');
  /** Execs until the tracer has caught some of them on their way. */
  const untilSeen = async (tracer: string, exec: () => Promise<unknown>) => {
    for (let i = 0; i < 2_000 && seen(tracer).count < 5; i++) await exec();
    expect(seen(tracer).count).toBeGreaterThanOrEqual(5);
  };
  const synchronous = (id: string) => async () => {
    const { exitCode, stdout } = await pods.runtime.execSync(id, {
      command: ['sh', '-c', 'echo in; exit 3'],
      timeoutMs: 120_000,
      maxOutput: 100,
    });
    expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: 'in\n' });
  };

  test('finds nothing of the node or of its neighbours in an exec', async () => {
    await pods.runtime.startContainer('pod', pods.container('t1', ['tracer', SECRET], {}, tracing));
    await untilSeen('t1', synchronous('t1'));
    expect(seen('t1').had).toEqual([]);
    await pods.runtime.removeContainer('t1');
  });

  test('nor in one with a terminal, which is its controlling one all the same', async () => {
    await pods.runtime.startContainer('pod', pods.container('t2', ['tracer', SECRET], {}, tracing));
    await untilSeen('t2', async () => {
      const command = ['sh', '-c', 'exec 3</dev/tty && echo its; tty'];
      const shell = await pods.runtime.exec('t2', { command, stdin: false, stdout: true, stderr: true, tty: true });
      let said = '';
      for await (const data of shell.stdout!) said += data;
      expect(said).toMatch(/^its\r\n\/dev\/pts\/\d+\r\n$/);
      expect(await shell.exit).toBe(0);
    });
    expect(seen('t2').had).toEqual([]);
    await pods.runtime.removeContainer('t2');
  });

  test('nor in an exec into another container that shares its PID namespace and may not trace', async () => {
    const started = (id: string, args: readonly string[], spec: (s: OciSpec) => OciSpec) =>
      pods.runtime.startContainer(
        'shared',
        pods.container(id, args, {}, (s) => spec(inPod('shared')(s))),
      );
    await started('victim', ['sleep', '1000'], (s) => s);
    await started('t3', ['tracer', SECRET], tracing);
    await untilSeen('t3', synchronous('victim'));
    expect(seen('t3').had.map(withoutMounts)).toEqual(['']);
  });

  test('nor in the first process of a container that is started where it is', async () => {
    const before = seen('t3').count;
    for (let i = 0; i < 500 && seen('t3').count < before + 5; i++) {
      const id = `late-${i}`;
      const args = ['sh', '-c', 'cat /proc/1/comm /proc/$$/comm; exit 4'];
      await pods.runtime.startContainer('shared', pods.container(id, args, {}, inPod('shared')));
      expect(await pods.exit(id)).toMatchObject({ exitCode: 4 });
      expect(pods.log(id).replace(/^\S+ /gm, '')).toBe('stdout F pause\nstdout F sh\n');
      await pods.runtime.removeContainer(id);
    }
    expect(seen('t3').count).toBeGreaterThanOrEqual(before + 5);
    expect(seen('t3').had.map(withoutMounts)).toEqual(['']);
  });

  test('and what it says in the name of one disturbs nobody but itself', async () => {
    await pods.runtime.startContainer('pod', pods.container('t4', ['tracer', SECRET, 'speak'], {}, tracing));
    const { pid } = (await pods.runtime.list()).find(({ id }) => id === 'pod')!;
    await untilSeen('t4', () =>
      pods.runtime.execSync('t4', { command: ['sleep', '0'], timeoutMs: 1_000, maxOutput: 100 }).catch(() => undefined),
    );
    expect(seen('t4').had).toEqual([' speaks']);
    await synchronous('neighbour')();
    expect((await pods.runtime.list()).find(({ id }) => id === 'pod')).toMatchObject({ pid, state: 'ready' });
    // What was sent along is not kept.
    const files = execFileSync('ls', ['-l', `/proc/${pid}/fd`], { encoding: 'utf8' });
    expect(files.split('\n').filter((line) => line.endsWith('-> /'))).toEqual([]);
    await pods.runtime.removeContainer('t4');
  });

  test('an exec that is late is ended at every step of its way in', async () => {
    await pods.runtime.startContainer('pod', pods.container('t5', ['sleep', '1000'], {}, tracing));
    for (let i = 0; i < 60; i++)
      await expect(
        pods.runtime.execSync('t5', { command: ['sleep', '500'], timeoutMs: 1 + (i % 4), maxOutput: 100 }),
      ).rejects.toMatchObject({ code: 'Timeout' });
    const { stdout } = await pods.runtime.execSync('t5', { command: ['ps'], timeoutMs: 120_000, maxOutput: 4_000 });
    expect(stdout.split('\n').filter((line) => line.includes('sleep 500'))).toEqual([]);
    await pods.runtime.removeContainer('t5');
  });
});
