import type { Reader, Writer } from 'protobufjs/minimal.js';
import { apiVersionOf, type GroupVersionKind, type Json, type ListMeta, parseApiVersion } from '../object.js';
import { protobufLibrary } from './lazy.js';
import { eachField, int64, type Nested, specialMessages } from './protobuf-special.js';
import { type Message, type MessageField, messageFor, messageNamed, type Scalar } from './protobuf-table.js';

/**
 * The `application/vnd.kubernetes.protobuf` encoding (kubernetes/apimachinery: pkg/runtime/serializer/protobuf): the
 * four bytes `k8s\0`, then a `runtime.Unknown` with the object's apiVersion and kind and the message. What is written is
 * byte for byte what Go writes for the same object; what is read gives the JSON Go would write.
 */

type JsonObject = { readonly [key: string]: Json | undefined };
type Mutable = { [key: string]: Json | undefined };

const MAGIC = Uint8Array.of(0x6b, 0x38, 0x73, 0x00);

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
    const { apiVersion, kind, raw } = readUnknown(protobufLibrary().Reader.create(bytes.subarray(MAGIC.length)));
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
    const out = decodeFields(message, protobufLibrary().Reader.create(bytes), bytes.length);
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
  const writer = protobufLibrary().Writer.create();
  writer.uint32(10).fork().uint32(10).string(apiVersion).uint32(18).string(kind).ldelim();
  writer.uint32(18).bytes(message).uint32(26).string('').uint32(34).string('');
  return Buffer.concat([MAGIC, writer.finish()]);
}

/** Writes an object's message without header. */
export function encodeProtobufMessage(gvk: GroupVersionKind, object: object): Uint8Array {
  const message = messageOf(gvk);
  const writer = protobufLibrary().Writer.create();
  encodeFields(message, writer, object as JsonObject);
  return writer.finish();
}

/** Writes a list from its items' messages, so that each item is encoded once for all who read it. */
export function encodeProtobufList(
  list: GroupVersionKind,
  metadata: ListMeta,
  items: readonly Uint8Array[],
): Uint8Array {
  messageOf(list);
  const writer = protobufLibrary().Writer.create();
  encodeFields(
    messageNamed('k8s.io.apimachinery.pkg.apis.meta.v1.ListMeta')!,
    writer.uint32(10).fork(),
    metadata as JsonObject,
  );
  writer.ldelim();
  for (const item of items) writer.uint32(18).bytes(item);
  return protobufEnvelope(apiVersionOf(list), list.kind, writer.finish());
}

/**
 * One frame of a watch stream: four bytes of length, then a `WatchEvent` without header whose object is `object`, an
 * encoded object with its header.
 */
