import { writeSync } from 'node:fs';

/**
 * A disk that does what a plan says: dies before, after or in the middle of the nth operation of a kind, is full for a while, or
 * slow. Tells on standard output how much of each file is synced, for whoever then plays a loss of power.
 *
 * @typedef {{ operation: string, nth: number, how: 'before' | 'after' | 'torn' | 'full' | 'slow' }} Plan
 * @param {import('../../api/store/dist/engine/embedded/disk.js').Disk} disk @param {Plan | undefined} plan
 */
export function withFailpoints(disk, plan) {
  let count = 0;
  const die = () => {
    process.kill(process.pid, 'SIGKILL');
    return new Promise(() => {});
  };
  const step = async (operation, act, torn) => {
    const due = plan !== undefined && plan.operation === operation && ++count >= plan.nth;
    if (due && plan.how === 'full' && count < plan.nth + 6)
      throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    if (due && plan.how === 'slow') await new Promise((resolve) => setTimeout(resolve, 8));
    if (due && plan.how === 'before') return die();
    if (due && plan.how === 'torn' && torn !== undefined) {
      await torn();
      return die();
    }
    const result = await act();
    if (due && (plan.how === 'after' || plan.how === 'torn')) return die();
    return result;
  };
  const wrap = (name, file, length) => {
    let written = length;
    return {
      write: (bytes, position) =>
        step(
          'write',
          async () => {
            await file.write(bytes, position);
            written = Math.max(written, position + bytes.length);
          },
          () => file.write(bytes.subarray(0, Math.floor(bytes.length / 2)), position),
        ),
      truncate: (length) =>
        step('truncate', async () => {
          await file.truncate(length);
          written = length;
        }),
      async sync() {
        const until = written;
        await step('sync', () => file.sync());
        writeSync(1, `${JSON.stringify({ t: 'synced', name, until })}\n`);
      },
      close: () => file.close(),
    };
  };
  return {
    ...disk,
    create: (name) => step('create', async () => wrap(name, await disk.create(name), 0)),
    open: async (name) => wrap(name, await disk.open(name), (await disk.read(name)).length),
    rename: (from, to) =>
      step('rename', async () => {
        await disk.rename(from, to);
        writeSync(1, `${JSON.stringify({ t: 'renamed', from, to })}\n`);
      }),
    remove: (name) => step('remove', () => disk.remove(name)),
    syncNames: () => step('syncNames', () => disk.syncNames()),
  };
}
