import type { Reader } from 'protobufjs/minimal.js';
import { apiVersionOf, type GroupVersionKind, type Json, type ListMeta, parseApiVersion } from '../object.js';
import { protobufLibrary } from './lazy.js';
import { codecOf, setObjectDecoder } from './protobuf-compile.js';
import { eachField } from './protobuf-special.js';
import { type Message, messageFor, messageNamed } from './protobuf-table.js';
import { ProtobufWriter, varintSize } from './protobuf-writer.js';

/**
 * The `application/vnd.kubernetes.protobuf` encoding (kubernetes/apimachinery: pkg/runtime/serializer/protobuf): the
 * four bytes `k8s\0`, then a `runtime.Unknown` with the object's apiVersion and kind and the message. What is written is
 * byte for byte what Go writes for the same object; what is read gives the JSON Go would write.
 */

type JsonObject = { readonly [key: string]: Json | undefined };

const MAGIC = Uint8Array.of(0x6b, 0x38, 0x73, 0x00);

/** Nothing here waits while it writes, so one is enough. */
const writer = new ProtobufWriter();

const LIST_META = 'k8s.io.apimachinery.pkg.apis.meta.v1.ListMeta';
const WATCH_EVENT: GroupVersionKind = { group: '', version: 'v1', kind: 'WatchEvent' };

/** Thrown for bytes that are no Kubernetes object, and for kinds that have no protobuf message. */
export class ProtobufError extends Error {
  override readonly name = 'ProtobufError';
}

export function isProtobuf(bytes: Uint8Array): boolean {
  return MAGIC.every((b, i) => bytes[i] === b);
}

/** Whether objects of this kind can be read and written as protobuf; custom kinds cannot. */
export function hasProtobuf(gvk: GroupVersionKind): boolean {
  return messageFor(gvk) !== undefined;
}

/** Reads an object with its header. `fallback` names the kind where the header leaves it out, as clients may. */
export function decodeProtobuf(bytes: Uint8Array, fallback?: GroupVersionKind): { [key: string]: Json | undefined } {
  if (!isProtobuf(bytes))
    throw new ProtobufError('the body does not begin with the magic bytes "k8s\\0" of a Kubernetes protobuf object');
  return guarded(() => {
    const { apiVersion, kind, raw } = readUnknown(readerOf(bytes.subarray(MAGIC.length)));
    const gvk = kind ? { ...parseApiVersion(apiVersion), kind } : fallback;
    if (!gvk) throw new ProtobufError('the protobuf object names no kind');
    return decodeProtobufMessage(gvk, raw);
  });
}

/** `runtime.Unknown`: the type in field 1, the message in field 2; encodings other than none are not in use. */
function readUnknown(reader: Reader): { apiVersion: string; kind: string; raw: Uint8Array } {
  let apiVersion = '';
  let kind = '';
  let raw: Uint8Array | undefined;
  eachField(reader, reader.len, (n, wire) => {
    if (n === 1) {
      eachField(reader, reader.uint32() + reader.pos, (m, innerWire) => {
        if (m === 1) apiVersion = reader.string();
        else if (m === 2) kind = reader.string();
        else reader.skipType(innerWire);
      });
    } else if (n === 2) raw = reader.bytes();
    else reader.skipType(wire);
  });
  if (!raw) throw new RangeError('the header carries no object');
  return { apiVersion, kind, raw };
}

/** Reads an object's message that has no header, as in a watch stream's frames. */
export function decodeProtobufMessage(gvk: GroupVersionKind, bytes: Uint8Array): { [key: string]: Json | undefined } {
  const message = messageOf(gvk);
  return guarded(() => {
    const out = codecOf(message).decode(readerOf(bytes), bytes.length, {});
    return gvk.kind === WATCH_EVENT.kind ? out : { kind: gvk.kind, apiVersion: apiVersionOf(gvk), ...out };
  });
}

/**
 * Writes an object with the header. The object must name its apiVersion and kind, but for a watch event, which has none;
 * items of lists, which have none either, are written by their list's kind.
 */
