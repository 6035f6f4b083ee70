import type { Clock } from '@trimtab/machinery';

/** How long it takes from the first event about a key until a look at it finds nothing left to write. */
export class Convergence {
  readonly #since = new Map<string, number>();

  constructor(
    private readonly clock: Clock,
    /** Told of each, in seconds. */
    private readonly told: (seconds: number) => void,
  ) {}

  begun(key: string): void {
    if (!this.#since.has(key)) this.#since.set(key, this.clock.now());
  }

  reached(key: string): void {
    const since = this.#since.get(key);
    if (since === undefined) return;
    this.#since.delete(key);
    this.told((this.clock.now() - since) / 1000);
  }
}
