import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '@trimtab/machinery';
import { type TestPods, testPods, whyNoPods } from './native/test-pods.js';
import { parseHandler } from './oci/index.js';
import { OciRuntime } from './oci/oci-runtime.js';
import type { ContainerConfig, PodRuntime } from './runtime.js';

/** What the kubelet may rely on, of whatever runs its pods: the native core, and other people's OCI runtimes through it. */

const program = (name: string) => ['/usr/bin', '/usr/sbin'].map((dir) => join(dir, name)).find(existsSync);
const kinds: readonly (readonly [string, string | undefined])[] = [
  ['the native core', 'native'],
  ['crun', program('crun')],
  ['runc', program('runc')],
];

for (const [kind, binary] of kinds) {
  const why = whyNoPods() ?? (binary ? undefined : `${kind} is not installed`);
  (why ? describe.skip : describe)(why ? `${kind}: ${why}` : kind, () => {
    let pods: TestPods;
    let runtime: PodRuntime;
    let n = 0;

    const over = async (base: TestPods['runtime']): Promise<PodRuntime> => {
      if (binary === 'native') return base;
      const handler = parseHandler(`${kind}=${binary}`);
      return new OciRuntime({ handler, base, stateDir: join(pods.dir, 'state'), clock: systemClock });
    };
    beforeAll(async () => {
      pods = await testPods();
      runtime = await over(pods.runtime);
    });
    afterAll(() => pods.close());

    const container = (pod: string, script: string, change?: (config: ContainerConfig) => ContainerConfig) => {
      const config = pods.container(`${pod}-main-0`, ['/bin/sh', '-c', script]);
      return (change ?? ((same) => same))(config);
    };
    const pod = async (): Promise<string> => {
      const id = `${kind.split(' ').at(-1)}${n++}`;
      await runtime.runSandbox(pods.sandbox(id));
      return id;
    };
    /** A container that runs, once it has said so. */
    const started = async (
      id: string,
      script = 'sleep 1000',
      change?: (config: ContainerConfig) => ContainerConfig,
    ) => {
      const status = await runtime.startContainer(id, container(id, script, change));
      expect(status.id).toBe(`${id}-main-0`);
      return status;
    };
    const output = (id: string) =>
      pods
        .log(`${id}-main-0`)
        .split('\n')
        .filter(Boolean)
        .map((line) => line.split(' ').slice(3).join(' '));

    test('output and exit codes arrive; the root file system and its changes go with the container', async () => {
      const id = await pod();
      await started(id, 'echo hello; echo oops >&2; touch /mark; exit 7');
      expect(await pods.exit(`${id}-main-0`)).toMatchObject({ exitCode: 7, signal: 0, state: 'exited' });
      expect(output(id)).toEqual(['hello', 'oops']);
      await runtime.removeContainer(`${id}-main-0`);
      await runtime.removeContainer(`${id}-main-0`);
      expect(existsSync(join(pods.layer, 'mark'))).toBe(false);
      expect(existsSync(join(pods.dir, 'containers', `${id}-main-0`, 'bundle'))).toBe(false);
      await runtime.removeSandbox(id);
      await runtime.removeSandbox(id);
    });

    test('a command that is not there is told as such, and leaves nothing', async () => {
      const id = await pod();
      const config = container(id, '');
      const spec = { ...config.spec, process: { ...config.spec.process, args: ['/no/such'] } };
      await expect(runtime.startContainer(id, { ...config, spec })).rejects.toMatchObject({
        errno: 'ENOENT',
        object: '/no/such',
      });
      expect((await runtime.list()).find((s) => s.id === id)?.containers.filter((c) => c.state === 'running')).toEqual(
        [],
      );
      await runtime.removeSandbox(id);
    });

    test('signals reach the container; one that is deaf is killed', async () => {
      const id = await pod();
      await started(id, 'trap "exit 5" TERM; echo up; while :; do sleep 0.05; done');
      while (!output(id).includes('up')) await new Promise((done) => setTimeout(done, 10));
      await runtime.signal(`${id}-main-0`, 'SIGTERM');
      expect(await pods.exit(`${id}-main-0`)).toMatchObject({ exitCode: 5 });
      const deaf = await pod();
      await started(deaf, 'trap "" TERM; echo up; while :; do sleep 0.05; done');
      while (!output(deaf).includes('up')) await new Promise((done) => setTimeout(done, 10));
      await runtime.signal(`${deaf}-main-0`, 'SIGTERM');
      await runtime.signal(`${deaf}-main-0`, 'SIGKILL');
      expect((await pods.exit(`${deaf}-main-0`)).exitCode).toBe(137);
      for (const each of [id, deaf]) await runtime.removeSandbox(each);
    });

    test('a container of another user gets nothing of the node’s', async () => {
      const id = await pod();
      await started(id, 'sleep 1000', (config) => ({
        ...config,
        spec: { ...config.spec, process: { ...config.spec.process, user: { uid: 1000, gid: 1000 } } },
      }));
      const asked = { command: ['id', '-u'], timeoutMs: 120_000, maxOutput: 100 };
      expect((await runtime.execSync(`${id}-main-0`, asked)).stdout).toBe('1000\n');
      expect(statSync('/dev/null')).toMatchObject({ uid: 0, gid: 0 });
      await runtime.removeSandbox(id);
    });

    test('it is where the pod is, and as confined as was asked for', async () => {
      const id = await pod();
      const volume = join(pods.dir, 'volume');
      mkdirSync(volume, { recursive: true });
      writeFileSync(join(volume, 'file'), 'from the node\n');
      const mounts = [
        { destination: '/data', type: 'bind', source: volume, options: ['rbind', 'rprivate', 'rw'] },
        { destination: '/fixed', type: 'bind', source: volume, options: ['rbind', 'rprivate', 'ro'] },
      ];
      const { pid } = await started(id, 'sleep 1000', (config) => ({
        ...config,
        spec: { ...config.spec, mounts: [...config.spec.mounts, ...mounts], root: { readonly: true } },
      }));
      const [sandbox] = (await runtime.list()).filter((s) => s.id === id);
      for (const ns of ['net', 'ipc', 'uts'])
        expect(readlinkSync(`/proc/${pid}/ns/${ns}`)).toBe(readlinkSync(`/proc/${sandbox!.pid}/ns/${ns}`));
      for (const ns of ['mnt', 'pid'])
        expect(readlinkSync(`/proc/${pid}/ns/${ns}`)).not.toBe(readlinkSync(`/proc/${sandbox!.pid}/ns/${ns}`));
      const script =
        'hostname; cat /data/file; touch /data/mine; touch /x; touch /fixed/x; grep -E "Seccomp:|NoNewPrivs" /proc/self/status; mount -t tmpfs none /tmp; cat /proc/kcore | wc -c; unshare -U true';
      const seen = await runtime.execSync(`${id}-main-0`, {
        command: ['/bin/sh', '-c', script],
        timeoutMs: 120_000,
        maxOutput: 10_000,
      });
      expect(seen.stdout.split('\n').slice(0, 2)).toEqual([id, 'from the node']);
      expect(seen.stdout).toMatch(/NoNewPrivs:\s*1\nSeccomp:\s*2\n0\n/);
      for (const path of ['/x', '/fixed/x']) expect(seen.stderr).toContain(`${path}: Read-only file system`);
      expect(existsSync(join(volume, 'mine'))).toBe(true);
      expect(seen.stderr).toMatch(/mount: .*(permission denied|Operation not permitted)/i);
      expect(seen.exitCode).not.toBe(0);
      const group = readFileSync(`/proc/${pid}/cgroup`, 'utf8')
        .split('\n')
        .find((line) => /:memory:/.test(line));
      if (group) {
        // Where the container has a group of its own, its limit is that of the group above.
        const path = join('/sys/fs/cgroup/memory', group.split(':')[2]!);
        const above = (dir: string): string => readFileSync(join(dir, 'memory.limit_in_bytes'), 'utf8').trim();
        expect([above(path), above(join(path, '..'))]).toContain(String(64 << 20));
      }
      await runtime.updateContainer(`${id}-main-0`, { memory: { limit: 48 << 20, swap: 48 << 20 } });
      await runtime.removeSandbox(id);
    });

    test('commands run inside, with their exit codes, streams and lateness', async () => {
      const id = await pod();
      await started(id);
      const exec = (command: readonly string[], timeoutMs = 120_000) =>
        runtime.execSync(`${id}-main-0`, { command, timeoutMs, maxOutput: 1_000 });
      expect(await exec(['/bin/sh', '-c', 'echo in; echo err >&2; exit 3'])).toEqual({
        exitCode: 3,
        stdout: 'in\n',
        stderr: 'err\n',
      });
      await expect(exec(['/no/such'])).rejects.toMatchObject({ stage: 'exec', errno: 'ENOENT' });
      await expect(exec(['sleep', '100'], 300)).rejects.toMatchObject({ code: 'Timeout' });
      const io = { stdin: true, stdout: true, stderr: true, tty: false };
      const process = await runtime.exec(`${id}-main-0`, {
        ...io,
        command: ['sh', '-c', 'read x; echo got $x; exit 4'],
      });
      process.stdin!.end('word\n');
      const parts: Buffer[] = [];
      for await (const part of process.stdout!) parts.push(part as Buffer);
      expect(Buffer.concat(parts).toString()).toBe('got word\n');
      expect(await process.exit).toBe(4);
      const stats = await runtime.stats(id);
      expect(stats.memoryBytes).toBeGreaterThan(0);
      await runtime.removeSandbox(id);
    });

    test('what runs is found again by the next kubelet, which can end it', async () => {
      const id = await pod();
      const { pid } = await started(id);
      const again = await pods.connect();
      const next = await over(again);
      const found = (await next.list()).find((s) => s.id === id);
      expect(found).toMatchObject({ state: 'ready', containers: [{ id: `${id}-main-0`, state: 'running', pid }] });
      expect(
        (await next.execSync(`${id}-main-0`, { command: ['echo', 'x'], timeoutMs: 120_000, maxOutput: 10 })).stdout,
      ).toBe('x\n');
      await next.removeSandbox(id);
      // Reaped by whoever is its parent now, a moment later.
      while (existsSync(`/proc/${pid}`)) await new Promise((done) => setTimeout(done, 5));
      again.close();
      expect((await runtime.list()).some((s) => s.id === id)).toBe(false);
      const state = join(pods.dir, 'state', kind);
      if (binary !== 'native') expect(readdirSync(state)).toEqual([]);
    });
  });
}
