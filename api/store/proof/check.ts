import { checkWatches } from './check-watches.js';
import type { History, PersistedRevision, RecordedRead, RecordedTransaction, Violation } from './history.js';
import { Model } from './model.js';

/**
 * Judges a history. Revisions are the witness of the order, so linearizability needs no search: writes must be what the persisted
 * sequence says, the sequence must respect expectations and real time, and a read must be the state at a revision that was
 * newest at some instant between its call and its answer. Then the watches, one property after another.
 *
 * Rules: `ascending`, `durable`, `unasked`, `twice`, `refused`, `expectation`, `real-time`, `conflict`, `stale-read`,
 * `future-read`, `read-state`, and those of {@link checkWatches}.
 */
export function checkHistory(history: History): readonly Violation[] {
  const model = new Model(history.persisted);
  const clock = new Witness(history.transactions, history.reads);
  return [
    ...checkSequence(history.persisted),
    ...checkTransactions(history, model, clock),
    ...history.reads.flatMap((read) => [...checkRead(read, model, clock)]),
    ...checkWatches(history.watches, model),
  ];
}

function* checkSequence(persisted: readonly PersistedRevision[]): Generator<Violation> {
  for (let i = 1; i < persisted.length; i++) {
    const [before, now] = [persisted[i - 1]!.revision, persisted[i]!.revision];
    if (now <= before) yield { rule: 'ascending', detail: `revision ${now} comes after ${before}` };
  }
}

/** What must have been newest by when, by what was answered and what was asked. */
class Witness {
  readonly #answers: { readonly time: number; readonly revision: number }[];

  constructor(transactions: readonly RecordedTransaction[], reads: readonly RecordedRead[]) {
    const written = transactions.flatMap(({ end, answer }) =>
      end !== undefined && answer !== undefined && 'revision' in answer
        ? [{ time: end, revision: answer.revision }]
        : [],
    );
    const read = reads.map(({ end, revision }) => ({ time: end, revision }));
    this.#answers = [...written, ...read].sort((a, b) => a.time - b.time);
    for (let i = 1; i < this.#answers.length; i++) {
      const revision = Math.max(this.#answers[i]!.revision, this.#answers[i - 1]!.revision);
      this.#answers[i] = { time: this.#answers[i]!.time, revision };
    }
  }

  /** The newest revision that somebody had been told of before `time`. */
  known(time: number): number {
    let low = 0;
    let high = this.#answers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#answers[middle]!.time < time) low = middle + 1;
      else high = middle;
    }
    return this.#answers[low - 1]?.revision ?? 0;
  }
}

const signature = (changes: PersistedRevision['changes']): string =>
  JSON.stringify([...changes].sort(([a], [b]) => (a < b ? -1 : 1)));

function* checkTransactions(
  { persisted, transactions, since = 0 }: History,
  model: Model,
  clock: Witness,
): Generator<Violation> {
  const byRevision = new Map(persisted.map((entry) => [entry.revision, entry]));
  const bySignature = new Map<string, RecordedTransaction[]>();
  for (const transaction of transactions) {
    const key = signature(transaction.request.changes);
    bySignature.set(key, [...(bySignature.get(key) ?? []), transaction]);
  }
  const claimed = new Map<RecordedTransaction, number>();
  for (const { id, answer, request } of transactions) {
    if (answer === undefined || !('revision' in answer) || request.changes.length === 0) continue;
    const found = byRevision.get(answer.revision);
    if (found === undefined || signature(found.changes) !== signature(request.changes))
      yield {
        rule: 'durable',
        detail: `${id} was acknowledged at revision ${answer.revision}, which ${found ? 'is another' : 'is not there'}`,
      };
  }
  // The latest call that began before the revision, for the sake of real time.
  for (const { revision, changes } of persisted) {
    if (revision <= since) continue;
    const candidates = bySignature.get(signature(changes)) ?? [];
    const exact = candidates.find(({ answer }) => answer && 'revision' in answer && answer.revision === revision);
    const asked = exact ?? candidates.find((c) => !claimed.has(c) && c.answer === undefined) ?? candidates[0];
    if (asked === undefined) {
      yield { rule: 'unasked', detail: `revision ${revision} was asked for by nobody: ${signature(changes)}` };
      continue;
    }
    if (claimed.has(asked))
      yield { rule: 'twice', detail: `${asked.id} is at revisions ${claimed.get(asked)} and ${revision}` };
    claimed.set(asked, revision);
    const { answer } = asked;
    if (answer !== undefined && !('revision' in answer))
      yield { rule: 'refused', detail: `${asked.id} was told that it did not happen, and is at revision ${revision}` };
    for (const [key, expected] of asked.request.expects) {
      const actual = model.at(key, revision - 1)?.revision ?? 0;
      if (actual !== expected)
        yield {
          rule: 'expectation',
          detail: `${asked.id} at ${revision}: ${key} expected at ${expected}, was at ${actual}`,
        };
    }
    const known = clock.known(asked.start);
    if (revision <= known)
      yield { rule: 'real-time', detail: `${asked.id} began when ${known} was known, and is at revision ${revision}` };
  }
  const ends = transactions
    .flatMap((transaction) => {
      const revision = claimed.get(transaction);
      return revision === undefined ? [] : [{ start: transaction.start, revision }];
    })
    .sort((a, b) => a.start - b.start);
  for (const { id, start, end, answer, request } of transactions) {
    if (answer === undefined || !('conflict' in answer)) continue;
    const { key, actual } = answer.conflict;
    // What was there before this history began is known to everyone in it.
    const low = Math.max(since, clock.known(start));
    const high = ends.reduce((most, e) => (e.start <= end! ? Math.max(most, e.revision) : most), low);
    const expected = request.expects.find(([name]) => name === key)?.[1];
    if (expected === actual || !model.wasAt(key, actual, low, high))
      yield {
        rule: 'conflict',
        detail: `${id} was told ${key} is at ${actual}, which it was not between ${low} and ${high}`,
      };
  }
}

function* checkRead(read: RecordedRead, model: Model, clock: Witness): Generator<Violation> {
  const { id, revision, key, entries } = read;
  const known = clock.known(read.start);
  if (revision < known) yield { rule: 'stale-read', detail: `${id} read at ${revision}, when ${known} was known` };
  if (revision > model.newest)
    yield {
      rule: 'future-read',
      detail: `${id} read at ${revision}; the newest that was ever durable is ${model.newest}`,
    };
  const found = new Map(entries.map(([name, at, value]) => [name, { revision: at, value }]));
  for (const name of new Set([...(key === undefined ? model.keys : [key]), ...found.keys()])) {
    const expected = model.at(name, revision);
    const got = found.get(name);
    if (expected?.revision !== got?.revision || expected?.value !== got?.value)
      yield {
        rule: 'read-state',
        detail: `${id} at ${revision}: ${name} is ${JSON.stringify(got)}, should be ${JSON.stringify(expected)}`,
      };
  }
}
