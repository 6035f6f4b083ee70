import type { Reader } from 'protobufjs/minimal.js';
import type { FieldsV1 } from '../apply/field-set.js';
import { fieldsText } from '../apply/fields-text.js';
import type { Json } from '../object.js';
import { readText } from './protobuf-text.js';
import type { ProtobufWriter } from './protobuf-writer.js';

/**
 * Messages whose JSON is not an object with their fields. `decode` reads a message of `length` bytes; `encode` writes the
 * message's fields, without tag and length. Undefined from `decode` is Go's zero value, which JSON has no text for.
 */
export interface SpecialMessage {
  decode(reader: Reader, end: number, nested: Nested): Json | undefined;
  encode(writer: ProtobufWriter, value: Json | undefined, nested: Nested): void;
}

/** What special messages need of the codec they are part of. */
export interface Nested {
  decodeObject(bytes: Uint8Array): Json;
  decode(message: string, reader: Reader, end: number): Json;
  encode(message: string, writer: ProtobufWriter, value: Json): void;
}

const APIMACHINERY = 'k8s.io.apimachinery.pkg';
const APIEXTENSIONS = 'k8s.io.apiextensions_apiserver.pkg.apis.apiextensions';
const text = new TextDecoder();

/** Calls `field` for each field of a message with its number; a field it does not read must be skipped by it. */
export function eachField(reader: Reader, end: number, field: (number: number, wire: number) => void): void {
  while (reader.pos < end) {
    const tag = reader.uint32();
    field(tag >>> 3, tag & 7);
  }
}

/** A 64-bit integer as a JavaScript number; exact up to 2^53, as JSON numbers are. */
export function int64(reader: Reader): number {
  const first = reader.buf[reader.pos];
  if (first !== undefined && first < 0x80) {
    reader.pos++;
    return first;
  }
  const value = reader.int64();
  return typeof value === 'number' ? value : value.high * 0x1_0000_0000 + (value.low >>> 0);
}

const recentSeconds = new Map<number, string>();

/** `2026-01-02T03:04:05`; the instants of one object are few, and so are those of its neighbours. */
function isoSeconds(seconds: number): string {
  let found = recentSeconds.get(seconds);
  if (found === undefined) {
    found = new Date(seconds * 1000).toISOString().slice(0, 19);
    if (recentSeconds.size >= 4096) recentSeconds.clear();
    recentSeconds.set(seconds, found);
  }
  return found;
}

function instant(digits: 0 | 6): SpecialMessage {
  return {
    decode(reader, end) {
      if (reader.pos >= end) return undefined;
      let seconds = 0;
      let nanos = 0;
      eachField(reader, end, (n, wire) => {
        if (n === 1) seconds = int64(reader);
        else if (n === 2) nanos = reader.int32();
        else reader.skipType(wire);
      });
      const iso = isoSeconds(seconds);
      return digits === 0 ? `${iso}Z` : `${iso}.${String(Math.floor(nanos / 1000)).padStart(6, '0')}Z`;
    },
    encode(writer, value) {
      if (typeof value !== 'string') return;
      const nanos = digits === 0 ? 0 : Number(value.slice(20, 26).padEnd(9, '0'));
      writer.uint32(8).int64(Math.floor(Date.parse(`${value.slice(0, 19)}Z`) / 1000));
      writer.uint32(16).int32(nanos);
    },
  };
}

const quantity: SpecialMessage = {
  decode(reader, end) {
    let out = '0';
    eachField(reader, end, (n, wire) => {
      if (n === 1) out = readText(reader);
      else reader.skipType(wire);
    });
    return out;
  },
  encode: (writer, value) => void writer.uint32(10).string(value === undefined || value === null ? '0' : String(value)),
};

const intOrString: SpecialMessage = {
  decode(reader, end) {
    let type = 0;
    let number = 0;
    let string = '';
    eachField(reader, end, (n, wire) => {
      if (n === 1) type = int64(reader);
      else if (n === 2) number = reader.int32();
      else if (n === 3) string = readText(reader);
      else reader.skipType(wire);
    });
    return type === 0 ? number : string;
  },
  encode(writer, value) {
    const string = typeof value === 'string';
    writer.uint32(8).int64(string ? 1 : 0);
    writer.uint32(16).int32(typeof value === 'number' ? value : 0);
    writer.uint32(26).string(string ? value : '');
  },
};

/** JSON text, or for an object within an object any encoding with its own header, in a field of bytes. */
const raw: SpecialMessage = {
  decode(reader, end, nested) {
    let out: Json | undefined;
    eachField(reader, end, (n, wire) => {
      if (n === 1) out = parseRaw(reader.bytes(), nested);
      else reader.skipType(wire);
    });
    return out;
  },
  encode(writer, value) {
    if (value !== undefined) writer.uint32(10).string(JSON.stringify(value));
  },
};

const managedFields: SpecialMessage = {
  decode: raw.decode,
  encode(writer, value) {
    if (value === undefined) return;
    const object = typeof value === 'object' && value !== null && !Array.isArray(value);
    writer.uint32(10).string(object ? fieldsText(value as FieldsV1) : JSON.stringify(value));
  },
};

function parseRaw(bytes: Uint8Array, nested: Nested): Json | undefined {
  if (bytes.length === 0) return undefined;
  if (bytes[0] === 0x6b && bytes[1] === 0x38 && bytes[2] === 0x73 && bytes[3] === 0) return nested.decodeObject(bytes);
  return JSON.parse(text.decode(bytes)) as Json;
}

