import type { VirtualClock } from '@trimtab/machinery';

/** Virtual time in small steps, so that what each moment sets off is over before the next. */
export async function pass(clock: VirtualClock, ms: number, step = 500): Promise<void> {
  for (let left = ms; left > 0; left -= step) {
    await clock.advance(Math.min(step, left));
    for (let turn = 0; turn < 5; turn++) await clock.advance(0);
  }
}