export function encodeProtobuf(object: object): Uint8Array {
  const { apiVersion = '', kind = '' } = object as { apiVersion?: string; kind?: string };
  const gvk = kind === '' && 'object' in object ? WATCH_EVENT : { ...parseApiVersion(apiVersion), kind };
  return protobufEnvelope(apiVersion, kind, encodeProtobufMessage(gvk, object));
}

/** Puts the header around an encoded message. */
export function protobufEnvelope(apiVersion: string, kind: string, message: Uint8Array): Uint8Array {
  writer.reset();
  writer.uint32(10).fork().uint32(10).string(apiVersion).uint32(18).string(kind).ldelim();
  writer.uint32(18).bytes(message).uint32(26).string('').uint32(34).string('');
  return Buffer.concat([MAGIC, writer.finish()]);
}

/** Writes an object's message without header. */
export function encodeProtobufMessage(gvk: GroupVersionKind, object: object): Uint8Array {
  const message = messageOf(gvk);
  writer.reset();
  codecOf(message).encode(writer, object as JsonObject);
  return writer.finish();
}

/** Writes a list from its items' messages, so that each item is encoded once for all who read it. */
export function encodeProtobufList(
  list: GroupVersionKind,
  metadata: ListMeta,
  items: readonly Uint8Array[],
): Uint8Array {
  const { head, tail } = protobufListFrame(
    list,
    metadata,
    items.map((item) => item.length),
  );
  return Buffer.concat([head, ...items.flatMap((item) => [protobufItemHead(item.length), item]), tail]);
}

/**
 * What comes before and after the items of a list whose items' messages have these sizes, for those who write a long list
 * bit by bit; before each item goes its {@link protobufItemHead}.
 */
export function protobufListFrame(
  list: GroupVersionKind,
  metadata: ListMeta,
  sizes: Iterable<number>,
): { readonly head: Uint8Array; readonly tail: Uint8Array } {
  messageOf(list);
  writer.reset();
  codecOf(messageNamed(LIST_META)!).encode(writer.uint32(10).fork(), metadata as JsonObject);
  const before = writer.ldelim().finish();
  let length = before.length;
  for (const size of sizes) length += 1 + varintSize(size) + size;
  writer.uint32(10).fork().uint32(10).string(apiVersionOf(list)).uint32(18).string(list.kind).ldelim();
  writer.uint32(18).uint32(length);
  return { head: Buffer.concat([MAGIC, writer.finish(), before]), tail: Uint8Array.of(26, 0, 34, 0) };
}

export function protobufItemHead(size: number): Uint8Array {
  writer.reset();
  return writer.uint32(18).uint32(size).finish();
}

/**
 * One frame of a watch stream: four bytes of length, then a `WatchEvent` without header whose object is `object`, an
 * encoded object with its header.
 */
export function protobufWatchFrame(type: string, object: Uint8Array): Uint8Array {
  writer.reset();
  writer.uint32(10).string(type).uint32(18).fork().uint32(10).bytes(object).ldelim();
  const body = writer.finish();
  const frame = Buffer.alloc(4 + body.length);
  frame.writeUInt32BE(body.length);
  frame.set(body, 4);
  return frame;
}

function readerOf(bytes: Uint8Array): Reader {
  return protobufLibrary().Reader.create(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

function messageOf(gvk: GroupVersionKind): Message {
  const message = messageFor(gvk);
  if (!message)
    throw new ProtobufError(
      `no protobuf encoding for kind ${JSON.stringify(gvk.kind)} in version ${JSON.stringify(apiVersionOf(gvk))}; use JSON`,
    );
  return message;
}

/** Damaged bytes surface as range errors of the reader; they become ours. */
function guarded<T>(read: () => T): T {
  try {
    return read();
  } catch (e) {
    if (e instanceof ProtobufError) throw e;
    throw new ProtobufError(`the protobuf object is damaged: ${(e as Error).message}`);
  }
}

setObjectDecoder((bytes) => decodeProtobuf(bytes));
