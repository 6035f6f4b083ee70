import { badRequest, notFound } from '@trimtab/machinery';
import type { Store } from '@trimtab/store';
import { isWanted, kindFinder, mayGet, type Reader, type Wanted } from './changes.js';
import type { PastWrite } from './plan.js';
import { changedNames } from './three-way.js';
import { writerOf } from './writer.js';

/** What is to be taken back. */
export interface UndoRequest extends Wanted {
  /** Only what this field manager wrote. */
  readonly manager?: string;
  /** The revisions after `from` up to `to`; without them, the last time anything wanted was written. */
  readonly from?: number;
  readonly to?: number;
}

/** Writes of one manager that lie no further apart belong to one command, which writes one object after the other. */
const ONE_COMMAND_MS = 2_000;

/** Under which names people's own tools write. What controllers write they would write again. */
const TOOLS = /^(trimtab|kubectl|helm)([-/].*)?$/i;

interface TimedWrite extends PastWrite {
  readonly revision: number;
  readonly time: number;
}

/**
 * The writes that a request means, oldest first: those of a range of revisions, or else those of the last command, which is the
 * newest write by a tool of people's (or by the manager named), those of the same kind shortly before it, and whatever was
 * committed with one of them. Throws 404 where there is nothing of the kind.
 */
export async function writesToUndo(reader: Reader, request: UndoRequest): Promise<readonly PastWrite[]> {
  const { store } = reader;
  const { manager, from, to } = request;
  if (from === undefined && to !== undefined)
    throw badRequest('to goes with from: the revision before the first that is undone');
  const writes = await writesWithin(
    reader,
    from ?? (store.oldest ? store.oldest.revision - 1 : store.revision),
    to ?? store.revision,
    request,
  );
  const isMeant = (write: TimedWrite) => manager === undefined || (write.manager ?? deletedOf(write)) === manager;
  if (from !== undefined) {
    const wanted = writes.filter(isMeant);
    if (wanted.length === 0) throw nothing(request);
    return wanted;
  }
  const isCommand = (write: TimedWrite) =>
    manager === undefined ? TOOLS.test(write.manager ?? deletedOf(write) ?? '') : isMeant(write);
  const commands = writes.filter((write) => isChange(write) && isCommand(write));
  const last = commands.at(-1);
  if (last === undefined) throw nothing(request);
  const revisions = new Set<number>();
  let next = last.time;
  for (const write of commands.toReversed()) {
    if (write.manager !== last.manager) continue;
    if (next - write.time > ONE_COMMAND_MS) break;
    next = write.time;
    revisions.add(write.revision);
  }
  return writes.filter((write) => revisions.has(write.revision) && isChange(write));
}

/**
 * Whose object a deletion took away, by who made it: deletions leave no entry of who asked for them. Undefined where it was
 * made for another object, which is what it goes with.
 */
function deletedOf({ before, after }: PastWrite): string | undefined {
  if (after !== undefined || before === undefined || before.metadata.ownerReferences?.length) return undefined;
  const [first] = [...(before.metadata.managedFields ?? [])].sort((a, b) => ((a.time ?? '') < (b.time ?? '') ? -1 : 1));
  return first?.manager;
}

const isChange = ({ before, after, kind }: PastWrite): boolean =>
  before === undefined || after === undefined || changedNames(before, after, kind.schema).length > 0;

async function writesWithin(reader: Reader, from: number, to: number, wanted: Wanted): Promise<readonly TimedWrite[]> {
  const find = kindFinder(reader.kinds);
  const writes: TimedWrite[] = [];
  for (const { revision, time, events } of commitsAfter(reader.store, from)) {
    if (revision > to) break;
    for (const { key, type, object, previous } of events) {
      const kind = isWanted(wanted, key) ? find(key.resource) : undefined;
      if (!kind || !mayGet(reader, kind, key)) continue;
      const stored = type === 'put' ? object : undefined;
      await kind.storage.prepare?.(
        [previous, stored].filter((each) => each !== undefined),
        'served',
      );
      const before = previous && kind.storage.fromStorage(previous);
      const after = stored && kind.storage.fromStorage(stored);
      const { manager } = writerOf(before, after, kind.schema, time) ?? {};
      writes.push({ key, kind, before, after, revision, time, ...(manager === undefined ? {} : { manager }) });
    }
  }
  return writes;
}

function commitsAfter(store: Store, from: number): ReturnType<Store['commitsAfter']> {
  return store.commitsAfter(Math.max(from, store.compacted));
}

const nothing = ({ manager, resources, names }: UndoRequest) =>
  notFound(
    { group: '', resource: 'writes' },
    [manager && `by ${manager}`, resources?.join(','), names?.join(',')].filter(Boolean).join(' of ') || 'by people',
  );
