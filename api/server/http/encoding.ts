import {
  anotherTurn,
  apiVersionOf,
  encodeProtobufMessage,
  type GroupVersionKind,
  type KubeObject,
  type ListMeta,
  objectText,
  protobufEnvelope,
  protobufItemHead,
  protobufListFrame,
  RecentMap,
  untypedObjectText,
} from '@trimtab/machinery';
import { ByteCache } from './byte-cache.js';
import { Slab } from './slab.js';

/** Encodings kept, in bytes; each in two generations. A watch's lines are kept by those who send them too. */
const kept = { bodies: 80 << 20, messages: 48 << 20, metadata: 40 << 20, lines: 512 };
/** About what is written to a client at once. */
const sliceBytes = 64 * 1024;

/**
 * JSON of objects, made once per object however many lists, gets and watches ask for it: objects are immutable, so identity
 * is the key.
 */
export class ObjectEncoder {
  readonly #bodies = new ByteCache<KubeObject>(kept.bodies);
  readonly #messages = new ByteCache<KubeObject>(kept.messages);
  readonly #metadata = new ByteCache<KubeObject>(kept.metadata);
  readonly #sizes = new WeakMap<KubeObject, number>();
  readonly #lines = new RecentMap<KubeObject, Map<string, Buffer>>(kept.lines);
  readonly #lineSlab = new Slab();
  /** Whoever does not read its answer holds a block. */
  readonly #objectSlab = new Slab(64 * 1024);

  /** `written` gives the JSON of an object where somebody has made it already. */
  constructor(readonly written: (object: KubeObject) => string | undefined = () => undefined) {}

  /** The object without its type: `{"metadata":…}`. */
  body(object: KubeObject): Buffer {
    return this.#bodies.get(object) ?? this.#bodies.setText(object, this.#bodyText(object));
  }

  /** The same; what is not remembered and not to be (`keep`) comes as text, to be written where it is wanted. */
  passing(object: KubeObject, keep: boolean): Buffer | string {
    if (keep) return this.body(object);
    return this.#bodies.get(object) ?? this.#bodyText(object);
  }

  /** As {@link passing}, with the object's own type first. */
  passingWhole(object: KubeObject, keep: boolean): Buffer | string {
    if (keep || this.#bodies.get(object)) return this.object(object);
    const text = this.#bodyText(object);
    return wholeHead(object, text.length) + text.slice(1);
  }

  #bodyText(object: KubeObject): string {
    return this.#written(object) ?? untypedObjectText(object);
  }

  #written(object: KubeObject): string | undefined {
    const text = this.written(object);
    const head = text && `{"apiVersion":${JSON.stringify(object.apiVersion)},"kind":${JSON.stringify(object.kind)},`;
    return head && text.startsWith(head) ? `{${text.slice(head.length)}` : undefined;
  }

  /** The whole object, its own type first. */
  object(object: KubeObject): Buffer {
    return this.#objectSlab.join(this.parts(object));
  }

  /** The same as a line. */
  line(object: KubeObject): Buffer {
    return this.#objectSlab.join([...this.parts(object), newline]);
  }

  /** The same in pieces, for those who put something around it. */
  parts(object: KubeObject): readonly Uint8Array[] {
    const body = this.body(object);
    return [Buffer.from(wholeHead(object, body.length)), body.subarray(1)];
  }

  /** The object as PartialObjectMetadata, in pieces; remembered where it is to be kept. */
  partial(object: KubeObject, version: 'v1' | 'v1beta1', keep: boolean): Pieces {
    const head = `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/${version}",`;
    const known = this.#metadata.get(object);
    if (known) return [head, known];
    const text = objectText({ metadata: object.metadata } as KubeObject).slice(1);
    return keep ? [head, this.#metadata.setText(object, text)] : [head, text];
  }

  /** The object's protobuf message, without header. */
  message(gvk: GroupVersionKind, object: KubeObject, keep = true): Uint8Array {
    const known = this.#messages.get(object);
    if (known) return known;
    const bytes = encodeProtobufMessage(gvk, object);
    this.#sizes.set(object, bytes.length);
    return keep ? this.#messages.setBytes(object, bytes) : bytes;
  }

  /** How long the object's protobuf message is; asking again costs nothing. */
  messageSize(gvk: GroupVersionKind, object: KubeObject, keep = true): number {
    return this.#sizes.get(object) ?? this.message(gvk, object, keep).length;
  }

  /** The object as protobuf, with its header. */
  envelope(gvk: GroupVersionKind, object: KubeObject): Buffer {
    return Buffer.from(protobufEnvelope(apiVersionOf(gvk), gvk.kind, this.message(gvk, object)));
  }

  /** One framed watch event, the same bytes for every watcher with the same representation. */
  event(object: KubeObject, representation: string, make: () => readonly Uint8Array[]): Buffer {
    let made = this.#lines.get(object);
    if (!made) {
      made = new Map();
      this.#lines.set(object, made);
    }
    let bytes = made.get(representation);
    if (!bytes) {
      bytes = this.#lineSlab.join(make());
      made.set(representation, bytes);
    }
    return bytes;
  }
}

