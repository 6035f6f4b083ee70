/**
 * Writes protobuf's wire format into one growing buffer. A nested message's length is put in front of it when it is done,
 * which moves the few that turn out long; making a list of pending writes first, as general libraries do, costs more than
 * the writing.
 */
export class ProtobufWriter {
  #bytes = Buffer.allocUnsafe(16 * 1024);
  #end = 0;
  readonly #open: number[] = [];

  uint32(value: number): this {
    if (value < 0x80) {
      this.#room(1);
      this.#bytes[this.#end++] = value;
      return this;
    }
    if (!(value < 2 ** 64)) throw new RangeError(`${value} is no integer of 64 bits`);
    this.#room(10);
    this.#end = varint(this.#bytes, this.#end, value);
    return this;
  }

  /** Negative numbers take ten bytes, as if they had 64 bits. */
  int32(value: number): this {
    return value < 0 ? this.int64(value) : this.uint32(value);
  }

  /** Exact up to 2^53. Anything but a number counts as 0. */
  int64(value: unknown): this {
    const number = typeof value === 'number' ? Math.trunc(value) : 0;
    if (number >= 0) return this.uint32(number);
    this.#room(10);
    let rest = BigInt.asUintN(64, BigInt(number));
    for (let i = 0; i < 9; i++) {
      this.#bytes[this.#end++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.#bytes[this.#end++] = Number(rest);
    return this;
  }

  bool(value: unknown): this {
    return this.uint32(value ? 1 : 0);
  }

  double(value: number): this {
    this.#room(8);
    this.#end = this.#bytes.writeDoubleLE(value, this.#end);
    return this;
  }

  bytes(value: Uint8Array): this {
    this.uint32(value.length);
    this.#room(value.length);
    this.#bytes.set(value, this.#end);
    this.#end += value.length;
    return this;
  }

  string(value: string): this {
    const { length } = value;
    this.#room(length * 3 + 10);
    if (length < SHORT && this.#ascii(value)) return this;
    const start = this.#end;
    const guess = varint(this.#bytes, start, length);
    const size = this.#bytes.write(value, guess);
    this.#end = varint(this.#bytes, start, size);
    // Characters of more than one byte may need another byte to say how many bytes there are.
    if (this.#end !== guess) this.#bytes.write(value, this.#end);
    this.#end += size;
    return this;
  }

  /** Begins a nested message; {@link ldelim} ends it. */
  fork(): this {
    this.#room(1);
    this.#open.push(++this.#end);
    return this;
  }

  ldelim(): this {
    const start = this.#open.pop()!;
    const size = this.#end - start;
    if (size < 0x80) {
      this.#bytes[start - 1] = size;
      return this;
    }
    const extra = varintSize(size) - 1;
    this.#room(extra);
    this.#bytes.copyWithin(start + extra, start, this.#end);
    varint(this.#bytes, start - 1, size);
    this.#end += extra;
    return this;
  }

  /** What has been written, as a copy; the writer is empty again. */
  finish(): Buffer {
    const written = Buffer.from(this.#bytes.subarray(0, this.#end));
    this.reset();
    return written;
  }

  /** Forgets what has been written. */
  reset(): void {
    this.#end = 0;
    this.#open.length = 0;
    if (this.#bytes.length > LARGEST_KEPT) this.#bytes = Buffer.allocUnsafe(16 * 1024);
  }

  /** Writes a short text if it is all ASCII, and says whether it was. */
  #ascii(value: string): boolean {
    const bytes = this.#bytes;
    let at = this.#end + 1;
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i);
      if (code >= 0x80) return false;
      bytes[at++] = code;
    }
    bytes[this.#end] = value.length;
    this.#end = at;
    return true;
  }

  #room(needed: number): void {
    if (this.#end + needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#end + needed));
    this.#bytes.copy(larger, 0, 0, this.#end);
    this.#bytes = larger;
  }
}

/** Below this, writing byte by byte is faster than asking the runtime to. */
const SHORT = 48;
const LARGEST_KEPT = 4 * 1024 * 1024;

/** Writes a non-negative integer up to 2^53; gives the place after it. */
function varint(bytes: Uint8Array, at: number, value: number): number {
  let place = at;
  let rest = value;
  while (rest >= 0x80) {
    bytes[place++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  bytes[place++] = rest;
  return place;
}

/** How many bytes a non-negative integer takes. */
export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
  return size;
}
