import { statSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A disk that does what a plan says: dies before, after or in the middle of the nth operation of a kind, is full for a while, or
 * slow. Tells on standard output how much of each file is synced, for whoever then plays a loss of power. Files are told of by
 * inode: a process may die between a rename and its telling of it.
 *
 * @typedef {{ operation: string, nth: number, how: 'before' | 'after' | 'torn' | 'full' | 'slow' }} Plan
 * @param {import('../../api/store/dist/engine/embedded/disk.js').Disk} disk @param {string} directory where it is
 * @param {Plan | undefined} plan
 */
export function withFailpoints(disk, directory, plan) {
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
  /** Files are never opened as synced: what such a write does in one goes in two steps, between which there are failpoints. */
  const wrap = (name, file, { synced = false } = {}, length = 0) => {
    const { ino } = statSync(join(directory, name));
    const tell = (t, of) => writeSync(1, `${JSON.stringify({ t, ino, ...of })}\n`);
    let written = length;
    if (length === 0) tell('truncated', { length });
    const sync = async (from, until) => {
      await step('sync', () => file.sync());
      tell('synced', { from, until });
    };
    return {
      async write(bytes, position) {
        await step(
          'write',
          async () => {
            await file.write(bytes, position);
            written = Math.max(written, position + bytes.length);
          },
          () => file.write(bytes.subarray(0, Math.floor(bytes.length / 2)), position),
        );
        if (synced) await sync(position, position + bytes.length);
      },
      truncate: (length) =>
        step('truncate', async () => {
          await file.truncate(length);
          written = length;
          tell('truncated', { length });
        }),
      sync: () => sync(0, written),
      close: () => file.close(),
    };
  };
  return {
    ...disk,
    create: (name, how) => step('create', async () => wrap(name, await disk.create(name), how)),
    open: async (name, how) => wrap(name, await disk.open(name), how, (await disk.read(name)).length),
    rename: (from, to) => step('rename', () => disk.rename(from, to)),
    remove: (name) => step('remove', () => disk.remove(name)),
    syncNames: () => step('syncNames', () => disk.syncNames()),
  };
}
