import type { RecordedWatch, Violation, WatchNotice } from './history.js';
import type { Model } from './model.js';

type Event = Extract<WatchNotice, { type: 'event' }>;

/**
 * The properties of a watch, by etcd's names for them: `filter` (only what was asked for), `ordered` (revisions never go back),
 * `unique` (no event twice), `atomic` (a revision's events all together), `reliable` (no gap between events), `resumable` (begins
 * right after where it was asked to), `bookmarkable` (a bookmark is never ahead of what was told), `prevKV` (the value before is
 * the value before), `isCreate` (creation is said of what was not there); and `durable` (no event of what never was).
 */
export function checkWatches(watches: readonly RecordedWatch[], model: Model): readonly Violation[] {
  return watches.flatMap((watch) => [...checkWatch(watch, model)]);
}

function* checkWatch({ id, from, prefix, notices, cut }: RecordedWatch, model: Model): Generator<Violation> {
  const seen = new Set<string>();
  const closed = new Set<number>();
  let told = from;
  let last: number | undefined;
  const violation = (rule: string, detail: string): Violation => ({
    rule,
    detail: `watch ${id} from ${from}: ${detail}`,
  });
  for (const notice of notices) {
    if (notice.type === 'bookmark') {
      yield* missing(notice.revision, 'bookmarkable');
      if (notice.revision < told) yield violation('ordered', `bookmark ${notice.revision} after ${told}`);
      told = Math.max(told, notice.revision);
      continue;
    }
    const { revision, key } = notice;
    const name = `${revision} ${key}`;
    if (!key.startsWith(prefix)) yield violation('filter', `${name} is not of ${prefix}`);
    if (revision <= from) yield violation('resumable', `${name} was not asked for`);
    else if (revision < told) yield violation('ordered', `${name} after ${told}`);
    else if (revision === told && last !== revision) yield violation('bookmarkable', `${name} after bookmark ${told}`);
    if (seen.has(name)) yield violation('unique', `${name} came twice`);
    else if (closed.has(revision)) yield violation('atomic', `${name} came apart from the rest of its revision`);
    seen.add(name);
    yield* content(notice);
    // Everything before this revision must have been told by now.
    if (revision > told) yield* missing(revision - 1, last === undefined && told === from ? 'resumable' : 'reliable');
    if (last !== undefined && last !== revision) closed.add(last);
    last = revision;
    told = Math.max(told, revision);
  }
  // The end of a watch may come before its last revision, but not between that revision's events: they are told at once.
  if (last !== undefined && !cut) yield* missing(last, 'atomic');

  function* missing(until: number, rule: string): Generator<Violation> {
    for (const { revision, changes } of model.between(Math.max(from, told - 1), until)) {
      const expected = changes.filter(([key]) => key.startsWith(prefix));
      const lacking = expected.filter(([key]) => !seen.has(`${revision} ${key}`));
      if (lacking.length === 0) continue;
      const kind = lacking.length < expected.length ? 'atomic' : rule;
      yield violation(kind, `${revision} ${lacking.map(([key]) => key).join(', ')} missing at ${until}`);
    }
  }

  function* content({ revision, key, value, previous }: Event): Generator<Violation> {
    const persisted = model.between(revision - 1, revision)[0]?.changes.find(([name]) => name === key);
    if (persisted === undefined || persisted[1] !== value)
      yield violation('durable', `${revision} ${key} is not what the store has`);
    const before = model.at(key, revision - 1)?.value ?? null;
    if ((before === null) !== (previous === null))
      yield violation(
        'isCreate',
        `${revision} ${key} ${previous === null ? 'creates what was there' : 'changes what was not there'}`,
      );
    else if (before !== previous)
      yield violation('prevKV', `${revision} ${key}: ${previous} before, should be ${before}`);
  }
}
