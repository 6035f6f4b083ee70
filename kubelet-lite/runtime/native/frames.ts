/** Longest frame either side sends. */
export const FRAME_LIMIT = 4 << 20;

/** A 4-byte little-endian length and the payload. */
export function encodeFrame(payload: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(payload.length + 4);
  frame.writeUInt32LE(payload.length, 0);
  payload.copy(frame, 4);
  return frame;
}

/** A stream frame: its payload begins with the channel's number. */
export function encodeStreamFrame(channel: number, data: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(data.length + 5);
  frame.writeUInt32LE(data.length + 1, 0);
  frame[4] = channel;
  data.copy(frame, 5);
  return frame;
}

/** Cuts arriving bytes into frames; throws on a frame that is empty or too long. */
export class FrameReader {
  readonly #onFrame: (payload: Buffer) => void;
  #chunks: Buffer[] = [];
  #length = 0;

  constructor(onFrame: (payload: Buffer) => void) {
    this.#onFrame = onFrame;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    while (this.#length >= 4) {
      const head = this.#gather(4);
      const size = head.readUInt32LE(0);
      if (size === 0 || size > FRAME_LIMIT) throw new Error(`frame of ${size} bytes`);
      if (this.#length < size + 4) return;
      const all = this.#gather(size + 4);
      const rest = all.subarray(size + 4);
      this.#chunks = rest.length ? [rest, ...this.#chunks.slice(1)] : this.#chunks.slice(1);
      this.#length -= size + 4;
      this.#onFrame(all.subarray(4, size + 4));
    }
  }

  /** The first chunk, made at least `size` bytes long by joining. Long frames are joined once, not per chunk. */
  #gather(size: number): Buffer {
    if ((this.#chunks[0]?.length ?? 0) < size) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0]!;
  }
}
