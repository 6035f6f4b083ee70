import type { WatchOptions } from '@trimtab/client';
import { anotherTurn, expired, internalError, type KubeObject, StatusError } from '@trimtab/machinery';
import {
  CompactedError,
  type Entry,
  inScope,
  type Scope,
  type Snapshot,
  type Store,
  type StoreEvent,
} from '@trimtab/store';
import { filter, type Observable, type Subscription } from 'rxjs';
import { type Registry, withMetadata } from './context.js';
import { untilNewest } from './newest.js';
import { convertible, scopeOf, selectedEntries } from './read.js';
import { parseResourceVersion, tooOld, validateListOptions, waitForRevision } from './revisions.js';
import { type Selection, selectionOf } from './selection.js';
import type { ServedKind } from './served-kind.js';

const bookmarkInterval = 60_000;
const bookmarkBeforeEnd = 2_000;
const minTimeout = 1_800_000;
/** Objects looked at in vain, and commits that were missed, between two turns of the event loop. */
const LOOKED_AT = 500;
const MISSED = 200;

export interface WatchNotice {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  /** In the served version; the same object for every watcher of one event, so that encodings can be shared. */
  readonly object: KubeObject;
}

/** Where a watch delivers to. */
export interface WatchSink {
  /** Called synchronously with the store's commit; must not throw and does its own bounded buffering. */
  next(notice: WatchNotice): void;
  /**
   * Takes what is there when the watch begins, instead of {@link next} for each; live events come when it has resolved. `undefined`
   * stands for objects that were looked at in vain. Nothing more is given once the watch has ended.
   */
  initial?(objects: Iterable<KubeObject | undefined>): Promise<void>;
  /** Asked between objects of the past, initial ones and events that were missed: a promise to wait for before there are more. */
  ready?(): Promise<void> | undefined;
  /** The last call. Without an error the watch ended in order (timeout, shutdown). */
  end(error?: StatusError): void;
}

/**
 * Starts a watch and gives the function that stops it. Rejects before anything is sent when the start is refused (410
 * when the revision is gone). No revision or `0` sends the current state first; `sendInitialEvents` ends it with a
 * bookmark annotated `k8s.io/initial-events-end`.
 */
export async function watchObjects(
  registry: Registry,
  kind: ServedKind,
  namespace: string,
  options: WatchOptions,
  sink: WatchSink,
): Promise<() => void> {
  validateListOptions(options, true);
  const { store, clock } = registry;
  const selection = selectionOf(kind, namespace, options);
  const wanted = parseResourceVersion(options.resourceVersion);
  if (wanted) await waitForRevision(store, clock, wanted);
  else if (wanted === undefined && store.shared) await untilNewest(store);
  // An index hears of a commit with everybody else: from inside somebody's event it may not have heard yet.
  else await undefined;
  const initial = options.sendInitialEvents ?? !wanted;
  if (!initial && wanted! < store.compacted) throw tooOld(new CompactedError(wanted!, store.compacted));
  const session = new WatchSession(registry, kind, namespace, options, selection, sink);
  if (initial) session.start(store.snapshot(), 0);
  else session.start(undefined, resumedFrom(store, scopeOf(kind, namespace, selection), wanted!));
  return () => session.stop();
}

/**
 * Where a watch goes on that names `revision`. One commit may change several objects (an undo, the merge of a branch), and all of
 * them have its revision: who was cut off between them names it as well, so they are told again rather than not at all.
 */
function resumedFrom(store: Store, scope: Scope, revision: number): number {
  if (revision <= store.compacted || revision > store.revision) return revision;
  for (const commit of store.commitsAfter(revision - 1)) {
    const several = commit.revision === revision && commit.events.filter((e) => inScope(scope, e)).length > 1;
    return several ? revision - 1 : revision;
  }
  return revision;
}

class WatchSession {
  /** What is to be undone when it ends. */
  readonly #undo: (() => void)[] = [];
  #subscription: Subscription | undefined;
  #stopped = false;
  #last: Promise<void> = Promise.resolve();

