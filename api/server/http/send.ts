import {
  apiVersionOf,
  encodeProtobuf,
  encodeProtobufList,
  type GroupVersionKind,
  hasProtobuf,
  type KubeObject,
  stringifyYaml,
} from '@trimtab/machinery';
import type { ListPage } from '../registry/read.js';
import type { ServedKind } from '../registry/served-kind.js';
import { commonHeaders, sendBytes, sendSlices } from './answer.js';
import { encodeList, maxRemembered } from './encoding.js';
import { header } from './exchange.js';
import { contentType, negotiate, type Representation } from './negotiation.js';
import type { Call, HttpParts } from './parts.js';
import { isTrue } from './request-info.js';
import { type IncludeObject, partialMetadata, tableOf } from './table.js';

/** The form this call's answer is to have; 406 when none that can be given was asked for. */
export function representationOf(
  call: Call,
  can: { readonly convertible: boolean; readonly list: boolean; readonly protobuf: GroupVersionKind },
): Representation {
  const pretty = call.info.query.get('pretty');
  return negotiate(
    header(call.exchange, 'accept'),
    { ...can, protobuf: () => hasProtobuf(can.protobuf) },
    pretty !== null && isTrue(pretty),
  );
}

export function includeObject(call: Call): IncludeObject {
  const wanted = call.info.query.get('includeObject');
  return wanted === 'None' || wanted === 'Object' ? wanted : 'Metadata';
}

/** Sends one object of a served kind, or any other object with its own type. */
export function sendObject(
  parts: HttpParts,
  call: Call,
  kind: ServedKind | undefined,
  object: KubeObject,
  representation: Representation,
  status = 200,
): Promise<void> {
  const headers = {
    ...commonHeaders(call.auditId, call.warnings.texts),
    'content-type': contentType(representation),
  };
  return sendBytes(call.exchange, status, headers, encodeObject(parts, call, kind, object, representation));
}

function encodeObject(
  parts: HttpParts,
  call: Call,
  kind: ServedKind | undefined,
  object: KubeObject,
  r: Representation,
): Buffer {
  if (r.as === 'Table' && kind) {
    const table = tableOf(kind, [object], {
      version: r.version,
      include: includeObject(call),
      now: parts.registry.clock.now(),
      metadata: { resourceVersion: object.metadata.resourceVersion },
      columns: true,
    });
    return encodeValue(table, r);
  }
  if (r.as === 'PartialObjectMetadata') return encodeValue(partialMetadata(object, r.version), r);
  if (r.format === 'json' && !r.pretty && kind) return Buffer.concat([parts.encoder.object(object), newline]);
  if (r.format === 'protobuf' && kind) return parts.encoder.envelope(kind, object);
  return encodeValue(object, r);
}

const newline = Buffer.from('\n');

function encodeValue(value: object, r: Representation): Buffer {
  if (r.format === 'protobuf') return Buffer.from(encodeProtobuf(value));
  if (r.format === 'yaml') return Buffer.from(stringifyYaml(value));
  return Buffer.from(`${r.pretty ? JSON.stringify(value, null, 2) : JSON.stringify(value)}\n`);
}

export function sendList(
  parts: HttpParts,
  call: Call,
  kind: ServedKind,
  page: ListPage,
  r: Representation,
): Promise<void> {
  const { items, ...metadata } = page;
  const headers = { ...commonHeaders(call.auditId, call.warnings.texts), 'content-type': contentType(r) };
  if (r.as === 'Table') {
    const now = parts.registry.clock.now();
    const table = tableOf(kind, items, {
      version: r.version,
      include: includeObject(call),
      now,
      metadata,
      columns: true,
    });
    return sendBytes(call.exchange, 200, headers, encodeValue(table, r));
  }
  if (r.as === 'PartialObjectMetadataList') {
    const list = {
      kind: 'PartialObjectMetadataList',
      apiVersion: `meta.k8s.io/${r.version}`,
      metadata,
      items: items.map((o) => partialMetadata(o, r.version)),
    };
    return sendBytes(call.exchange, 200, headers, encodeValue(list, r));
  }
  if (r.format === 'protobuf') {
    const gvk = { group: kind.group, version: kind.version, kind: kind.listKind };
    const messages = items.map((o) => parts.encoder.message(kind, o));
    return sendBytes(call.exchange, 200, headers, Buffer.from(encodeProtobufList(gvk, metadata, messages)));
  }
  const head = { group: kind.group, version: kind.version, kind: kind.listKind, metadata };
  if (r.format !== 'json' || r.pretty)
    return sendBytes(
      call.exchange,
      200,
      headers,
      encodeValue({ kind: head.kind, apiVersion: apiVersionOf(kind), metadata, items }, r),
    );
  const keep = items.length <= maxRemembered;
  const item = (o: KubeObject) => (kind.custom ? parts.encoder.object(o, keep) : parts.encoder.body(o, keep));
  return sendSlices(call.exchange, 200, headers, encodeList(head, items, item));
}
