import type { Clock } from '@trimtab/machinery';
import type { PodRuntime } from '../runtime/runtime.js';

/**
 * Ends every pod of a node that stops as a whole: SIGTERM to all containers, up to `graceMs` for them to end, then their
 * sandboxes are removed. Objects are left alone; the next start makes the pods anew.
 */
export async function stopPods(runtime: PodRuntime, clock: Clock, graceMs: number): Promise<void> {
  const sandboxes = await runtime.list();
  const running = new Set(
    sandboxes.flatMap(({ containers }) => containers.filter(({ state }) => state === 'running').map(({ id }) => id)),
  );
  if (running.size > 0)
    await new Promise<void>((resolve) => {
      const finish = () => {
        cancel();
        exits.unsubscribe();
        resolve();
      };
      const cancel = clock.after(graceMs, finish);
      const exits = runtime.events.subscribe((event) => {
        if (event.type === 'containerExited') running.delete(event.container.id);
        if (running.size === 0) finish();
      });
      for (const id of running) void runtime.signal(id, 'SIGTERM').catch(() => {});
    });
  await Promise.all(sandboxes.map(({ id }) => runtime.removeSandbox(id)));
}
