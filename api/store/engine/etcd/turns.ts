/** Lets those who want the same keys go one after another, in the order they came. */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();
  readonly #running = new Set<Promise<void>>();

  take<T>(keys: readonly string[], work: () => Promise<T>): Promise<T> {
    const before = new Set(keys.flatMap((key) => this.#last.get(key) ?? []));
    const done = before.size === 0 ? work() : Promise.all(before).then(work);
    const over: Promise<void> = done.then(
      () => this.#over(keys, over),
      () => this.#over(keys, over),
    );
    for (const key of keys) this.#last.set(key, over);
    this.#running.add(over);
    return done;
  }

  /** Everybody who is here now has gone. */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }

  #over(keys: readonly string[], over: Promise<void>): void {
    this.#running.delete(over);
    for (const key of keys) if (this.#last.get(key) === over) this.#last.delete(key);
  }
}
