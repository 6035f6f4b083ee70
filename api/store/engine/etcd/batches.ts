import type { Batch, Change } from '../engine.js';
import type { Keys } from './keys.js';
import type { KeyValue, WatchResponse } from './messages.js';
import { type Mark, readMark } from './transaction.js';

/** A revision as the engine saw it: what the store is told, where there is anything to tell, and who made it. */
export interface Step {
  readonly revision: number;
  readonly batch: Batch | undefined;
  readonly mark: Mark | undefined;
}

/**
 * Puts revisions together from what a watch sends. A revision's events come in one response, or in fragments of it; the last
 * fragment says that it is that.
 */
export class Assembler {
  #changes: Change[] = [];
  #mark: Mark | undefined;
  #revision = 0;

  constructor(readonly keys: Keys) {}

  /** The revisions complete with this response. */
  take({ events, fragment }: Pick<WatchResponse, 'events' | 'fragment'>): readonly Step[] {
    const steps: Step[] = [];
    for (const { type, kv } of events) {
      const revision = Number(kv.modRevision);
      if (revision !== this.#revision) this.#finish(steps);
      this.#revision = revision;
      const key = this.keys.read(kv.key);
      if (key !== undefined) this.#changes.push({ key, value: type === 1 ? undefined : kv.value });
      else if (this.keys.isTip(kv.key) && type !== 1) this.#mark = readMark(kv.value);
    }
    if (!fragment) this.#finish(steps);
    return steps;
  }

  /** Forgets a response that a broken connection has cut off between its fragments. */
  reset(): void {
    this.#changes = [];
    this.#mark = undefined;
    this.#revision = 0;
  }

  #finish(steps: Step[]): void {
    if (this.#revision === 0) return;
    const [revision, changes, mark] = [this.#revision, this.#changes, this.#mark];
    const told = changes.length > 0 || mark !== undefined;
    steps.push({ revision, mark, batch: told ? { revision, changes, ...(mark && { time: mark.time }) } : undefined });
    this.reset();
  }
}

/** A state as batches, one for each revision that still stands, in revision order. */
export function batchesOfState(kvs: readonly KeyValue[], keys: Keys): readonly Batch[] {
  const byRevision = new Map<number, Change[]>();
  for (const kv of kvs) {
    const key = keys.read(kv.key);
    if (key === undefined) continue;
    const revision = Number(kv.modRevision);
    const changes = byRevision.get(revision) ?? [];
    byRevision.set(revision, changes);
    changes.push({ key, value: kv.value });
  }
  return [...byRevision].sort(([a], [b]) => a - b).map(([revision, changes]) => ({ revision, changes }));
}
