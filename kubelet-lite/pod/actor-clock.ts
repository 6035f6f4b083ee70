import type { Clock } from '@trimtab/machinery';

/** xstate's clock over ours, so that `after` transitions run in the kubelet's time. */
export function actorClock(clock: Clock): {
  setTimeout(fn: () => void, ms: number): () => void;
  clearTimeout(id: unknown): void;
} {
  return {
    setTimeout: (fn, ms) => clock.after(ms, fn),
    clearTimeout: (id) => {
      if (typeof id === 'function') id();
    },
  };
}
