import {
  apiVersionOf,
  encodeProtobuf,
  type GroupVersionKind,
  hasProtobuf,
  type KubeObject,
  objectText,
  stringifyYaml,
  type TableRow,
} from '@trimtab/machinery';
import { timeShown } from '../history/read-at.js';
import type { ListPage } from '../registry/read.js';
import type { ServedKind } from '../registry/served-kind.js';
import { acceptsGzip, commonHeaders, passSlices, sendBytes, sendSlices } from './answer.js';
import { encodeArray, encodeList, encodeMessages } from './encoding.js';
import { header } from './exchange.js';
import { gzipSlices } from './gzip.js';
import { contentType, negotiate, type Representation } from './negotiation.js';
import type { Call, HttpParts } from './parts.js';
import { isTrue } from './request-info.js';
import { sharedSlices } from './shared-slices.js';
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
      now: timeShown(parts, call),
      metadata: { resourceVersion: object.metadata.resourceVersion },
      columns: true,
    });
    return encodeValue(table, r);
  }
  if (r.as === 'PartialObjectMetadata') return encodeValue(partialMetadata(object, r.version), r);
  if (r.format === 'json' && !r.pretty && kind) return parts.encoder.line(object);
  if (r.format === 'protobuf' && kind) return parts.encoder.envelope(kind, object);
  return encodeValue(object, r);
}

function encodeValue(value: object, r: Representation): Buffer {
  if (r.format === 'protobuf') return Buffer.from(encodeProtobuf(value));
  if (r.format === 'yaml') return Buffer.from(stringifyYaml(value));
  return Buffer.from(`${r.pretty ? JSON.stringify(value, null, 2) : JSON.stringify(value)}\n`);
}

/** Lists from this many objects on are made once for all who ask at the same time. */
const sharedFrom = 200;

export function sendList(
  parts: HttpParts,
  call: Call,
  kind: ServedKind,
  page: ListPage,
  r: Representation,
): Promise<void> {
  const { items, ...metadata } = page;
  const headers = { ...commonHeaders(call.auditId, call.warnings.texts), 'content-type': contentType(r) };
  const send = (make: () => AsyncGenerator<Buffer>) => {
    const zip = acceptsGzip(call.exchange);
    const form = JSON.stringify([
      headers['content-type'],
      kind.version,
      metadata,
      zip,
      r.as === 'Table' && tableForm(),
    ]);
    const slices = items.length >= sharedFrom && sharedSlices(items, form, () => (zip ? gzipSlices(make()) : make()));
    if (!slices) return sendSlices(call.exchange, 200, headers, make());
    // What is left to do is sending, at the pace of whoever reads.
    call.endTurn?.();
    return passSlices(call.exchange, headers, slices, zip);
  };
  // Ages are told by the second.
  const tableForm = () => [includeObject(call), Math.floor(parts.registry.clock.now() / 1000)];
  const sendValue = (value: object) => sendBytes(call.exchange, 200, headers, encodeValue(value, r));
  const flat = r.format === 'json' && !r.pretty;
  if (r.as === 'Table') {
    const include = includeObject(call);
    const how = { version: r.version, include, now: timeShown(parts, call), metadata };
    if (!flat) return sendValue(tableOf(kind, items, { ...how, columns: true }));
    const head = JSON.stringify(tableOf(kind, [], { ...how, columns: true })).slice(0, -2);
    const cells = { ...how, columns: false };
    const row = (object: KubeObject, keep: boolean) => {
      if (include !== 'Metadata') return rowText(tableOf(kind, [object], cells).rows[0]!);
      const text = JSON.stringify(tableOf(kind, [object], { ...cells, include: 'None' }).rows[0]!);
      return [`${text.slice(0, -1)},"object":`, ...parts.encoder.partial(object, r.version, keep), '}'];
    };
    return send(() => encodeArray(head, items, row, ']}\n'));
  }
  const head = { group: kind.group, version: kind.version, kind: kind.listKind, metadata };
  if (r.as === 'PartialObjectMetadataList') {
    const partial = (object: KubeObject) => partialMetadata(object, r.version);
    const list = { group: 'meta.k8s.io', version: r.version, kind: r.as, metadata };
    if (flat)
      return send(() =>
        encodeList(list, items, (object, keep) => parts.encoder.partial(object, r.version, keep), 'metadata'),
      );
    return sendValue({ kind: list.kind, apiVersion: apiVersionOf(list), metadata, items: items.map(partial) });
  }
  if (r.format === 'protobuf') return send(() => encodeMessages(parts.encoder, kind, head, metadata, items));
  if (!flat) return sendValue({ kind: head.kind, apiVersion: apiVersionOf(kind), metadata, items });
  const item = (object: KubeObject, keep: boolean) =>
    kind.custom ? parts.encoder.passingWhole(object, keep) : parts.encoder.passing(object, keep);
  return send(() => encodeList(head, items, item));
}

/** A row's JSON; its object's managed fields are most of it. */
function rowText({ object, ...row }: TableRow): string {
  const text = JSON.stringify(row);
  return object ? `${text.slice(0, -1)},"object":${objectText(object as KubeObject)}}` : text;
}
