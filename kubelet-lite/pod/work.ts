import type { Logger } from '@trimtab/machinery';

/** Steps of a pod that are under way, and that its end has to wait for. */
export class Work {
  readonly #logger: Logger;
  readonly #steps = new Set<Promise<void>>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  track(step: Promise<void>): void {
    const tracked = step
      .catch((error: unknown) => this.#logger.error({ error: String(error) }, 'step of a pod failed unexpectedly'))
      .finally(() => this.#steps.delete(tracked));
    this.#steps.add(tracked);
  }

  /** Resolves when nothing is under way, what was begun meanwhile included. */
  async settled(): Promise<void> {
    while (this.#steps.size > 0) await Promise.all(this.#steps);
  }
}
