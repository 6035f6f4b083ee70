import type { Cause } from './trace.js';

const MOST_CAUSES = 16;

/** Why keys are to be looked at: what has come for each since the last look, the first few of it. */
export class Causes {
  readonly #noted = new Map<string, Cause[]>();

  note(key: string, cause: Cause): void {
    const noted = this.#noted.get(key);
    if (!noted) this.#noted.set(key, [cause]);
    else if (noted.length < MOST_CAUSES) noted.push(cause);
  }

  /** What comes due has no event: a retry, a deadline or a resync. */
  take(key: string, failures: number): readonly Cause[] {
    const noted = this.#noted.get(key) ?? [{ type: failures > 0 ? 'retry' : 'due' } as const];
    this.#noted.delete(key);
    return noted;
  }
}
