import type { VirtualClock } from '@trimtab/machinery';

/** Turns of the event loop a request under way may take before it is taken to wait for time to pass. */
const PATIENCE = 10_000;

/** Lets everything that can happen at this instant happen, requests that wait for real input and output included. */
export async function letHappen(clock: VirtualClock, underWay: () => number): Promise<void> {
  await clock.advance(0);
  for (let turn = 0; underWay() > 0 && turn < PATIENCE; turn++) await clock.advance(0);
}

export interface QuietOptions {
  readonly clock: VirtualClock;
  readonly lastWriteAt: () => number;
  /** Milliseconds without a write that count as rest. */
  readonly quiet: number;
  /** Milliseconds after which it is given up. */
  readonly within: number;
  /** Looked at after every step; true ends the waiting. */
  readonly broken?: () => boolean;
}

/** Passes time until nothing has been written for `quiet`. False when that did not come. */
export async function untilQuiet({ clock, lastWriteAt, quiet, within, broken }: QuietOptions): Promise<boolean> {
  const start = clock.now();
  await clock.advance(0);
  for (;;) {
    if (broken?.()) return false;
    const left = Math.max(lastWriteAt(), start) + quiet - clock.now();
    if (left <= 0) return true;
    if (clock.now() - start > within) return false;
    await clock.advance(left);
  }
}
