import type { Clock } from '@trimtab/machinery';

/**
 * What a turn of the event loop may take before fewer steps go into one, and below which more may, in milliseconds. Changes that
 * are heard of together are one evaluation and one sync: with turns of 5 ms a pod costs a fifth more than with these.
 */
const LONG = 20;
const SHORT = 10;
const MOST = 64;

/**
 * The steps of those in this process who write and hear of changes, in the order they come. They go on at
 * once, and what a burst of changes or a timer sets off would be one long turn of the event loop, in which nobody else is answered: so many
 * of them are taken in a turn as keep it short, at least one, and the rest in later ones.
 */
export class Pace {
  #waiting: (() => void)[] = [];
  #head = 0;
  #taken = 0;
  #most: number;
  #scheduled = false;
  #began = 0;

  constructor(
    readonly clock: Pick<Clock, 'now'>,
    readonly limit = MOST,
  ) {
    this.#most = limit;
  }

  /** Takes the step now, or when those before it have been taken and the turn has room for it. It must not throw. */
  step(step: () => void): void {
    if (this.#free()) step();
    else this.#waiting.push(step);
  }

  /** Resolves when it is the caller's turn; undefined where that is now. */
  turn(): Promise<void> | undefined {
    return this.#free() ? undefined : new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Steps that wait. */
  get backlog(): number {
    return this.#waiting.length - this.#head;
  }

  #free(): boolean {
    if (!this.#scheduled) {
      this.#scheduled = true;
      this.#began = this.clock.now();
      setImmediate(this.#next);
    }
    if (this.#taken >= this.#most || this.backlog > 0) return false;
    this.#taken++;
    return true;
  }

  readonly #next = (): void => {
    const now = this.clock.now();
    const took = now - this.#began;
    this.#began = now;
    if (took > LONG) this.#most = Math.max(1, this.#most >> 1);
    else if (took < SHORT) this.#most = Math.min(this.limit, this.#most + 1);
    this.#scheduled = this.#taken > 0;
    this.#taken = 0;
    while (this.backlog > 0 && this.#taken < this.#most) {
      this.#taken++;
      this.#waiting[this.#head++]!();
    }
    if (this.#head > 1024 || this.backlog === 0) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    this.#scheduled ||= this.#taken > 0;
    if (this.#scheduled) setImmediate(this.#next);
  };
}
