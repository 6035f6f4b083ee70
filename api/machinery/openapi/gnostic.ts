import type { Writer } from 'protobufjs/minimal.js';
import { protobufLibrary } from '../codec/lazy.js';
import type { Json } from '../object.js';

/**
 * The protobuf form of an OpenAPI version 2 document (gnostic: openapiv2/OpenAPIv2.proto), which kubectl 1.27 and 1.28
 * ask for. Covers what {@link openapiV2} writes.
 */

type JsonObject = { readonly [key: string]: Json | undefined };
/** Writes one field of a message, tag included; nothing where the value is absent or zero. */
type FieldWriter = (writer: Writer, number: number, value: Json) => void;
type MessageTable = Readonly<Record<string, readonly [number, FieldWriter]>>;

export function encodeOpenapiV2(document: { readonly [key: string]: Json }): Uint8Array {
  const writer = protobufLibrary().Writer.create();
  writeFields(writer, documentTable, document);
  return writer.finish();
}

const bytes = (number: number): number => (number << 3) | 2;

const text: FieldWriter = (writer, number, value) => {
  if (value !== '') writer.uint32(bytes(number)).string(String(value));
};
const texts: FieldWriter = (writer, number, value) => {
  for (const item of value as readonly Json[]) writer.uint32(bytes(number)).string(String(item));
};
const flag: FieldWriter = (writer, number, value) => {
  if (value === true) writer.uint32(number << 3).bool(true);
};
/** A boolean that is one of two alternatives, so false is written too. */
const choice: FieldWriter = (writer, number, value) => {
  writer.uint32(number << 3).bool(value === true);
};
const whole: FieldWriter = (writer, number, value) => {
  if (value !== 0) writer.uint32(number << 3).int64(Number(value));
};
const real: FieldWriter = (writer, number, value) => {
  if (value !== 0) writer.uint32((number << 3) | 1).double(Number(value));
};
/** Any JSON, as the YAML text gnostic keeps; JSON is YAML. */
const any: FieldWriter = (writer, number, value) => {
  writer
    .uint32(bytes(number))
    .fork()
    .uint32(18)
    .string(`${JSON.stringify(value)}\n`)
    .ldelim();
};
const anys: FieldWriter = (writer, number, value) => {
  for (const item of value as readonly Json[]) any(writer, number, item);
};
const message =
  (table: () => MessageTable): FieldWriter =>
  (writer, number, value) => {
    writeFields(writer.uint32(bytes(number)).fork(), table(), value as JsonObject);
    writer.ldelim();
  };
/** An object's entries as a repeated field of (name, value) pairs. */
const named =
  (item: FieldWriter): FieldWriter =>
  (writer, number, value) => {
    for (const [name, entry] of Object.entries(value as JsonObject)) {
      if (entry === undefined) continue;
      writer.uint32(bytes(number)).fork().uint32(10).string(name);
      item(writer, 2, entry);
      writer.ldelim();
    }
  };
/** A message that only holds, in one field, what `inner` writes. */
const within =
  (inner: FieldWriter, field = 1): FieldWriter =>
  (writer, number, value) => {
    inner(writer.uint32(bytes(number)).fork(), field, value);
    writer.ldelim();
  };

function writeFields(writer: Writer, table: MessageTable, value: JsonObject): void {
  const extensions: { [key: string]: Json | undefined } = {};
  for (const [key, field] of Object.entries(value)) {
    if (field === undefined) continue;
    const known = table[key];
    if (known) known[1](writer, known[0], field);
    else if (key.startsWith('x-')) extensions[key] = field;
  }
  const slot = table['x-'];
  if (slot) slot[1](writer, slot[0], extensions);
}

const extension = (number: number): readonly [number, FieldWriter] => [number, named(any)];

const schema = message(() => schemaTable);
const schemaTable: MessageTable = {
  $ref: [1, text],
  format: [2, text],
  title: [3, text],
  description: [4, text],
  default: [5, any],
  multipleOf: [6, real],
  maximum: [7, real],
  exclusiveMaximum: [8, flag],
  minimum: [9, real],
  exclusiveMinimum: [10, flag],
  maxLength: [11, whole],
  minLength: [12, whole],
  pattern: [13, text],
  maxItems: [14, whole],
  minItems: [15, whole],
  uniqueItems: [16, flag],
  maxProperties: [17, whole],
  minProperties: [18, whole],
  required: [19, texts],
  enum: [20, anys],
  additionalProperties: [
    21,
    (writer, number, value) => (typeof value === 'boolean' ? within(choice, 2) : within(schema))(writer, number, value),
  ],
  type: [22, within((writer, number, value) => texts(writer, number, Array.isArray(value) ? value : [value]))],
  items: [23, within(schema)],
  properties: [25, within(named(schema))],
  example: [30, any],
  'x-': extension(31),
};

const bodyParameter: MessageTable = {
  description: [1, text],
  name: [2, text],
  in: [3, text],
  required: [4, flag],
  schema: [5, schema],
};
const queryParameter: MessageTable = {
  required: [1, flag],
  in: [2, text],
  description: [3, text],
  name: [4, text],
  type: [6, text],
  format: [7, text],
  uniqueItems: [20, flag],
};
const pathParameter: MessageTable = {
  required: [1, flag],
  in: [2, text],
  description: [3, text],
  name: [4, text],
  type: [5, text],
  format: [6, text],
  uniqueItems: [19, flag],
};

/** ParametersItem > Parameter > BodyParameter, or > NonBodyParameter > one of its kinds. */
const parameters: FieldWriter = (writer, number, value) => {
  for (const parameter of value as readonly JsonObject[]) {
    const kind = parameter.in;
    const inner =
      kind === 'body'
        ? within(message(() => bodyParameter))
        : within(
            within(
              message(() => (kind === 'path' ? pathParameter : queryParameter)),
              kind === 'path' ? 4 : 3,
            ),
            2,
          );
    within(inner)(writer, number, parameter as Json);
  }
};

const response: MessageTable = { description: [1, text], schema: [2, within(schema)], 'x-': extension(5) };
const responses: FieldWriter = within(named(within(message(() => response))));

const operation = message(() => ({
  tags: [1, texts],
  summary: [2, text],
  description: [3, text],
  operationId: [5, text],
  produces: [6, texts],
  consumes: [7, texts],
  parameters: [8, parameters],
  responses: [9, responses],
  'x-': extension(13),
}));

const pathItem = message(() => ({
  get: [2, operation],
  put: [3, operation],
  post: [4, operation],
  delete: [5, operation],
  patch: [8, operation],
  parameters: [9, parameters],
  'x-': extension(10),
}));

const documentTable: MessageTable = {
  swagger: [1, text],
  info: [2, message(() => ({ title: [1, text], version: [2, text] }))],
  paths: [8, within(named(pathItem), 2)],
  definitions: [9, within(named(schema))],
  'x-': extension(16),
};