  constructor(
    readonly registry: Registry,
    readonly kind: ServedKind,
    readonly namespace: string,
    readonly options: WatchOptions,
    readonly selection: Selection,
    readonly sink: WatchSink,
  ) {}

  start(snapshot: Snapshot | undefined, from: number): void {
    const { clock, random } = this.registry;
    const timeout = this.options.timeoutSeconds ? this.options.timeoutSeconds * 1000 : minTimeout * (1 + random.next());
    this.#undo.push(
      clock.after(timeout, () => this.#finish()),
      this.registry.indexes.watching(this.kind, this.selection),
    );
    if (!snapshot) {
      this.#live(from, timeout);
      return;
    }
    this.#sendInitial(snapshot).then(
      () => {
        if (this.#stopped) return;
        if (this.options.sendInitialEvents && this.options.allowWatchBookmarks)
          this.sink.next(bookmark(this.kind, snapshot.revision, { 'k8s.io/initial-events-end': 'true' }));
        this.#live(snapshot.revision, timeout);
      },
      (error: unknown) => this.#finish(asStatus(error)),
    );
  }

  stop(): void {
    this.#stopped = true;
    this.#subscription?.unsubscribe();
    for (const undo of this.#undo.splice(0)) undo();
  }

  async #sendInitial(snapshot: Snapshot): Promise<void> {
    const { registry, kind, namespace, selection, sink } = this;
    const entries = await convertible(kind, selectedEntries(registry, kind, namespace, selection, snapshot));
    const objects = this.#selected(entries);
    if (sink.initial) return sink.initial(objects);
    for (const object of objects) {
      if (object) sink.next({ type: 'ADDED', object });
      const wait = sink.ready?.();
      if (wait) await wait;
    }
  }

  *#selected(entries: Iterable<Entry>): Generator<KubeObject | undefined, void, undefined> {
    let passed = 0;
    for (const entry of entries) {
      if (this.#stopped) return;
      const object = this.kind.storage.fromStorage(entry.object);
      if (this.selection.everything || this.selection.matches(object)) {
        passed = 0;
        yield object;
      } else if (++passed % LOOKED_AT === 0) yield undefined;
    }
  }

  #live(from: number, timeout: number): void {
    const go = (at: number) => {
      this.#follow(at);
      this.#scheduleBookmarks(timeout);
    };
    if (!this.#isBehind(from)) go(from);
    else
      this.#caughtUp(from).then(
        (at) => {
          if (!this.#stopped) go(at);
        },
        (error: unknown) => this.#finish(asStatus(error)),
      );
  }

