import {
  apiVersionOf,
  encodeProtobufMessage,
  type GroupVersionKind,
  type KubeObject,
  protobufEnvelope,
} from '@trimtab/machinery';

const sliceSize = 50;
/** Longer lists are not remembered: they would push out everything else, and themselves. */
export const maxRemembered = 1000;

/** Remembers what was made lately, at most `2 × size` entries, without looking at a clock. */
export class RecentCache<K, V> {
  #young = new Map<K, V>();
  #old = new Map<K, V>();

  constructor(readonly size: number) {}

  get(key: K): V | undefined {
    const value = this.#young.get(key);
    if (value !== undefined) return value;
    const older = this.#old.get(key);
    if (older !== undefined) this.set(key, older);
    return older;
  }

  set(key: K, value: V): void {
    if (this.#young.size >= this.size) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }
}

/**
 * JSON of objects, made once per object however many lists, gets and watches ask for it: objects are immutable, so identity
 * is the key.
 */
export class ObjectEncoder {
  readonly #bodies = new RecentCache<KubeObject, Buffer>(2048);
  readonly #messages = new RecentCache<KubeObject, Uint8Array>(2048);
  readonly #lines = new RecentCache<KubeObject, Map<string, Buffer>>(512);

  /** `written` gives the JSON of an object where somebody has made it already. */
  constructor(readonly written: (object: KubeObject) => string | undefined = () => undefined) {}

  /** The object without its type: `{"metadata":…}`. `keep: false` leaves what is remembered alone. */
  body(object: KubeObject, keep = true): Buffer {
    let bytes = this.#bodies.get(object);
    if (!bytes) {
      bytes = Buffer.from(this.#written(object) ?? bodyOf(object));
      if (keep) this.#bodies.set(object, bytes);
    }
    return bytes;
  }

  #written(object: KubeObject): string | undefined {
    const text = this.written(object);
    const head = text && `{"apiVersion":${JSON.stringify(object.apiVersion)},"kind":${JSON.stringify(object.kind)},`;
    return head && text.startsWith(head) ? `{${text.slice(head.length)}` : undefined;
  }

  /** The whole object, its own type first. */
  object(object: KubeObject, keep = true): Buffer {
    const head = `{"kind":${JSON.stringify(object.kind)},"apiVersion":${JSON.stringify(object.apiVersion)}`;
    const body = this.body(object, keep);
    return Buffer.concat([Buffer.from(body.length > 2 ? `${head},` : head), body.subarray(1)]);
  }

  /** The object's protobuf message, without header. */
  message(gvk: GroupVersionKind, object: KubeObject): Uint8Array {
    let bytes = this.#messages.get(object);
    if (!bytes) {
      bytes = encodeProtobufMessage(gvk, object);
      this.#messages.set(object, bytes);
    }
    return bytes;
  }

  /** The object as protobuf, with its header. */
  envelope(gvk: GroupVersionKind, object: KubeObject): Buffer {
    return Buffer.from(protobufEnvelope(apiVersionOf(gvk), gvk.kind, this.message(gvk, object)));
  }

  /** One framed watch event, the same bytes for every watcher with the same representation. */
  event(object: KubeObject, representation: string, make: () => Buffer): Buffer {
    let made = this.#lines.get(object);
    if (!made) {
      made = new Map();
      this.#lines.set(object, made);
    }
    let bytes = made.get(representation);
    if (!bytes) {
      bytes = make();
      made.set(representation, bytes);
    }
    return bytes;
  }
}

function bodyOf(object: KubeObject): string {
  const { apiVersion: _, kind: __, ...rest } = object;
  return JSON.stringify(rest);
}

export interface ListHead {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly metadata: object;
}

/** A list's JSON in slices small enough to let others have a turn in between; one slice for short lists. */
export async function* encodeList(
  head: ListHead,
  items: readonly KubeObject[],
  item: (object: KubeObject) => Buffer,
): AsyncGenerator<Buffer> {
  const start = `{"kind":${JSON.stringify(head.kind)},"apiVersion":${JSON.stringify(apiVersionOf(head))},"metadata":${JSON.stringify(head.metadata)},"items":[`;
  const comma = Buffer.from(',');
  let chunks: Buffer[] = [Buffer.from(start)];
  for (let i = 0; i < items.length; i++) {
    if (i > 0) chunks.push(comma);
    chunks.push(item(items[i]!));
    if (i % sliceSize === sliceSize - 1 && i + 1 < items.length) {
      yield Buffer.concat(chunks);
      chunks = [];
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  chunks.push(Buffer.from(']}\n'));
  yield Buffer.concat(chunks);
}
