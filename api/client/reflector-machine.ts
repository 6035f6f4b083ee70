import type { KubeList, KubeObject, StatusError } from '@trimtab/machinery';
import { keyOf } from '@trimtab/machinery';
import type { ListOptions, WatchEvent, WatchOptions } from './client.js';
import { type Failure, judgeListFailure, judgeWatchFailure } from './reflector-failures.js';

/**
 * How a reflector keeps a copy of one collection: a pure state machine whose inputs are what the network and the timer
 * said and whose effects say what to ask next. The rules (first list, relist, paging, 410, bookmarks, watch lists,
 * backoff) are client-go's tools/cache, except that a watch list which makes no progress is given up after 30 s.
 */

export const PAGE_SIZE = 500;
export const WATCH_LIST_PATIENCE_MS = 30_000;
export const VERY_SHORT_WATCH_MS = 1_000;
export const BACKOFF = { baseMs: 800, factor: 2, capMs: 30_000, jitter: 1, resetMs: 120_000 } as const;
const INITIAL_EVENTS_END = 'k8s.io/initial-events-end';

export type Phase<T extends KubeObject> =
  | { readonly name: 'stopped' }
  | { readonly name: 'listing'; readonly options: ListOptions }
  /** The second page or a later one is awaited; `items` grows in place and is nobody else's until handed over. */
  | { readonly name: 'paging'; readonly first: ListOptions; readonly revision: string; readonly items: T[] }
  /** A watch list is on its way; `items` grows in place. */
  | {
      readonly name: 'initialEvents';
      readonly from: string;
      readonly items: Map<string, T>;
      readonly progressAt: number;
    }
  | {
      readonly name: 'watching';
      readonly startedAt: number;
      readonly events: number;
      /** Watching from `""` or `"0"`: ADDED events are the present state in no order and carry no position. */
      readonly synthetic: boolean;
    }
  | { readonly name: 'backoff'; readonly next: 'list' | 'watch' };

export interface ReflectorState<T extends KubeObject> {
  readonly phase: Phase<T>;
  /** The newest position known; empty before the first list. */
  readonly revision: string;
  /** The server cannot serve from {@link revision} any more: ask for the most recent state. */
  readonly revisionUnavailable: boolean;
  readonly failures: number;
  readonly lastFailureAt: number;
}

export type ReflectorInput<T extends KubeObject> =
  | { readonly type: 'start' }
  | { readonly type: 'stop' }
  | { readonly type: 'listed'; readonly list: KubeList<T> }
  | { readonly type: 'listFailed'; readonly error: StatusError }
  | { readonly type: 'event'; readonly event: WatchEvent<T> }
  | { readonly type: 'watchFailed'; readonly error: StatusError }
  | { readonly type: 'watchEnded' }
  | { readonly type: 'timer' };

export type ReflectorEffect<T extends KubeObject> =
  | { readonly type: 'list'; readonly options: ListOptions }
  /** The shell draws `timeoutSeconds` from [300, 600) and notes a deadline 5 s behind it. */
  | { readonly type: 'watch'; readonly options: WatchOptions }
  /** Arms the timer for the running watch's deadline. */
  | { readonly type: 'deadline' }
  /** Gives up the outstanding list or watch. */
  | { readonly type: 'close' }
  /** The whole collection, as of `revision`, in one piece. */
  | { readonly type: 'replace'; readonly items: readonly T[]; readonly revision: string }
  | { readonly type: 'deliver'; readonly event: Exclude<WatchEvent<T>, { type: 'BOOKMARK' }> }
  | { readonly type: 'progress'; readonly revision: string }
  /** One timer; arming replaces. The shell waits `ms × (1 + jitter × random)`. */
  | { readonly type: 'timer'; readonly ms: number; readonly jitter: number }
  | { readonly type: 'watchListUnsupported'; readonly why: string }
  | { readonly type: 'report'; readonly what: string; readonly error?: StatusError };

