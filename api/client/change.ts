import type { KubeObject, Logger } from '@trimtab/machinery';
import { keyOf } from '@trimtab/machinery';

/**
 * What an informer tells. For one object in order, states may be skipped but never reordered; a recreated object (same
 * name, new uid) is always a deletion and an addition, never an update.
 */
export type Change<T extends KubeObject> =
  | { readonly type: 'added'; readonly object: T; readonly inInitialList: boolean }
  | { readonly type: 'updated'; readonly object: T; readonly previous: T; readonly resync: boolean }
  /** `finalStateUnknown`: the deletion itself was not seen; `object` is the last state known. */
  | { readonly type: 'deleted'; readonly object: T; readonly finalStateUnknown: boolean };

/** One that answers a promise gets its next change when that has settled. */
export type ChangeHandler<T extends KubeObject> = (change: Change<T>) => void | Promise<void>;

/**
 * Feeds one handler, one change at a time. A slow handler costs at most two pending changes an object (they are merged),
 * one that throws is logged and goes on with the next; neither holds up anybody else.
 */
export class Delivery<T extends KubeObject> {
  readonly #handler: ChangeHandler<T>;
  readonly #logger: Logger;
  readonly #pending = new Map<number, Change<T> | 'synced'>();
  /** Where an object's newest pending change stands, where it can still be merged with. */
  readonly #newest = new Map<string, number>();
  #sequence = 0;
  #busy = false;
  #closed = false;
  #synced = false;
  #failures = 0;

  constructor(handler: ChangeHandler<T>, logger: Logger) {
    this.#handler = handler;
    this.#logger = logger;
  }

  /** True once everything of the first list has been handled. */
  get synced(): boolean {
    return this.#synced;
  }

  get failures(): number {
    return this.#failures;
  }

  get backlog(): number {
    return this.#pending.size;
  }

  push(changes: readonly (Change<T> | 'synced')[]): void {
    if (this.#closed) return;
    const [only] = changes;
    // By far most changes come alone, to one who is waiting for them: they need not wait for themselves.
    if (changes.length === 1 && only !== undefined && only !== 'synced' && !this.#busy && this.#pending.size === 0)
      this.#alone(only);
    else {
      for (const change of changes) this.#enqueue(change);
      this.#drain();
    }
  }

  #alone(change: Change<T>): void {
    this.#busy = true;
    const running = this.#call(change);
    if (running) this.#goOnAfter(running);
    else {
      this.#busy = false;
      if (this.#pending.size > 0) this.#drain();
    }
  }

  close(): void {
    this.#closed = true;
    this.#pending.clear();
    this.#newest.clear();
  }

  #enqueue(change: Change<T> | 'synced'): void {
    if (change !== 'synced') {
      const key = keyOf(change.object);
      const at = this.#newest.get(key);
      const waiting = at === undefined ? undefined : this.#pending.get(at);
      if (at !== undefined && waiting && waiting !== 'synced') {
        const merged = merge(waiting, change);
        if (merged === 'nothing') {
          this.#pending.delete(at);
          this.#newest.delete(key);
          return;
        }
        if (merged) {
          this.#pending.set(at, merged);
          return;
        }
      }
      this.#newest.set(key, this.#sequence);
    }
    this.#pending.set(this.#sequence++, change);
  }

  #drain(): void {
    if (this.#busy) return;
    this.#busy = true;
    for (const [at, change] of this.#pending) {
      this.#pending.delete(at);
      if (change === 'synced') {
        this.#synced = true;
        continue;
      }
      const key = keyOf(change.object);
      if (this.#newest.get(key) === at) this.#newest.delete(key);
      const running = this.#call(change);
      if (running) {
        this.#goOnAfter(running);
        return;
      }
    }
    this.#busy = false;
  }

  #goOnAfter(running: Promise<void>): void {
    void running.then(() => {
      this.#busy = false;
      this.#drain();
    });
  }

  #call(change: Change<T>): Promise<void> | undefined {
    try {
      return this.#handler(change)?.then(undefined, (error: unknown) => this.#failed(change, error));
    } catch (error) {
      this.#failed(change, error);
      return undefined;
    }
  }

  #failed(change: Change<T>, error: unknown): void {
    this.#failures++;
    this.#logger.error({ key: keyOf(change.object), change: change.type, error: String(error) }, 'handler failed');
  }
}

/** One change that stands for two; 'nothing' when they cancel out, undefined when both must be told. */
function merge<T extends KubeObject>(first: Change<T>, second: Change<T>): Change<T> | 'nothing' | undefined {
  if (first.type === 'deleted' || second.type === 'added') return undefined;
  if (second.type === 'deleted') return first.type === 'added' ? 'nothing' : second;
  if (first.type === 'added') return { ...first, object: second.object };
  return { ...second, previous: first.previous, resync: first.resync && second.resync };
}
