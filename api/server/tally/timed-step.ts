import type { Clock } from '@trimtab/machinery';
import { figures } from './figures.js';
import type { Tally } from './tally.js';

/** Times the plugins of one step of one write, and the step; a plugin that was begun and not ended has refused. */
export class TimedStep {
  readonly #start: number;
  #since: number;
  #name: string | undefined;

  constructor(
    readonly parts: { readonly clock: Clock; readonly tally: Tally },
    readonly operation: string,
    readonly type: 'admit' | 'validate',
  ) {
    this.#start = parts.clock.now();
    this.#since = this.#start;
  }

  begin({ name }: { readonly name: string }): void {
    this.#name = name;
  }

  end(): void {
    this.#note('false');
    this.#name = undefined;
  }

  over(): void {
    const rejected = String(this.#name !== undefined);
    if (this.#name !== undefined) this.#note(rejected);
    const { tally, clock } = this.parts;
    const labels = [this.operation, rejected, this.type];
    tally.observe(figures.admissionSteps, labels, (clock.now() - this.#start) / 1000);
  }

  /** One reading of the clock a plugin: one ends when the next begins. */
  #note(rejected: string): void {
    const { tally, clock } = this.parts;
    const now = clock.now();
    const labels = [this.#name!, this.operation, rejected, this.type];
    tally.observe(figures.admissionControllers, labels, (now - this.#since) / 1000);
    this.#since = now;
  }
}
