/**
 * SPDY/3.1 frames, as far as Kubernetes' streams use them: bytes in, frames out, and back. Pure but for the splitter's
 * buffer. Priorities, slots and flow control are ignored, as Kubernetes' own implementation does.
 */
export type Frame =
  | { readonly type: 'data'; readonly stream: number; readonly fin: boolean; readonly data: Buffer }
  | { readonly type: 'syn-stream'; readonly stream: number; readonly fin: boolean; readonly headers: Buffer }
  | { readonly type: 'rst-stream'; readonly stream: number; readonly status: number }
  | { readonly type: 'ping'; readonly id: number }
  | { readonly type: 'goaway' }
  /** Carries compressed headers that have to go through the inflater, and nothing we act on. */
  | { readonly type: 'headers'; readonly headers: Buffer }
  | { readonly type: 'ignored' };

const headerSize = 8;
const finFlag = 1;
const controlBit = 0x80000000;
const version = 3;
const kinds = { synStream: 1, synReply: 2, rstStream: 3, ping: 6, goaway: 7, headers: 8 } as const;
/** Larger frames are refused: nobody here sends them. */
const maxFrame = 16 * 1024 * 1024 - 1;

/** Cuts a byte stream into frames. Throws for what is not SPDY/3. */
export class FrameSplitter {
  #pending: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): readonly Frame[] {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    const frames: Frame[] = [];
    while (this.#pending.length >= headerSize) {
      const length = this.#pending.readUIntBE(5, 3);
      if (length > maxFrame) throw new Error(`SPDY frame of ${length} bytes`);
      if (this.#pending.length < headerSize + length) break;
      frames.push(parseFrame(this.#pending, this.#pending.subarray(headerSize, headerSize + length)));
      this.#pending = this.#pending.subarray(headerSize + length);
    }
    return frames;
  }
}

function parseFrame(header: Buffer, body: Buffer): Frame {
  const word = header.readUInt32BE(0);
  const fin = (header[4]! & finFlag) !== 0;
  if (word < controlBit) return { type: 'data', stream: word, fin, data: body };
  if (((word >>> 16) & 0x7fff) !== version) throw new Error(`SPDY version ${(word >>> 16) & 0x7fff}; 3 is wanted`);
  const need = (bytes: number) => {
    if (body.length < bytes) throw new Error('SPDY frame cut short');
  };
  const id = () => {
    need(4);
    return body.readUInt32BE(0) & 0x7fffffff;
  };
  switch (word & 0xffff) {
    case kinds.synStream:
      need(10);
      return { type: 'syn-stream', stream: id(), fin, headers: body.subarray(10) };
    case kinds.synReply:
    case kinds.headers:
      need(4);
      return { type: 'headers', headers: body.subarray(4) };
    case kinds.rstStream:
      need(8);
      return { type: 'rst-stream', stream: id(), status: body.readUInt32BE(4) };
    case kinds.ping:
      need(4);
      return { type: 'ping', id: body.readUInt32BE(0) };
    case kinds.goaway:
      return { type: 'goaway' };
    default:
      return { type: 'ignored' };
  }
}

function frame(word: number, flags: number, ...body: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(headerSize);
  header.writeUInt32BE(word >>> 0, 0);
  header[4] = flags;
  header.writeUIntBE(
    body.reduce((sum, b) => sum + b.length, 0),
    5,
    3,
  );
  return Buffer.concat([header, ...body]);
}

function control(kind: number, ...body: readonly Buffer[]): Buffer {
  return frame(controlBit | (version << 16) | kind, 0, ...body);
}

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [i, v] of values.entries()) bytes.writeUInt32BE(v >>> 0, i * 4);
  return bytes;
}

export function dataFrame(stream: number, data: Buffer, fin = false): Buffer {
  return frame(stream, fin ? finFlag : 0, data);
}

export function synReplyFrame(stream: number, headers: Buffer): Buffer {
  return control(kinds.synReply, words(stream), headers);
}

export function synStreamFrame(stream: number, headers: Buffer): Buffer {
  return control(kinds.synStream, words(stream, 0), Buffer.alloc(2), headers);
}

export function rstFrame(stream: number, status: number): Buffer {
  return control(kinds.rstStream, words(stream, status));
}

export function pingFrame(id: number): Buffer {
  return control(kinds.ping, words(id));
}

export function goawayFrame(lastStream: number): Buffer {
  return control(kinds.goaway, words(lastStream, 0));
}
