import {
  apiVersionOf,
  encodeProtobuf,
  formatFieldSelector,
  type KubeObject,
  protobufWatchFrame,
  type StatusError,
} from '@trimtab/machinery';
import { watchOptionsAsked } from '../history/read-at.js';
import type { ServedKind } from '../registry/served-kind.js';
import { type WatchNotice, type WatchSink, watchObjects } from '../registry/watch.js';
import { commonHeaders } from './answer.js';
import { whenAborted } from './closing.js';
import { initialLines } from './initial-events.js';
import { contentType, type Representation } from './negotiation.js';
import type { Call, HttpParts } from './parts.js';
import { includeObject, representationOf } from './send.js';
import { partialMetadata, tableOf } from './table.js';
import { WatchWriter } from './watch-writer.js';

/** Events of the past between two turns of the event loop. */
const perTurn = 100;

/** Serves a watch: one JSON event a line, until the client leaves, the time is up or the server closes. */
export async function serveWatch(parts: HttpParts, call: Call, kind: ServedKind): Promise<void> {
  const { exchange, info } = call;
  const wanted = representationOf(call, { convertible: true, list: false, protobuf: kind });
  // Streams of YAML documents are nobody's watch format.
  const r: Representation = wanted.format === 'yaml' ? { ...wanted, format: 'json' } : wanted;
  const options = await watchOptionsAsked(parts, call);
  // The watch was allowed for the name in the path, so it is of that name whatever else is selected.
  const { name } = info.resource!;
  const byName =
    name && formatFieldSelector({ requirements: [{ field: 'metadata.name', operator: '=', value: name }] });
  const selector = [byName, options.fieldSelector].filter(Boolean).join(',') || undefined;
  const encode = eventEncoder(parts, call, kind, r);
  const writer = new WatchWriter();
  let told = 0;
  const sink: WatchSink = {
    next: (notice) => {
      const bytes = encode(notice);
      parts.metrics.watchEvent(kind, bytes.length);
      writer.event(bytes);
    },
    ready: () => {
      if (!writer.crowded && ++told < perTurn) return undefined;
      told = 0;
      return writer.room();
    },
    end: (error) => {
      if (error) writer.event(errorEvent(error, r));
      writer.finish();
    },
  };
  const initial: WatchSink['initial'] = async (objects) => {
    const made = (bytes: number) => parts.metrics.watchEvent(kind, bytes);
    for (const bytes of initialLines(parts.encoder, objects, made)) await writer.now(bytes);
  };
  const stop = await watchObjects(
    parts.registry,
    kind,
    info.resource!.namespace,
    { ...options, fieldSelector: selector },
    r.format === 'json' && !r.as ? { ...sink, initial } : sink,
  );
  const finish = () => writer.finish();
  exchange.signal.addEventListener('abort', finish, { once: true });
  const stay = whenAborted(parts.closing, finish);
  if (exchange.signal.aborted || parts.closing.aborted) finish();
  const headers = {
    ...commonHeaders(call.auditId, call.warnings.texts),
    'content-type': r.format === 'protobuf' ? `${contentType(r)};stream=watch` : contentType(r),
  };
  writer.open(exchange.open(200, headers));
  await writer.finished;
  stay();
  stop();
  writer.end();
}

function errorEvent(error: StatusError, { format }: Representation): Buffer {
  if (format === 'protobuf') return Buffer.from(protobufWatchFrame('ERROR', encodeProtobuf(error.status)));
  return Buffer.from(`${JSON.stringify({ type: 'ERROR', object: error.status })}\n`);
}

const lineEnd = Buffer.from('}\n');

/** Gives the bytes of an event, made once for all watchers that want the same form. */
function eventEncoder(
  parts: HttpParts,
  call: Call,
  kind: ServedKind,
  { as, version, format }: Representation,
): (notice: WatchNotice) => Buffer {
  const { encoder, registry } = parts;
  const make = (type: string, representation: string, object: KubeObject, body: () => readonly Uint8Array[]) =>
    encoder.event(object, `${type} ${representation}`, () => [
      Buffer.from(`{"type":"${type}","object":`),
      ...body(),
      lineEnd,
    ]);
  if (as === 'Table') {
    let first = true;
    const include = includeObject(call);
    return ({ type, object }) => {
      const columns = first;
      first = false;
      const now = registry.clock.now();
      const representation = `Table ${version} ${include} ${columns} ${Math.floor(now / 1000)} ${apiVersionOf(kind)}`;
      const table = () =>
        tableOf(kind, type === 'BOOKMARK' ? [] : [object], {
          version,
          include,
          now,
          metadata: { resourceVersion: object.metadata.resourceVersion },
          columns,
        });
      return make(type, representation, object, () => [Buffer.from(JSON.stringify(table()))]);
    };
  }
  if (as === 'PartialObjectMetadata' && format === 'protobuf')
    return ({ type, object }) =>
      encoder.event(object, `${type} Partial protobuf ${version}`, () => [
        protobufWatchFrame(type, encodeProtobuf(partialMetadata(object, version))),
      ]);
  if (as === 'PartialObjectMetadata')
    return ({ type, object }) =>
      make(type, `Partial ${version}`, object, () => [Buffer.from(JSON.stringify(partialMetadata(object, version)))]);
  if (format === 'protobuf')
    return ({ type, object }) =>
      encoder.event(object, `${type} protobuf ${apiVersionOf(kind)}`, () => [
        protobufWatchFrame(type, encoder.envelope(kind, object)),
      ]);
  return ({ type, object }) => make(type, 'json', object, () => encoder.parts(object));
}
