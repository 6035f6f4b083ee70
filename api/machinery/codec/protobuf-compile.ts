import type { Reader } from 'protobufjs/minimal.js';
import type { Json } from '../object.js';
import { eachField, int64, type Nested, type SpecialMessage, specialMessages } from './protobuf-special.js';
import { type Message, type MessageField, messageNamed, type Scalar } from './protobuf-table.js';
import { readText } from './protobuf-text.js';
import type { ProtobufWriter } from './protobuf-writer.js';

/**
 * Turns a message of the table into straight-line code on its first use, several times faster than walking the table.
 * The code is made of the table's own names and numbers only, never of data that was sent to us.
 */

type JsonObject = { readonly [key: string]: Json | undefined };
type Mutable = { [key: string]: Json | undefined };
type Decode = (reader: Reader, end: number, into: Mutable) => Mutable;
type Encode = (writer: ProtobufWriter, object: JsonObject) => void;

export interface MessageCodec {
  /** Reads the fields up to `end` into the object given, which is returned. */
  decode: Decode;
  /** Writes the fields without tag and length. */
  encode: Encode;
}

const codecs = new Map<Message, MessageCodec>();

export function codecOf(message: Message): MessageCodec {
  let codec = codecs.get(message);
  if (!codec) {
    const made: MessageCodec = {
      decode(reader, end, into) {
        made.decode = compileDecode(message);
        return made.decode(reader, end, into);
      },
      encode(writer, object) {
        made.encode = compileEncode(message);
        made.encode(writer, object);
      },
    };
    codec = made;
    codecs.set(message, codec);
  }
  return codec;
}

/** Set by the codec that knows the header of objects within objects. */
let decodeObject: Nested['decodeObject'];
export function setObjectDecoder(decode: Nested['decodeObject']): void {
  decodeObject = decode;
}

const nested: Nested = {
  decodeObject: (bytes) => decodeObject(bytes),
  decode: (name, reader, end) => codecOf(messageNamed(name)!).decode(reader, end, {}),
  encode: (name, writer, value) => codecOf(messageNamed(name)!).encode(writer, value as JsonObject),
};

/** What a field's type is in the code: a scalar, or the n-th of the codecs and special messages handed to it. */
interface Slots {
  readonly messages: MessageCodec[];
  readonly specials: SpecialMessage[];
}

const WIRE: Readonly<Record<Scalar, number>> = { s: 2, i: 0, l: 0, b: 0, n: 1, y: 2 };
const READ: Readonly<Record<Scalar, string>> = {
  s: 'readText(r)',
  i: 'r.int32()',
  l: 'int64(r)',
  b: 'r.bool()',
  n: 'r.double()',
  y: 'base64(r.bytes())',
};

function readExpression(field: MessageField, slots: Slots): string {
  if (field.scalar) return READ[field.scalar];
  const special = specialMessages.get(field.message!.name);
  if (special) return `specials[${slots.specials.push(special) - 1}].decode(r, r.uint32() + r.pos, nested)`;
  return `messages[${slots.messages.push(codecOf(field.message!)) - 1}].decode(r, r.uint32() + r.pos, {})`;
}

function compileDecode(message: Message): Decode {
  const slots: Slots = { messages: [], specials: [] };
  const cases = message.fields.map((field) => {
    const wire = field.scalar && !field.map ? WIRE[field.scalar] : 2;
    return `case ${(field.number << 3) | wire}: ${decodeStatement(field, slots)} break;`;
  });
  const body = `return function decode(r, end, o) {
    while (r.pos < end) {
      const tag = r.uint32();
      switch (tag) {
        ${cases.join('\n        ')}
        default: r.skipType(tag & 7);
      }
    }
    if (r.pos !== end) throw new RangeError('a field reaches beyond its message');
    return o;
  };`;
  return assemble(body, slots) as Decode;
}

