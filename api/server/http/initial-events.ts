import type { KubeObject } from '@trimtab/machinery';
import { joined, type ObjectEncoder } from './encoding.js';

/** About what is written to a watcher at once. */
const perWrite = 128 * 1024;
/** Of what is made for one watcher this much is kept for others. */
const keptOf = 40 << 20;
const end = Buffer.from('}\n');

/**
 * What is there when a watch begins, as its JSON lines: put together from what the encoder remembers of the objects, in pieces
 * that are one write each. `undefined` stands for as much work without a result. `made` is told of the bytes of each line.
 */
export function* initialLines(
  encoder: Pick<ObjectEncoder, 'passing'>,
  objects: Iterable<KubeObject | undefined>,
  made: (bytes: number) => void,
): Generator<Buffer | undefined, void, undefined> {
  let pieces: (Buffer | string)[] = [];
  let size = 0;
  let before = 0;
  const head = headOf();
  for (const object of objects) {
    if (!object) {
      if (size > 0) yield joined(pieces);
      else yield undefined;
      pieces = [];
      before += size;
      size = 0;
      continue;
    }
    const body = encoder.passing(object, before + size < keptOf);
    const start = head(object, body.length > 2);
    // The brace it begins with is the head's.
    const rest = typeof body === 'string' ? body.slice(1) : body.subarray(1);
    const bytes = start.length + (typeof rest === 'string' ? Buffer.byteLength(rest) : rest.length) + end.length;
    pieces.push(start, rest, end);
    made(bytes);
    size += bytes;
    if (size < perWrite) continue;
    yield joined(pieces);
    pieces = [];
    before += size;
    size = 0;
  }
  if (size > 0) yield joined(pieces);
}

/** What stands before an object's own fields; objects that come one after another mostly are of one type. */
function headOf(): (object: KubeObject, fields: boolean) => Buffer {
  let type = '';
  let head = end;
  return ({ kind, apiVersion }, fields) => {
    const wanted = `${kind}\0${apiVersion}${fields ? ',' : ''}`;
    if (wanted === type) return head;
    type = wanted;
    const own = `"kind":${JSON.stringify(kind)},"apiVersion":${JSON.stringify(apiVersion)}`;
    head = Buffer.from(`{"type":"ADDED","object":{${own}${fields ? ',' : ''}`);
    return head;
  };
}