export interface Scope {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Only metadata is asked for and kept; everything else of an object is undefined. */
  readonly metadataOnly?: boolean;
}

export interface Surroundings {
  readonly now: number;
  readonly scope: Scope;
  readonly watchList: boolean;
}

export interface Step<T extends KubeObject> {
  readonly state: ReflectorState<T>;
  readonly effects: readonly ReflectorEffect<T>[];
}

export const initialReflector = <T extends KubeObject>(): ReflectorState<T> => ({
  phase: { name: 'stopped' },
  revision: '',
  revisionUnavailable: false,
  failures: 0,
  lastFailureAt: 0,
});

/** One step. Inputs that do not belong to the present phase change nothing. */
export function stepReflector<T extends KubeObject>(
  state: ReflectorState<T>,
  input: ReflectorInput<T>,
  around: Surroundings,
): Step<T> {
  if (input.type === 'stop') return { state: { ...state, phase: { name: 'stopped' } }, effects: [{ type: 'close' }] };
  const { phase } = state;
  switch (phase.name) {
    case 'stopped':
      return input.type === 'start' ? beginSync(state, around) : { state, effects: [] };
    case 'listing':
    case 'paging':
      if (input.type === 'listed') return listed(state, phase, input.list, around);
      if (input.type === 'listFailed') return listFailed(state, phase, input.error, around);
      break;
    case 'initialEvents':
      return inInitialEvents(state, phase, input, around);
    case 'watching':
      return inWatching(state, phase, input, around);
    case 'backoff':
      if (input.type === 'timer') return phase.next === 'watch' ? resume(state, around) : beginSync(state, around);
      break;
  }
  return { state, effects: [] };
}

/** Where the next list starts: any state at first, then not older than what was seen, then the most recent. */
function beginSync<T extends KubeObject>(state: ReflectorState<T>, around: Surroundings): Step<T> {
  if (around.watchList) {
    const from = state.revisionUnavailable ? '' : state.revision;
    return {
      state: { ...state, phase: { name: 'initialEvents', from, items: new Map(), progressAt: around.now } },
      effects: [
        {
          type: 'watch',
          options: {
            ...around.scope,
            resourceVersion: from,
            resourceVersionMatch: 'NotOlderThan',
            sendInitialEvents: true,
            allowWatchBookmarks: true,
          },
        },
        { type: 'timer', ms: WATCH_LIST_PATIENCE_MS, jitter: 0 },
      ],
    };
  }
  return beginList(state, around);
}

function beginList<T extends KubeObject>(state: ReflectorState<T>, around: Surroundings): Step<T> {
  const from = state.revisionUnavailable ? '' : state.revision === '' ? '0' : state.revision;
  // A list at a known revision is served from the watch cache, which does not page.
  const options: ListOptions = {
    ...around.scope,
    resourceVersion: from,
    ...(from === '' || from === '0' ? { limit: PAGE_SIZE } : { resourceVersionMatch: 'NotOlderThan' }),
  };
  return { state: { ...state, phase: { name: 'listing', options } }, effects: [{ type: 'list', options }] };
}

function beginWatch<T extends KubeObject>(state: ReflectorState<T>, around: Surroundings): Step<T> {
  return {
    state: { ...state, phase: watchingFrom(around.now, isUnordered(state.revision)) },
    effects: [
      {
        type: 'watch',
        options: { ...around.scope, resourceVersion: state.revision, allowWatchBookmarks: true },
      },
      { type: 'deadline' },
    ],
  };
}

const watchingFrom = (now: number, synthetic: boolean) =>
  ({ name: 'watching', startedAt: now, events: 0, synthetic }) as const;

/** A watch from here begins with the present state, in no order. */
const isUnordered = (revision: string): boolean => revision === '' || revision === '0';