/** A message that only wraps a list of strings. */
const strings: SpecialMessage = {
  decode(reader, end) {
    const out: string[] = [];
    eachField(reader, end, (n, wire) => {
      if (n === 1) out.push(readText(reader));
      else reader.skipType(wire);
    });
    return out;
  },
  encode(writer, value) {
    for (const item of (value as readonly string[] | undefined) ?? []) writer.uint32(10).string(item);
  },
};

const UNITS: readonly (readonly [string, number])[] = [
  ['h', 3600e9],
  ['m', 60e9],
  ['s', 1e9],
];

/** Nanoseconds on the wire, `1h0m0.5s` in JSON. */
const duration: SpecialMessage = {
  decode(reader, end) {
    let nanos = 0;
    eachField(reader, end, (n, wire) => {
      if (n === 1) nanos = int64(reader);
      else reader.skipType(wire);
    });
    const sign = nanos < 0 ? '-' : '';
    let rest = Math.abs(nanos);
    let out = '';
    for (const [unit, size] of UNITS) {
      const amount = unit === 's' ? rest / size : Math.floor(rest / size);
      if (amount > 0 || out !== '' || unit === 's') out += `${amount}${unit}`;
      rest -= Math.floor(amount) * size;
    }
    return sign + out;
  },
  encode(writer, value) {
    let nanos = 0;
    for (const [, amount, unit] of String(value ?? '').matchAll(/([\d.]+)(h|ms|us|µs|ns|m|s)/g)) {
      const size = { h: 3600e9, m: 60e9, s: 1e9, ms: 1e6, us: 1e3, µs: 1e3, ns: 1 }[unit!]!;
      nanos += Number(amount) * size;
    }
    writer.uint32(8).int64(String(value).startsWith('-') ? -nanos : nanos);
  },
};

/** One schema, or something else: a list of schemas, a boolean, a list of strings. */
function schemaOr(other: 'list' | 'boolean' | 'strings', schemaField: number, schema: string): SpecialMessage {
  const otherField = 3 - schemaField;
  return {
    decode(reader, end, nested) {
      let one: Json | undefined;
      let allows = false;
      const many: Json[] = [];
      eachField(reader, end, (n, wire) => {
        if (n === otherField && other === 'boolean') allows = reader.bool();
        else if (n === otherField && other === 'strings') many.push(readText(reader));
        else if (n === schemaField || n === otherField) {
          const length = reader.uint32();
          const value = nested.decode(schema, reader, reader.pos + length);
          if (n === schemaField) one = value;
          else many.push(value);
        } else reader.skipType(wire);
      });
      return one ?? (other === 'boolean' ? allows : many);
    },
    encode(writer, value, nested) {
      const isSchema = typeof value === 'object' && value !== null && !Array.isArray(value);
      const putSchema = () => {
        if (!isSchema) return;
        nested.encode(schema, writer.uint32((schemaField << 3) | 2).fork(), value);
        writer.ldelim();
      };
      if (schemaField === 1) putSchema();
      if (other === 'boolean') writer.uint32(otherField << 3).bool(value === true || isSchema);
      for (const item of Array.isArray(value) ? value : []) {
        if (other === 'strings') writer.uint32((otherField << 3) | 2).string(String(item));
        else {
          nested.encode(schema, writer.uint32((otherField << 3) | 2).fork(), item);
          writer.ldelim();
        }
      }
      if (schemaField === 2) putSchema();
    },
  };
}

function extensions(version: string): readonly (readonly [string, SpecialMessage])[] {
  const name = `${APIEXTENSIONS}.${version}.JSON`;
  return [
    [name, raw],
    [`${name}SchemaPropsOrArray`, schemaOr('list', 1, `${name}SchemaProps`)],
    [`${name}SchemaPropsOrBool`, schemaOr('boolean', 2, `${name}SchemaProps`)],
    [`${name}SchemaPropsOrStringArray`, schemaOr('strings', 1, `${name}SchemaProps`)],
  ];
}

export const specialMessages: ReadonlyMap<string, SpecialMessage> = new Map([
  [`${APIMACHINERY}.apis.meta.v1.Time`, instant(0)],
  [`${APIMACHINERY}.apis.meta.v1.MicroTime`, instant(6)],
  [`${APIMACHINERY}.apis.meta.v1.Duration`, duration],
  [`${APIMACHINERY}.apis.meta.v1.FieldsV1`, managedFields],
  [`${APIMACHINERY}.apis.meta.v1.Verbs`, strings],
  [`${APIMACHINERY}.api.resource.Quantity`, quantity],
  [`${APIMACHINERY}.util.intstr.IntOrString`, intOrString],
  [`${APIMACHINERY}.runtime.RawExtension`, raw],
  ['k8s.io.api.authentication.v1.AttestationValue', strings],
  ['k8s.io.api.authentication.v1.ExtraValue', strings],
  ['k8s.io.api.authentication.v1beta1.ExtraValue', strings],
  ['k8s.io.api.authorization.v1.ExtraValue', strings],
  ['k8s.io.api.authorization.v1beta1.ExtraValue', strings],
  ['k8s.io.api.certificates.v1.ExtraValue', strings],
  ['k8s.io.api.certificates.v1beta1.ExtraValue', strings],
  ...extensions('v1'),
  ...extensions('v1beta1'),
]);
