const SLAB = 1 << 20;

/**
 * Encodings made lately, never more than about `2 × limit` bytes of them, without looking at a clock: what has not been asked
 * for while `limit` bytes of others were made or asked for is forgotten. Bytes lie in slabs, for a buffer each would make the
 * garbage collector work for every one of them.
 */
export class ByteCache<K extends object> {
  #young = new Map<K, Buffer>();
  #old: ReadonlyMap<K, Buffer> = new Map();
  #bytes = 0;
  #slab = Buffer.alloc(0);
  #used = 0;

  constructor(readonly limit: number) {}

  get(key: K): Buffer | undefined {
    const bytes = this.#young.get(key);
    if (bytes !== undefined) return bytes;
    const older = this.#old.get(key);
    if (older !== undefined) this.#remember(key, older);
    return older;
  }

  /** Keeps the UTF-8 of a text, and gives it. */
  setText(key: K, text: string): Buffer {
    // A UTF-16 unit takes three bytes at most.
    const place = this.#place(text.length * 3);
    const bytes = place ? place.subarray(0, place.write(text)) : Buffer.from(text);
    if (place) this.#used += bytes.length;
    this.#remember(key, bytes);
    return bytes;
  }

  /** Keeps a copy, and gives that. */
  setBytes(key: K, given: Uint8Array): Buffer {
    const place = this.#place(given.length);
    const bytes = place ? place.subarray(0, given.length) : Buffer.from(given);
    if (place) {
      bytes.set(given);
      this.#used += bytes.length;
    }
    this.#remember(key, bytes);
    return bytes;
  }

  /** Room in a slab; undefined for what is better kept by itself. */
  #place(size: number): Buffer | undefined {
    if (size > SLAB / 8) return undefined;
    if (this.#slab.length - this.#used < size) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB);
      this.#used = 0;
    }
    return this.#slab.subarray(this.#used);
  }

  #remember(key: K, bytes: Buffer): void {
    if (this.#bytes + bytes.length > this.limit && this.#young.size > 0) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#bytes = 0;
    }
    this.#young.set(key, bytes);
    this.#bytes += bytes.length;
  }
}