/** Goes on watching where the last watch ended. A place without an order is none: deletions since would be missed. */
const resume = <T extends KubeObject>(state: ReflectorState<T>, around: Surroundings): Step<T> =>
  isUnordered(state.revision) ? beginSync(state, around) : beginWatch(state, around);

function listed<T extends KubeObject>(
  state: ReflectorState<T>,
  phase: Extract<Phase<T>, { name: 'listing' | 'paging' }>,
  list: KubeList<T>,
  around: Surroundings,
): Step<T> {
  const first = phase.name === 'listing' ? phase.options : phase.first;
  const revision = phase.name === 'listing' ? (list.metadata.resourceVersion ?? '') : phase.revision;
  const more = list.metadata.continue;
  if (phase.name === 'listing' && !more) return synced(state, list.items, revision, around);
  const items = phase.name === 'listing' ? [...list.items] : phase.items;
  if (phase.name === 'paging') for (const item of list.items) items.push(item);
  if (!more) return synced(state, items, revision, around);
  const { resourceVersion: _, resourceVersionMatch: __, ...rest } = first;
  return {
    state: { ...state, phase: { name: 'paging', first, revision, items } },
    effects: [{ type: 'list', options: { ...rest, limit: PAGE_SIZE, continue: more } }],
  };
}

function synced<T extends KubeObject>(
  state: ReflectorState<T>,
  items: readonly T[],
  revision: string,
  around: Surroundings,
): Step<T> {
  const watching = beginWatch({ ...state, revision, revisionUnavailable: false }, around);
  return { state: watching.state, effects: [{ type: 'replace', items, revision }, ...watching.effects] };
}

function listFailed<T extends KubeObject>(
  state: ReflectorState<T>,
  phase: Extract<Phase<T>, { name: 'listing' | 'paging' }>,
  error: StatusError,
  around: Surroundings,
): Step<T> {
  const failure = judgeListFailure(error);
  if (phase.name === 'paging' && failure.kind === 'revisionGone') {
    const { limit: _, ...full } = phase.first;
    return {
      state: { ...state, phase: { name: 'listing', options: full } },
      effects: [
        { type: 'report', what: 'list expired between pages', error },
        { type: 'list', options: full },
      ],
    };
  }
  const asked = phase.name === 'listing' ? phase.options.resourceVersion : phase.first.resourceVersion;
  if (failure.kind === 'revisionGone' && asked !== '') {
    const retry = beginList({ ...state, revisionUnavailable: true }, around);
    return { state: retry.state, effects: [{ type: 'report', what: 'revision unavailable', error }, ...retry.effects] };
  }
  return backOff(state, 'list', failure, 'list failed', error, around);
}

function inInitialEvents<T extends KubeObject>(
  state: ReflectorState<T>,
  phase: Extract<Phase<T>, { name: 'initialEvents' }>,
  input: ReflectorInput<T>,
  around: Surroundings,
): Step<T> {
  switch (input.type) {
    case 'event': {
      const { event } = input;
      if (event.type === 'BOOKMARK') {
        if (event.object.metadata.annotations?.[INITIAL_EVENTS_END] === 'true') {
          const revision = event.object.metadata.resourceVersion ?? '';
          const next = { ...state, revision, revisionUnavailable: false, phase: watchingFrom(around.now, false) };
          const items = [...phase.items.values()];
          return { state: next, effects: [{ type: 'replace', items, revision }, { type: 'deadline' }] };
        }
      } else if (event.type === 'DELETED') phase.items.delete(keyOf(event.object));
      else phase.items.set(keyOf(event.object), event.object);
      return { state: { ...state, phase: { ...phase, progressAt: around.now } }, effects: [] };
    }
    case 'timer': {
      const left = phase.progressAt + WATCH_LIST_PATIENCE_MS - around.now;
      if (left > 0) return { state, effects: [{ type: 'timer', ms: left, jitter: 0 }] };
      const why = `no progress for ${WATCH_LIST_PATIENCE_MS / 1000} s`;
      const list = beginList(state, around);
      return {
        state: list.state,
        effects: [{ type: 'watchListUnsupported', why }, { type: 'close' }, ...list.effects],
      };
    }
    case 'watchEnded':
      return backOff(state, 'list', { kind: 'other' }, 'watch list ended early', undefined, around);
    case 'watchFailed': {
      const failure = judgeWatchFailure(input.error);
      if (failure.kind === 'revisionGone' && phase.from !== '') {
        const retry = beginSync({ ...state, revisionUnavailable: true }, around);
        const what = 'revision unavailable';
        return { state: retry.state, effects: [{ type: 'report', what, error: input.error }, ...retry.effects] };
      }
      if (failure.kind === 'unsupported') {
        const list = beginList(state, around);
        return {
          state: list.state,
          effects: [{ type: 'watchListUnsupported', why: input.error.message }, ...list.effects],
        };
      }
      return backOff(state, 'list', failure, 'watch list failed', input.error, around);
    }
    default:
      return { state, effects: [] };
  }
}

