/** Everything a watch of one kind says, with the time it was seen. */
export class Watched {
  /** @type {{ at: number, type: string, object: any }[]} */
  events = [];
  #waiting = new Set();

  /** @param {import('@trimtab/client').Client} client @param {any} type @param {import('@trimtab/client').WatchOptions} [options] */
  constructor(client, type, options = {}) {
    this.subscription = client.watch(type, options).subscribe({
      next: ({ type: kind, object }) => {
        const event = { at: performance.now(), type: kind, object };
        this.events.push(event);
        for (const waiting of this.#waiting) waiting.look(event);
      },
      error: (error) => {
        for (const waiting of this.#waiting) waiting.reject(error);
      },
    });
  }

  /** Resolves with the first event, seen already or to come, that satisfies. */
  first(good, timeoutMs = 30_000) {
    const known = this.events.find(good);
    if (known) return Promise.resolve(known);
    return new Promise((resolve, reject) => {
      const done = (settle) => (value) => {
        clearTimeout(late);
        this.#waiting.delete(waiting);
        settle(value);
      };
      const waiting = { look: (event) => good(event) && done(resolve)(event), reject: done(reject) };
      const late = setTimeout(() => waiting.reject(new Error(`not seen in ${timeoutMs} ms: ${good}`)), timeoutMs);
      this.#waiting.add(waiting);
    });
  }

  /** What was seen of one object, in order. */
  of(name) {
    return this.events.filter(({ object }) => object.metadata?.name === name);
  }

  close() {
    this.subscription.unsubscribe();
  }
}