export function protobufWatchFrame(type: string, object: Uint8Array): Uint8Array {
  const writer = protobufLibrary().Writer.create();
  writer.uint32(10).string(type).uint32(18).fork().uint32(10).bytes(object).ldelim();
  const body = writer.finish();
  const frame = Buffer.alloc(4 + body.length);
  frame.writeUInt32BE(body.length);
  frame.set(body, 4);
  return frame;
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

const nested: Nested = {
  decodeObject: (bytes) => decodeProtobuf(bytes),
  decode: (name, reader, end) => decodeFields(messageNamed(name)!, reader, end),
  encode: (name, writer, value) => encodeFields(messageNamed(name)!, writer, value as JsonObject),
};

function decodeFields(message: Message, reader: Reader, end: number, into: Mutable = {}): Mutable {
  const { byNumber } = message;
  while (reader.pos < end) {
    const tag = reader.uint32();
    const field = byNumber[tag >>> 3];
    if (!field) {
      reader.skipType(tag & 7);
      continue;
    }
    if (field.list) {
      const list = into[field.name] as Json[] | undefined;
      const item = decodeValue(field, reader) ?? null;
      if (list) list.push(item);
      else into[field.name] = [item];
    } else if (field.map) {
      into[field.name] ??= {};
      decodeEntry(field, reader, into[field.name] as Mutable);
    } else if (field.embedded) {
      const length = reader.uint32();
      decodeFields(field.message!, reader, reader.pos + length, into);
    } else {
      const value = decodeValue(field, reader);
      if (value === undefined || (field.omitZero && !field.pointer && (value === '' || value === 0 || value === false)))
        continue;
      into[field.name] = value;
    }
  }
  if (reader.pos !== end) throw new RangeError('a field reaches beyond its message');
  return into;
}

function decodeEntry(field: MessageField, reader: Reader, into: Mutable): void {
  const end = reader.uint32() + reader.pos;
  let key = '';
  let value: Json | undefined;
  eachField(reader, end, (n, wire) => {
    if (n === 1) key = reader.string();
    else if (n === 2) value = decodeValue(field, reader);
    else reader.skipType(wire);
  });
  Object.defineProperty(into, key, { value: value ?? null, enumerable: true, configurable: true, writable: true });
}

function decodeValue(field: MessageField, reader: Reader): Json | undefined {
  if (field.scalar) return decodeScalar(field.scalar, reader);
  const message = field.message!;
  const end = reader.uint32() + reader.pos;
  const special = specialMessages.get(message.name);
  return special ? special.decode(reader, end, nested) : decodeFields(message, reader, end);
}

function decodeScalar(scalar: Scalar, reader: Reader): Json {
  switch (scalar) {
    case 's':
      return reader.string();
    case 'i':
      return reader.int32();
    case 'l':
      return int64(reader);
    case 'b':
      return reader.bool();
    case 'n':
      return reader.double();
    case 'y':
      return Buffer.from(reader.bytes()).toString('base64');
  }
}

function encodeFields(message: Message, writer: Writer, object: JsonObject): void {
  for (const field of message.fields) {
    if (field.embedded) {
      encodeFields(field.message!, writer.uint32((field.number << 3) | 2).fork(), object);
      writer.ldelim();
      continue;
    }
    const value = object[field.name];
    if (field.list) {
      for (const item of (value as readonly Json[] | null | undefined) ?? [])
        encodeValue(field, field.number, writer, item);
    } else if (field.map) {
      if (value) encodeMap(field, writer, value as JsonObject);
    } else if (value !== undefined && value !== null) encodeValue(field, field.number, writer, value);
    else if (!field.pointer && field.scalar !== 'y') encodeValue(field, field.number, writer, undefined);
  }
}

/** Entries go in the order of their keys, so that equal maps are equal bytes. */
function encodeMap(field: MessageField, writer: Writer, map: JsonObject): void {
  for (const key of Object.keys(map).sort(byteOrder)) {
    writer
      .uint32((field.number << 3) | 2)
      .fork()
      .uint32(10)
      .string(key);
    encodeValue(field, 2, writer, map[key]);
    writer.ldelim();
  }
}

function byteOrder(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function encodeValue(field: MessageField, number: number, writer: Writer, value: Json | undefined): void {
  if (field.scalar) {
    encodeScalar(field.scalar, number, writer, value);
    return;
  }
  const message = field.message!;
  writer.uint32((number << 3) | 2).fork();
  const special = specialMessages.get(message.name);
  if (special) special.encode(writer, value, nested);
  else encodeFields(message, writer, (value ?? {}) as JsonObject);
  writer.ldelim();
}

/** Undefined writes the zero value. */
function encodeScalar(scalar: Scalar, number: number, writer: Writer, value: Json | undefined): void {
  switch (scalar) {
    case 's':
      writer.uint32((number << 3) | 2).string(value === undefined ? '' : String(value));
      return;
    case 'i':
      writer.uint32(number << 3).int32(Number(value ?? 0));
      return;
    case 'l':
      writer.uint32(number << 3).int64(Number(value ?? 0));
      return;
    case 'b':
      writer.uint32(number << 3).bool(value === true);
      return;
    case 'n':
      writer.uint32((number << 3) | 1).double(Number(value ?? 0));
      return;
    case 'y':
      writer.uint32((number << 3) | 2).bytes(Buffer.from(String(value ?? ''), 'base64'));
  }
}