const newline = Buffer.from('\n');

/** What stands before the body of an object that says its type; `size` is that of `{…}`. */
function wholeHead({ kind, apiVersion }: KubeObject, size: number): string {
  return `{"kind":${JSON.stringify(kind)},"apiVersion":${JSON.stringify(apiVersion)}${size > 2 ? ',' : ''}`;
}

export interface ListHead {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly metadata: object;
}

/** JSON that lies in several places. */
export type Pieces = readonly (Buffer | string)[];

/** How one item of a list is written, and whether what was made of it may be kept. */
export type WriteItem<T> = (of: T, keep: boolean) => Buffer | string | Pieces;

/** A list's JSON in slices small enough to let others have a turn in between; one slice for short lists. */
export function encodeList(
  head: ListHead,
  items: readonly KubeObject[],
  item: WriteItem<KubeObject>,
  made: 'bodies' | 'metadata' = 'bodies',
): AsyncGenerator<Buffer> {
  const start = `{"kind":${JSON.stringify(head.kind)},"apiVersion":${JSON.stringify(apiVersionOf(head))},"metadata":${JSON.stringify(head.metadata)},"items":[`;
  return encodeArray(start, items, item, ']}\n', made);
}

/** JSON that is an array with something around it, in slices. What is `made` for it may be kept, but not of all of a long one. */
export async function* encodeArray<T>(
  start: string,
  items: readonly T[],
  item: WriteItem<T>,
  end: string,
  made: 'bodies' | 'metadata' = 'metadata',
): AsyncGenerator<Buffer> {
  let chunks: (Buffer | string)[] = [start];
  let size = 0;
  let before = 0;
  for (let i = 0; i < items.length; i++) {
    if (i > 0) chunks.push(',');
    const written = item(items[i]!, before + size < kept[made]);
    for (const piece of Array.isArray(written) ? (written as Pieces) : [written as Buffer | string]) {
      chunks.push(piece);
      size += piece.length;
    }
    if (size < sliceBytes || i + 1 === items.length) continue;
    yield joined(chunks);
    chunks = [];
    before += size;
    size = 0;
    await anotherTurn();
  }
  chunks.push(end);
  yield joined(chunks);
}

/** One buffer of all of them, each copied once. */
export function joined(chunks: Pieces): Buffer {
  let size = 0;
  for (const chunk of chunks) size += typeof chunk === 'string' ? Buffer.byteLength(chunk) : chunk.length;
  const bytes = Buffer.allocUnsafeSlow(size);
  let at = 0;
  for (const chunk of chunks) at += typeof chunk === 'string' ? bytes.write(chunk, at) : chunk.copy(bytes, at);
  return bytes;
}

/**
 * A list as protobuf, in slices. How long it is stands before it, so the sizes of all items are found out first; what is too
 * much to be kept meanwhile is made twice.
 */
export async function* encodeMessages(
  encoder: ObjectEncoder,
  kind: GroupVersionKind,
  list: GroupVersionKind,
  metadata: ListMeta,
  items: readonly KubeObject[],
): AsyncGenerator<Buffer> {
  const sizes: number[] = [];
  let made = 0;
  for (const [i, item] of items.entries()) {
    sizes.push(encoder.messageSize(kind, item, made < kept.messages));
    made += sizes[i]!;
    if (i % 200 === 199) await anotherTurn();
  }
  const { head, tail } = protobufListFrame(list, metadata, sizes);
  let chunks: Uint8Array[] = [head];
  let size = 0;
  let before = 0;
  for (const item of items) {
    const bytes = encoder.message(kind, item, before + size < kept.messages);
    chunks.push(protobufItemHead(bytes.length), bytes);
    size += bytes.length;
    if (size < sliceBytes) continue;
    yield Buffer.concat(chunks);
    chunks = [];
    before += size;
    size = 0;
    await anotherTurn();
  }
  chunks.push(tail);
  yield Buffer.concat(chunks);
}
