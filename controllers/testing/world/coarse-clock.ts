import type { Clock } from '@trimtab/machinery';

const GRAIN_MS = 60_000;
/** Below this, time is taken as it is asked for. */
const LONG_MS = 30_000;

/**
 * The same clock for a server that has many watches: what is due in half a minute or later (bookmarks, ends of watches) comes
 * at the full minute before, all of it at once, in the order it was asked for. A day of every kind is then some thousand
 * instants, and not a hundred thousand.
 */
export function coarseClock(clock: Clock): Clock {
  const minutes = new Map<number, (() => void)[]>();
  const fire = (due: number) => {
    const all = minutes.get(due) ?? [];
    minutes.delete(due);
    for (const fn of all) fn();
  };
  return {
    now: () => clock.now(),
    after(ms, fn) {
      const due = Math.floor((clock.now() + ms) / GRAIN_MS) * GRAIN_MS;
      if (ms < LONG_MS || due <= clock.now()) return clock.after(ms, fn);
      const known = minutes.get(due);
      const all = known ?? [];
      if (!known) {
        minutes.set(due, all);
        clock.after(due - clock.now(), () => fire(due));
      }
      let wanted = true;
      all.push(() => {
        if (wanted) fn();
      });
      return () => {
        wanted = false;
      };
    },
  };
}