  /** Only whoever takes turns is told in turns of what it missed. */
  #isBehind(at: number): boolean {
    return this.sink.ready !== undefined && this.registry.store.revision - at > MISSED;
  }

  /** Tells of what was committed after `from`, so far that little is left; gives the last revision it has told of. */
  async #caughtUp(from: number): Promise<number> {
    const { store } = this.registry;
    const scope = scopeOf(this.kind, this.namespace, this.selection);
    let at = from;
    while (!this.#stopped && this.#isBehind(at)) {
      let commits = 0;
      for (const { revision, events } of store.commitsAfter(at)) {
        for (const event of events) if (inScope(scope, event)) this.#converted(event);
        at = revision;
        if (++commits === MISSED || this.#stopped) break;
      }
      // Revisions that nobody was given are no commits.
      if (commits < MISSED) break;
      await (this.sink.ready?.() ?? anotherTurn());
    }
    return at;
  }

  #follow(from: number): void {
    this.#subscription = this.#events(from).subscribe({
      next: (event) => this.#converted(event),
      error: (error: unknown) => this.#inTurn(() => this.#finish(asStatus(error))),
      complete: () => this.#inTurn(() => this.#finish()),
    });
    if (this.#stopped) this.#subscription.unsubscribe();
  }

  #events(from: number): Observable<StoreEvent> {
    const { registry, kind, namespace, selection } = this;
    const scope = scopeOf(kind, namespace, selection);
    const found = scope.name === undefined ? registry.indexes.find(kind, selection) : undefined;
    if (!found) return registry.store.watch(scope, from);
    const events = found.index.watch(found.value, from);
    return scope.namespace === undefined ? events : events.pipe(filter((e) => e.key.namespace === scope.namespace));
  }

  /** Events of kinds that a webhook converts wait for it, and for those before them. */
  #converted(event: StoreEvent): void {
    const { storage } = this.kind;
    if (!storage.prepare) {
      this.#deliver(event);
      return;
    }
    const objects = event.previous ? [event.previous, event.object] : [event.object];
    this.#inTurn(async () => {
      if (!this.#stopped) await storage.prepare?.(objects, 'served');
      this.#deliver(event);
    });
  }

  #inTurn(step: () => Promise<void> | void): void {
    if (!this.kind.storage.prepare) void step();
    else this.#last = this.#last.then(step).catch((error: unknown) => this.#finish(asStatus(error)));
  }

  #deliver(event: StoreEvent): void {
    if (this.#stopped) return;
    // Whatever an object does to a watcher is that watcher's end: thrown from here, it would be the process's.
    try {
      const notice = noticeOf(this.kind, this.selection, event);
      if (notice) this.sink.next(notice);
    } catch (error) {
      this.#finish(asStatus(error));
    }
  }

  #scheduleBookmarks(timeout: number): void {
    if (!this.options.allowWatchBookmarks) return;
    const { clock, random, store } = this.registry;
    const send = () => {
      const { revision } = store;
      this.#inTurn(() => {
        if (!this.#stopped) this.sink.next(bookmark(this.kind, revision));
      });
    };
    let cancel = () => {};
    const repeat = () => {
      send();
      cancel = clock.after(bookmarkInterval, repeat);
    };
    cancel = clock.after(bookmarkInterval * (0.75 + random.next() / 2), repeat);
    this.#undo.push(() => cancel());
    if (timeout > bookmarkBeforeEnd) this.#undo.push(clock.after(timeout - bookmarkBeforeEnd, send));
  }

  #finish(error?: StatusError): void {
    if (this.#stopped) return;
    this.stop();
    this.sink.end(error);
  }
}

/** What a watcher with this selection sees of an event: entering it is ADDED, leaving it DELETED. */
export function noticeOf(kind: ServedKind, selection: Selection, event: StoreEvent): WatchNotice | undefined {
  const { fromStorage } = kind.storage;
  const object = fromStorage(event.object);
  if (event.type === 'delete') return selection.matches(object) ? { type: 'DELETED', object } : undefined;
  const previous = event.previous && fromStorage(event.previous);
  const is = selection.everything || selection.matches(object);
  const was = previous !== undefined && (selection.everything || selection.matches(previous));
  if (is) return { type: was ? 'MODIFIED' : 'ADDED', object };
  return was ? { type: 'DELETED', object: departed(event, fromStorage) } : undefined;
}

const departures = new WeakMap<StoreEvent, KubeObject>();

/** The last state that matched, stamped with the revision at which it stopped matching. */
function departed(event: StoreEvent, fromStorage: (o: KubeObject) => KubeObject): KubeObject {
  let object = departures.get(event);
  if (!object) {
    object = withMetadata(fromStorage(event.previous!), { resourceVersion: String(event.revision) });
    departures.set(event, object);
  }
  return object;
}

function bookmark(kind: ServedKind, revision: number, annotations?: Readonly<Record<string, string>>): WatchNotice {
  return {
    type: 'BOOKMARK',
    object: {
      kind: kind.kind,
      apiVersion: kind.group ? `${kind.group}/${kind.version}` : kind.version,
      metadata: { resourceVersion: String(revision), creationTimestamp: null, ...(annotations ? { annotations } : {}) },
    },
  };
}

function asStatus(error: unknown): StatusError {
  if (error instanceof CompactedError)
    return expired(`too old resource version: ${error.revision} (${error.compacted})`);
  return error instanceof StatusError ? error : internalError(error instanceof Error ? error.message : String(error));
}