function decodeStatement(field: MessageField, slots: Slots): string {
  const target = `o[${JSON.stringify(field.name)}]`;
  if (field.embedded) {
    return `messages[${slots.messages.push(codecOf(field.message!)) - 1}].decode(r, r.uint32() + r.pos, o);`;
  }
  const value = readExpression(field, slots);
  if (field.map) return `entry(r, ${target} ??= {}, () => ${value});`;
  if (field.list) return `(${target} ??= []).push(${value} ?? null);`;
  const dropped = field.omitZero && !field.pointer;
  if (field.scalar) return dropped ? `{ const v = ${value}; if (v) ${target} = v; }` : `${target} = ${value};`;
  return specialMessages.has(field.message!.name)
    ? `{ const v = ${value}; if (v !== undefined) ${target} = v; }`
    : `${target} = ${value};`;
}

const ZERO: Readonly<Record<Scalar, string>> = { s: '""', i: '0', l: '0', b: 'false', n: '0', y: '' };

function writeScalar(scalar: Scalar, number: number, value: string): string {
  const tag = `w.uint32(${(number << 3) | WIRE[scalar]})`;
  switch (scalar) {
    case 's':
      return `${tag}.string(String(${value}));`;
    case 'i':
      return `${tag}.int32(${value});`;
    case 'l':
      return `${tag}.int64(${value});`;
    case 'b':
      return `${tag}.bool(${value});`;
    case 'n':
      return `${tag}.double(${value});`;
    case 'y':
      return `${tag}.bytes(bytes(${value}));`;
  }
}

function writeStatement(field: MessageField, number: number, value: string, slots: Slots): string {
  if (field.scalar) return writeScalar(field.scalar, number, value);
  const special = specialMessages.get(field.message!.name);
  const inner = special
    ? `specials[${slots.specials.push(special) - 1}].encode(w, ${value}, nested);`
    : `messages[${slots.messages.push(codecOf(field.message!)) - 1}].encode(w, ${value} ?? NONE);`;
  return `w.uint32(${(number << 3) | 2}).fork(); ${inner} w.ldelim();`;
}

function encodeStatement(field: MessageField, slots: Slots): string {
  if (field.embedded) return writeStatement(field, field.number, 'o', slots);
  const source = `o[${JSON.stringify(field.name)}]`;
  if (field.list) {
    return `{ const list = ${source}; if (list) for (const v of list) { ${writeStatement(field, field.number, 'v', slots)} } }`;
  }
  if (field.map) {
    const item = writeStatement(field, 2, 'map[key]', slots);
    // Entries go in the order of their keys, so that equal maps are equal bytes.
    return `{ const map = ${source}; if (map) for (const key of Object.keys(map).sort(byteOrder)) {
      w.uint32(${(field.number << 3) | 2}).fork().uint32(10).string(key); ${item} w.ldelim(); } }`;
  }
  if (field.pointer || field.scalar === 'y') {
    return `{ const v = ${source}; if (v !== undefined && v !== null) { ${writeStatement(field, field.number, 'v', slots)} } }`;
  }
  const zero = field.scalar ? ZERO[field.scalar] : 'undefined';
  return `{ const v = ${source} ?? ${zero}; ${writeStatement(field, field.number, 'v', slots)} }`;
}

function compileEncode(message: Message): Encode {
  const slots: Slots = { messages: [], specials: [] };
  const statements = message.fields.map((field) => encodeStatement(field, slots));
  return assemble(`return function encode(w, o) {\n${statements.join('\n')}\n};`, slots) as Encode;
}

function assemble(body: string, { messages, specials }: Slots): unknown {
  const scope = { readText, messages, specials, nested, int64, base64, bytes, entry, byteOrder, NONE: {} };
  return new Function(...Object.keys(scope), `'use strict'; ${body}`)(...Object.values(scope));
}

function base64(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64');
}

function bytes(text: string): Uint8Array {
  return Buffer.from(text, 'base64');
}

function byteOrder(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function entry(reader: Reader, into: Mutable, read: () => Json | undefined): void {
  const end = reader.uint32() + reader.pos;
  let key = '';
  let value: Json | undefined;
  eachField(reader, end, (n, wire) => {
    if (n === 1 && wire === 2) key = readText(reader);
    else if (n === 2) value = read();
    else reader.skipType(wire);
  });
  if (key !== '__proto__') into[key] = value ?? null;
  else Object.defineProperty(into, key, { value: value ?? null, enumerable: true, configurable: true, writable: true });
}
