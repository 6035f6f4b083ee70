import type { Patch } from '@trimtab/client';
import {
  badRequest,
  decodeTyped,
  type GroupVersionKind,
  type KubeObject,
  type Schema,
  unsupportedMediaType,
} from '@trimtab/machinery';
import { acceptDecoded, checkType, type FieldValidation } from '../registry/decoding.js';
import type { ServedKind, Subresource } from '../registry/served-kind.js';
import { bodyType, parseBody, parseText, type ReadValue, readBody } from './body.js';
import type { Exchange } from './exchange.js';
import type { Call, HttpParts } from './parts.js';

type Record_ = Readonly<Record<string, unknown>>;

function asRecord(value: unknown, gvk: GroupVersionKind): Record_ {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw badRequest(`the body of the request is not a ${gvk.kind}`);
  return value as Record_;
}

async function readValue(exchange: Exchange, gvk: GroupVersionKind): Promise<ReadValue> {
  const bytes = await readBody(exchange);
  if (bytes.length === 0) throw badRequest(`the body of the request is empty; a ${gvk.kind} is wanted`);
  return parseBody(bytes, bodyType(exchange), gvk);
}

/** Reads a body that must hold an object of this kind: pruned and defaulted by its schema. */
export async function readObject(
  _parts: HttpParts,
  call: Call,
  kind: ServedKind,
  validation: FieldValidation,
): Promise<KubeObject> {
  const { value, duplicates } = await readValue(call.exchange, kind);
  const body = asRecord(value, kind);
  checkType(kind, body);
  const object = acceptDecoded(kind, kind.decode(body), duplicates, validation, call.context);
  return object.metadata ? object : { ...object, metadata: {} };
}

/** Reads the body of a subresource whose kind is not its parent's. */
export async function readSubresource(call: Call, sub: Subresource, validation: FieldValidation): Promise<KubeObject> {
  const { value, duplicates } = await readValue(call.exchange, sub.type);
  const body = asRecord(value, sub.type);
  checkType(sub.type, body);
  const schema: Schema = sub.schema ?? { type: 'any' };
  const object = acceptDecoded(sub.type, decodeTyped<KubeObject>(schema, body), duplicates, validation, call.context);
  return object.metadata ? object : { ...object, metadata: {} };
}

const patchTypes: Readonly<Record<string, Patch['type']>> = {
  'application/json-patch+json': 'json',
  'application/merge-patch+json': 'merge',
  'application/strategic-merge-patch+json': 'strategic',
  'application/apply-patch+yaml': 'apply',
};

/** A patch and the fields its text names twice. */
export async function readPatch(
  exchange: Exchange,
): Promise<{ readonly patch: Patch; readonly duplicates: readonly string[] }> {
  const media = bodyType(exchange);
  const type = patchTypes[media];
  if (!type)
    throw unsupportedMediaType(
      `the body of the request was in an unknown format - accepted media types include: ${Object.keys(patchTypes).join(', ')}`,
    );
  const { value, duplicates } = parseText(await readBody(exchange), media);
  const isList = Array.isArray(value);
  if (typeof value !== 'object' || value === null || isList !== (type === 'json'))
    throw badRequest(`the body of a ${type} patch must be ${type === 'json' ? 'a list of operations' : 'an object'}`);
  return { patch: { type, body: value } as Patch, duplicates };
}

/** The DeleteOptions of a body, or undefined where there is none. */
export async function readDeleteOptions(exchange: Exchange): Promise<Record_ | undefined> {
  const bytes = await readBody(exchange);
  if (bytes.length === 0) return undefined;
  const gvk = { group: 'meta.k8s.io', version: 'v1', kind: 'DeleteOptions' };
  return asRecord(parseBody(bytes, bodyType(exchange), gvk).value, gvk);
}
