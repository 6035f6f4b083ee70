import type { Clock } from '@trimtab/machinery';
import type { Verdict } from './machine.js';

/** How a pod ends that was active for longer than its `activeDeadlineSeconds`, in the kubelet's words. */
const EXCEEDED: Verdict = {
  reason: 'DeadlineExceeded',
  message: 'Pod was active on the node longer than the specified deadline',
};

/** A pod's `activeDeadlineSeconds`, which may be set and shortened while it runs. */
export class Deadline {
  readonly #clock: Clock;
  readonly #startedAt: number;
  readonly #exceeded: (verdict: Verdict) => void;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, startedAt: number, exceeded: (verdict: Verdict) => void) {
    this.#clock = clock;
    this.#startedAt = startedAt;
    this.#exceeded = exceeded;
  }

  arm(seconds: number | undefined): void {
    this.stop();
    if (seconds === undefined) return;
    const left = this.#startedAt + seconds * 1_000 - this.#clock.now();
    this.#cancel = this.#clock.after(left, () => this.#exceeded(EXCEEDED));
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
