import type { KubeObject } from '@trimtab/machinery';
import { keyOf } from '@trimtab/machinery';

/** Why a key was looked at. */
export type Cause =
  | {
      readonly type: 'added' | 'updated' | 'deleted';
      readonly resource: string;
      readonly key: string;
      readonly resourceVersion: string;
    }
  | { readonly type: 'resync' | 'retry' | 'due' | 'source' | 'external' | 'asked' };

/** A write of an evaluation, and the revision it made. */
export interface TracedWrite {
  readonly verb: string;
  readonly resource: string;
  readonly key: string;
  readonly resourceVersion?: string;
}

/** One evaluation: what caused it, what it was made from, and what it did. */
export interface ReconcileTrace {
  readonly id: string;
  readonly controller: string;
  readonly key: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly durationMs: number;
  readonly causes: readonly Cause[];
  /** The revision its view was complete up to. */
  readonly asOf: string;
  readonly state?: string;
  readonly writes: readonly TracedWrite[];
  readonly error?: string;
}

/** Told of every evaluation once it has ended. */
export type Tracer = (trace: ReconcileTrace) => void;

export const changeCause = (type: 'added' | 'updated' | 'deleted', resource: string, object: KubeObject): Cause => ({
  type,
  resource,
  key: keyOf(object),
  resourceVersion: object.metadata.resourceVersion ?? '',
});

const REMEMBERED = 1_000;

/**
 * The last evaluations of a process, linked: the event that caused one names the revision that another one wrote. So a chain
 * event → reconcile → write → event can be followed back to what came from outside.
 */
export class TraceLog {
  readonly #traces = new Map<string, ReconcileTrace>();
  readonly #writers = new Map<string, string>();
  readonly #remembered: number;

  constructor(remembered = REMEMBERED) {
    this.#remembered = remembered;
  }

  readonly record: Tracer = (trace) => {
    this.#traces.set(trace.id, trace);
    for (const write of trace.writes) if (write.resourceVersion) this.#writers.set(idOf(write), trace.id);
    if (this.#traces.size <= this.#remembered) return;
    const [[oldest, gone]] = this.#traces as unknown as [[string, ReconcileTrace]];
    this.#traces.delete(oldest);
    for (const write of gone.writes) this.#writers.delete(idOf(write));
  };

  all(): readonly ReconcileTrace[] {
    return [...this.#traces.values()];
  }

  of(controller: string, key: string): readonly ReconcileTrace[] {
    return this.all().filter((trace) => trace.controller === controller && trace.key === key);
  }

  /** The evaluations that led to this one, nearest first; ends where the cause is nobody's here. */
  chain(trace: ReconcileTrace): readonly ReconcileTrace[] {
    const found: ReconcileTrace[] = [];
    const seen = new Set([trace.id]);
    for (let at: ReconcileTrace | undefined = trace; at; ) {
      const writers: readonly (string | undefined)[] = at.causes.map((cause) =>
        'resourceVersion' in cause ? this.#writers.get(idOf(cause)) : undefined,
      );
      const id = writers.find((writer) => writer !== undefined && !seen.has(writer));
      at = id === undefined ? undefined : this.#traces.get(id);
      if (at) {
        seen.add(at.id);
        found.push(at);
      }
    }
    return found;
  }

  /** Evaluations that changed nothing, by what caused them: the price of watching too much. */
  wasted(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const { writes, causes } of this.#traces.values()) {
      if (writes.length > 0) continue;
      for (const cause of causes) {
        const name = 'resource' in cause ? `${cause.type} ${cause.resource}` : cause.type;
        counts.set(name, (counts.get(name) ?? 0) + 1);
      }
    }
    return counts;
  }
}

const idOf = (of: { readonly resource: string; readonly key: string; readonly resourceVersion?: string }): string =>
  `${of.resource}/${of.key}@${of.resourceVersion}`;
