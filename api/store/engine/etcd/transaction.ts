import { CompareFailedError, type Transaction } from '../engine.js';
import type { Keys } from './keys.js';
import type { Compare, RequestOp, TxnRequest, TxnResponse } from './messages.js';

/** The mark a transaction leaves at the tip: when it was made (Unix milliseconds) and by whom. */
export interface Mark {
  readonly time: number;
  readonly id: string;
}

export const writeMark = ({ time, id }: Mark): Buffer => Buffer.from(`${time} ${id}`);

export function readMark(bytes: Uint8Array): Mark {
  const [time = '', id = ''] = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    .toString('latin1')
    .split(' ');
  return { time: Number(time), id };
}

/** What makes a transaction this process's: its session and where that was last changed. */
export interface Fence {
  readonly session: Buffer;
  readonly revision: number;
}

/**
 * A server takes 128 operations a list (--max-txn-ops), less those of the lists around it: so many changes stand in a transaction
 * of their own inside, all of them in one revision still.
 */
const INNER = 60;

/** Where several transactions of the same process must not both happen, their fence differs. */
export function txnOf(
  { compares, changes }: Transaction,
  mark: Mark,
  fence: Fence,
  keys: Keys,
  leases: ReadonlyMap<number, number>,
): TxnRequest {
  const operations = changes.map(({ key, value, ttlSeconds }): RequestOp => {
    const place = keys.write(key);
    if (value === undefined) return { deleteRange: { key: place } };
    const lease = ttlSeconds === undefined ? {} : { lease: leases.get(ttlSeconds)! };
    return { put: { key: place, value: typeof value === 'string' ? Buffer.from(value) : value, ...lease } };
  });
  if (operations.length > 0) operations.push({ put: { key: keys.tip, value: writeMark(mark) } });
  const at = (key: Uint8Array, revision: number): Compare => ({ result: 0, target: 2, key, modRevision: revision });
  const tip: RequestOp = { range: { key: keys.tip, keysOnly: true } };
  return {
    compare: [at(fence.session, fence.revision), ...compares.map(({ key, revision }) => at(keys.write(key), revision))],
    success: changes.length === 0 ? [tip] : operations.length <= INNER ? operations : grouped(operations),
    failure: [keys.tip, fence.session, ...compares.map(({ key }) => keys.write(key))].map((key) => ({
      range: { key, keysOnly: true },
    })),
  };
}

function grouped(operations: readonly RequestOp[]): RequestOp[] {
  const groups: RequestOp[] = [];
  for (let i = 0; i < operations.length; i += INNER)
    groups.push({ txn: { compare: [], success: operations.slice(i, i + INNER), failure: [] } });
  return groups;
}

export type Outcome =
  | { readonly type: 'done'; readonly revision: number }
  /** A comparison did not hold; `newest` is the newest transaction's revision at that moment. */
  | { readonly type: 'failed'; readonly error: CompareFailedError; readonly newest: number }
  /** Our session was changed or is gone; nothing happened. */
  | { readonly type: 'fenced'; readonly session: number };

export function outcomeOf({ compares, changes }: Transaction, fence: Fence, response: TxnResponse): Outcome {
  const found = response.responses.map(({ range }) => Number(range?.kvs?.[0]?.modRevision ?? 0));
  if (response.succeeded)
    return { type: 'done', revision: changes.length === 0 ? (found[0] ?? 0) : Number(response.header.revision) };
  const [newest = 0, session = 0, ...actual] = found;
  const i = compares.findIndex(({ revision }, n) => actual[n] !== revision);
  if (i >= 0 && session === fence.revision)
    return { type: 'failed', error: new CompareFailedError(compares[i]!, actual[i]!), newest };
  return { type: 'fenced', session };
}