function inWatching<T extends KubeObject>(
  state: ReflectorState<T>,
  phase: Extract<Phase<T>, { name: 'watching' }>,
  input: ReflectorInput<T>,
  around: Surroundings,
): Step<T> {
  switch (input.type) {
    case 'event': {
      const { event } = input;
      const synthetic = phase.synthetic && event.type === 'ADDED';
      const revision = synthetic ? state.revision : (event.object.metadata.resourceVersion ?? state.revision);
      return {
        state: {
          phase: { name: 'watching', startedAt: phase.startedAt, events: phase.events + 1, synthetic },
          revision,
          revisionUnavailable: state.revisionUnavailable,
          failures: state.failures,
          lastFailureAt: state.lastFailureAt,
        },
        effects: [event.type === 'BOOKMARK' ? { type: 'progress', revision } : { type: 'deliver', event }],
      };
    }
    case 'timer': {
      const again = resume(state, around);
      const effects: ReflectorEffect<T>[] = [{ type: 'report', what: 'watch outlived its timeout' }, { type: 'close' }];
      return { state: again.state, effects: [...effects, ...again.effects] };
    }
    case 'watchEnded':
      if (around.now - phase.startedAt < VERY_SHORT_WATCH_MS && phase.events === 0)
        return backOff(state, 'list', { kind: 'other' }, 'very short watch', undefined, around);
      return resume(state, around);
    case 'watchFailed': {
      const failure = judgeWatchFailure(input.error);
      if (failure.kind !== 'busy') return backOff(state, 'list', failure, 'watch failed', input.error, around);
      // A stream that lived was cut, not refused: go on where it ended at once; the next refusal backs off.
      const lived = around.now - phase.startedAt >= VERY_SHORT_WATCH_MS;
      return lived && failure.retryAfterMs === undefined
        ? resume(state, around)
        : backOff(state, 'watch', failure, 'watch refused', input.error, around);
    }
    default:
      return { state, effects: [] };
  }
}

function backOff<T extends KubeObject>(
  state: ReflectorState<T>,
  next: 'list' | 'watch',
  failure: Failure,
  what: string,
  error: StatusError | undefined,
  around: Surroundings,
): Step<T> {
  const failures = around.now - state.lastFailureAt > BACKOFF.resetMs ? 0 : state.failures;
  const ms = Math.min(BACKOFF.baseMs * BACKOFF.factor ** failures, BACKOFF.capMs);
  const wait = failure.kind === 'busy' && failure.retryAfterMs !== undefined ? Math.max(failure.retryAfterMs, ms) : ms;
  return {
    state: { ...state, failures: failures + 1, lastFailureAt: around.now, phase: { name: 'backoff', next } },
    effects: [
      { type: 'report', what, ...(error ? { error } : {}) },
      { type: 'timer', ms: wait, jitter: BACKOFF.jitter },
    ],
  };
}
