import { constants, createInflate } from 'node:zlib';
import { dictionary } from './dictionary.js';

/** Names are lower case; of repeated names the values are joined by a zero byte, as SPDY has it. */
export type SpdyHeaders = ReadonlyMap<string, string>;

/** Reads the compressed header blocks of one connection, strictly in order: they are one zlib stream. */
export class HeaderReader {
  readonly #inflate = createInflate({ dictionary, flush: constants.Z_SYNC_FLUSH });
  #out: Buffer[] = [];
  #failed: Error | undefined;

  constructor() {
    this.#inflate.on('data', (chunk: Buffer) => this.#out.push(chunk));
    this.#inflate.on('error', (error) => {
      this.#failed = error;
    });
  }

  read(block: Buffer): Promise<SpdyHeaders> {
    return new Promise((resolve, reject) => {
      this.#inflate.once('error', reject);
      this.#inflate.write(block, (error) => {
        this.#inflate.off('error', reject);
        const failed = error ?? this.#failed;
        if (failed) return reject(failed);
        const bytes = Buffer.concat(this.#out);
        this.#out = [];
        try {
          resolve(parseHeaders(bytes));
        } catch (wrong) {
          reject(wrong);
        }
      });
    });
  }

  close(): void {
    this.#inflate.destroy();
  }
}

function parseHeaders(bytes: Buffer): SpdyHeaders {
  let at = 0;
  const word = () => {
    if (at + 4 > bytes.length) throw new Error('SPDY header block cut short');
    at += 4;
    return bytes.readUInt32BE(at - 4);
  };
  const text = () => {
    const length = word();
    if (at + length > bytes.length) throw new Error('SPDY header block cut short');
    at += length;
    return bytes.toString('utf8', at - length, at);
  };
  const headers = new Map<string, string>();
  for (let n = word(); n > 0; n--) {
    const name = text().toLowerCase();
    headers.set(name, text());
  }
  return headers;
}

/**
 * Writes header blocks as one zlib stream of stored blocks: nothing is gained by compressing the few we send, and this way
 * it needs no state but whether the stream has begun. The empty block at the end makes readers give out what they have.
 */
export class HeaderWriter {
  #begun = false;

  write(headers: SpdyHeaders): Buffer {
    const parts: Buffer[] = [word(headers.size)];
    for (const [name, value] of headers)
      for (const s of [name, value]) parts.push(word(Buffer.byteLength(s)), Buffer.from(s));
    const data = Buffer.concat(parts);
    const start = this.#begun ? [] : [Buffer.from([0x78, 0x01])];
    this.#begun = true;
    return Buffer.concat([...start, storedBlock(data), storedBlock(Buffer.alloc(0))]);
  }
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function storedBlock(data: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt16LE(data.length, 1);
  head.writeUInt16LE(~data.length & 0xffff, 3);
  return Buffer.concat([head, data]);
}
