import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RuntimeError } from '../runtime.js';
import { withPods } from './test-pods.js';

/** The node core has one pod process waiting for the next pod: see isolation/node/spare.c. */
withPods('a pod process made ahead', {}, (pods) => {
  const read = (path: string) => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return '';
    }
  };
  const lives = (pid: number) => existsSync(`/proc/${pid}`) && !/^State:\t[ZX]/m.test(read(`/proc/${pid}/status`));
  const core = async () => (await pods.runtime.core.request<{ pid: number }>('core.info')).pid;
  /** Children of the core that wait for their configuration: a read of descriptor 3. */
  const waiting = async (): Promise<readonly number[]> => {
    const pid = await core();
    const children = read(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number);
    return children.filter((child) => /^(0|63) 0x3 /.test(read(`/proc/${child}/syscall`)));
  };
  const spare = async (): Promise<number> => {
    for (;;) {
      const [pid] = await waiting();
      if (pid !== undefined) return pid;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  /** What is asked while the core ends may be lost with the connection. */
  const answered = async <T>(ask: () => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof RuntimeError) || error.stage !== 'connection') throw error;
      }
    }
  };
  const net = (pid: number) => read(`/proc/${pid}/net/dev`);

  test('is the next pod that has a network of its own, and no other', async () => {
    await pods.runtime.runSandbox(pods.sandbox('first'));
    const ready = await spare();
    const shared = await pods.runtime.runSandbox(pods.sandbox('shared', { hostNetwork: true }));
    expect(shared.pid).not.toBe(ready);
    expect(await waiting()).toEqual([ready]);
    const second = await pods.runtime.runSandbox(pods.sandbox('second', { hostname: 'mine' }));
    expect(second.pid).toBe(ready);
    expect(net(second.pid).match(/^ *\w+:/gm)).toEqual([expect.stringMatching(/lo:/)]);
    const args = ['sh', '-c', 'hostname; ip link show lo; cat /proc/self/cgroup'];
    const config = pods.container('inside', args);
    await pods.runtime.startContainer('second', config);
    expect(await pods.exit('inside')).toMatchObject({ exitCode: 0 });
    expect(pods.log('inside')).toMatch(/ F mine\n[\s\S]*LOOPBACK,UP/);
    expect(await spare()).not.toBe(ready);
  });

  test('is not missed when it has died', async () => {
    const ready = await spare();
    process.kill(ready, 'SIGKILL');
    while (lives(ready)) await new Promise(setImmediate);
    const third = await pods.runtime.runSandbox(pods.sandbox('third'));
    expect(third).toMatchObject({ state: 'ready' });
    expect(lives(third.pid)).toBe(true);
    for (const id of ['a', 'b', 'c']) await pods.runtime.runSandbox(pods.sandbox(id));
  });

  test('leaves nothing of a pod that cannot be', async () => {
    await spare();
    const broken = pods.sandbox('broken', { sysctls: { 'kernel.panic': '1' } });
    await expect(pods.runtime.runSandbox(broken)).rejects.toMatchObject({ stage: 'sysctl', errno: 'EPERM' });
    const group = pods.sandbox('limited', { resources: { cpu: { quota: -7, period: 1 } } });
    await expect(pods.runtime.runSandbox(group)).rejects.toMatchObject({ stage: 'cgroup' });
    await spare();
    const files = readdirSync(join(pods.dir, 'run/pods')).filter((name) => /broken|limited/.test(name));
    expect(files).toEqual([]);
    expect((await pods.runtime.list()).map(({ id }) => id)).not.toContain('limited');
    await pods.runtime.runSandbox(pods.sandbox('limited'));
  });

  test('goes with the node core, however that ends', async () => {
    const [dying, ready] = [await core(), await spare()];
    process.kill(dying, 'SIGKILL');
    while (lives(ready)) await new Promise(setImmediate);
    await answered(() => pods.runtime.runSandbox(pods.sandbox('after')));
    const next = await spare();
    await pods.runtime.core.request('core.exit').catch(() => {});
    while (lives(next)) await new Promise(setImmediate);
    expect((await answered(() => pods.runtime.list())).find(({ id }) => id === 'after')).toMatchObject({
      state: 'ready',
    });
  });
});
