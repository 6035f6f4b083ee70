import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { silentLogger, systemClock } from '@trimtab/machinery';
import { filter, firstValueFrom } from 'rxjs';
import { type NativeRuntime, nativeRuntime } from './native-runtime.js';
import { coreBinary, withPods } from './test-pods.js';

withPods('a pod process that hangs', {}, (pods) => {
  let runtime: NativeRuntime;
  beforeAll(async () => {
    const runDir = join(pods.dir, 'run');
    runtime = await nativeRuntime({
      coreBinary,
      runDir,
      logger: silentLogger,
      clock: systemClock,
      unansweredMs: 5_000,
    });
  });
  afterAll(async () => {
    runtime?.close();
  });

  const ended = (pid: number) =>
    !existsSync(`/proc/${pid}/status`) || /^State:\t[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));

  test('is killed with all that is in the pod, and its death is told', async () => {
    const { pid } = await runtime.runSandbox(pods.sandbox('hanging'));
    const { pid: inside } = await runtime.startContainer('hanging', pods.container('hanging-c', ['sleep', '1000']));
    const died = firstValueFrom(runtime.events.pipe(filter(({ type }) => type === 'sandboxDied')));
    process.kill(pid, 'SIGSTOP');
    await expect(runtime.signal('hanging-c', 'TERM')).rejects.toMatchObject({ stage: 'connection' });
    expect(await died).toEqual({ type: 'sandboxDied', sandboxId: 'hanging' });
    while (!ended(pid) || !ended(inside)) await new Promise(setImmediate);
    expect(await runtime.list()).toEqual([]);
    await runtime.removeSandbox('hanging');
  });
});
