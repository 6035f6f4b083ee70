/** Of what nobody reads any more, at most this many bytes of each answer stay. */
const keptIdle = 8 << 20;
/** Of all answers that are read at the moment. Beyond, each reader makes its own. */
const most = 96 << 20;

let held = 0;

/**
 * An answer made once and read by many at their own pace: its slices are made as the fastest reader wants them, and are there
 * until the last one has left. Short ones stay for as long as their maker remembers them.
 */
class SharedSlices {
  readonly #slices: Buffer[] = [];
  #bytes = 0;
  #readers = 0;
  #done = false;
  #failure: unknown;
  #making: Promise<void> | undefined;

  constructor(
    readonly source: AsyncGenerator<Buffer>,
    readonly forget: () => void,
  ) {}

  /** The reader must be ended, by reading to the end or by `return`. */
  read(): Slices {
    if (this.#readers++ === 0) held += this.#bytes;
    let at = 0;
    let open = true;
    const close = () => {
      if (open) this.#leave();
      open = false;
      return { done: true, value: undefined } as const;
    };
    return {
      next: async () => {
        while (open && at >= this.#slices.length) {
          if (this.#failure !== undefined) throw this.#failure;
          if (this.#done) return close();
          this.#making ??= this.#make();
          await this.#making;
        }
        return open ? { done: false, value: this.#slices[at++]! } : close();
      },
      return: async () => close(),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  #leave(): void {
    if (--this.#readers > 0) return;
    held -= this.#bytes;
    // Only what is whole can be read again once everybody has left.
    if (this.#done && this.#bytes <= keptIdle) return;
    this.forget();
    void this.source.return(undefined).catch(() => {});
  }

  async #make(): Promise<void> {
    try {
      const next = await this.source.next();
      if (next.done) this.#done = true;
      else {
        this.#slices.push(next.value);
        this.#bytes += next.value.length;
        held += next.value.length;
      }
    } catch (error) {
      this.#failure = error;
      this.forget();
    }
    this.#making = undefined;
  }
}

/** What one reader gets. */
export type Slices = AsyncIterableIterator<Buffer> & { return(): Promise<IteratorResult<Buffer>> };

const shared = new WeakMap<object, Map<string, SharedSlices>>();

/**
 * The slices of an answer that is the same for all who ask for `form` of `what`; undefined where so much is shared already that
 * this one had better be made for itself. `what` is compared by identity, and the slices live no longer than it.
 */
export function sharedSlices(what: object, form: string, make: () => AsyncGenerator<Buffer>): Slices | undefined {
  const forms = shared.get(what) ?? new Map<string, SharedSlices>();
  let slices = forms.get(form);
  if (!slices) {
    if (held > most) return undefined;
    const made = new SharedSlices(make(), () => {
      if (forms.get(form) === made) forms.delete(form);
    });
    slices = made;
    forms.set(form, made);
    shared.set(what, forms);
  }
  return slices.read();
}
