const SIZE = 256 * 1024;

/**
 * Joins bytes in large blocks, one after the other: a buffer each would make the garbage collector work for every one of them.
 * A block lives for as long as anything in it, so what lives long and what does not belong into slabs of their own.
 */
export class Slab {
  #block = Buffer.alloc(0);
  #used = 0;

  constructor(readonly size = SIZE) {}

  join(parts: readonly Uint8Array[]): Buffer {
    const size = parts.reduce((sum, { length }) => sum + length, 0);
    if (size > this.size / 8) return Buffer.concat(parts, size);
    if (this.#block.length - this.#used < size) {
      this.#block = Buffer.allocUnsafeSlow(this.size);
      this.#used = 0;
    }
    const start = this.#used;
    for (const part of parts) {
      this.#block.set(part, this.#used);
      this.#used += part.length;
    }
    return this.#block.subarray(start, this.#used);
  }
}
