import type { Clock } from '@trimtab/machinery';

/**
 * A clock whose timers fire together, at multiples of `tickMs`: what many nodes do every ten seconds then is a few batches of
 * writes, each of which the store makes durable at once, and one timer a tick. A timer fires up to a tick late.
 */
export function tickClock(clock: Clock, tickMs: number): Clock {
  const due = new Map<number, Set<() => void>>();
  return {
    now: () => clock.now(),
    after(ms, fn) {
      const at = Math.ceil((clock.now() + Math.max(ms, 0)) / tickMs) * tickMs;
      let waiting = due.get(at);
      if (!waiting) {
        const batch = new Set<() => void>();
        waiting = batch;
        due.set(at, batch);
        clock.after(at - clock.now(), () => {
          due.delete(at);
          for (const each of batch) each();
        });
      }
      const own = () => fn();
      waiting.add(own);
      const set = waiting;
      return () => void set.delete(own);
    },
  };
}
