import type { Logger } from '@trimtab/machinery';

/** Steps of a pod that are under way, and that its end has to wait for. */
export class Work {
  readonly #logger: Logger;
  #steps: Set<Promise<void>> | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  track(step: Promise<void>): void {
    const tracked = step
      .catch((error: unknown) => this.#logger.error({ error: String(error) }, 'step of a pod failed unexpectedly'))
      .finally(() => {
        this.#steps?.delete(tracked);
        // A pod that runs has nothing under way for days.
        if (this.#steps?.size === 0) this.#steps = undefined;
      });
    this.#steps ??= new Set();
    this.#steps.add(tracked);
  }

  /** Resolves when nothing is under way, what was begun meanwhile included. */
  async settled(): Promise<void> {
    while (this.#steps) await Promise.all(this.#steps);
  }
}
