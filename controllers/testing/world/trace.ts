import type { KubeObject } from '@trimtab/machinery';
import { changeText } from './change-text.js';
import { elapsed } from './duration.js';

/** Who asked for a write, and on account of what. */
export interface Cause {
  readonly controller: string;
  /** The object that was being looked at. */
  readonly key: string;
}

/** A change of the store, in revision order. `previous` is absent for a creation; `object` is the last state for a deletion. */
export interface WriteEntry {
  readonly type: 'write';
  readonly at: number;
  readonly revision: number;
  readonly actor: string;
  readonly verb: 'create' | 'update' | 'delete';
  /** As in the store: `/pods`, `apps/deployments`. */
  readonly resource: string;
  readonly key: string;
  readonly object: KubeObject;
  readonly previous?: KubeObject;
  readonly cause?: Cause;
}

/** One thing that happened in a world. `at` is virtual time, in milliseconds since the Unix epoch. */
export type TraceEntry =
  | WriteEntry
  /** A watch told an actor of a change. */
  | {
      readonly type: 'event';
      readonly at: number;
      readonly actor: string;
      readonly what: string;
      readonly resource: string;
      readonly key: string;
      readonly revision: string;
    }
  | {
      readonly type: 'reconcile';
      readonly at: number;
      readonly actor: string;
      readonly controller: string;
      readonly key: string;
      /** The revision its view was complete up to. */
      readonly asOf: string;
      /** Failures in a row before this one. */
      readonly attempt: number;
    }
  | {
      readonly type: 'transition';
      readonly at: number;
      readonly actor: string;
      readonly controller: string;
      readonly key: string;
      readonly from: string | undefined;
      readonly to: string;
    }
  /** A request that was refused, or whose answer was lost. */
  | {
      readonly type: 'refused';
      readonly at: number;
      readonly actor: string;
      readonly request: string;
      readonly reason: string;
      readonly cause?: Cause;
    }
  | { readonly type: 'log'; readonly at: number; readonly actor: string; readonly message: string }
  /** What the test or a fault did. */
  | { readonly type: 'step' | 'fault'; readonly at: number; readonly actor: string; readonly message: string };

/** Everything that happened in a world, in order. The same seed and the same calls give the same text, byte for byte. */
export class Trace {
  readonly entries: TraceEntry[] = [];
  readonly start: number;
  readonly #keep: boolean;
  readonly #writes: WriteEntry[] = [];

  /** Without `keep` only writes and faults are remembered, which is all that oracles need. */
  constructor(start: number, keep = true) {
    this.start = start;
    this.#keep = keep;
  }

  /** False: entries other than writes and faults are dropped, and need not be made. */
  get isKept(): boolean {
    return this.#keep;
  }

  add(entry: TraceEntry): void {
    if (entry.type === 'write') this.#writes.push(entry);
    if (this.#keep || entry.type === 'write' || entry.type === 'fault') this.entries.push(entry);
  }

  get writes(): readonly WriteEntry[] {
    return this.#writes;
  }

  /** One line an entry. */
  text(): string {
    return this.entries.map((entry) => traceLine(entry, this.start)).join('\n');
  }
}

const plural = (resource: string): string => resource.slice(resource.indexOf('/') + 1);

const because = (cause: Cause | undefined): string => (cause ? `  <- ${cause.controller} ${cause.key}` : '');

function changed({ verb, previous, object }: WriteEntry): string {
  const text = verb === 'update' && previous ? changeText(previous, object) : '';
  return text && `: ${text}`;
}

/** What an entry says, without its time. */
export function traceText(entry: TraceEntry): string {
  switch (entry.type) {
    case 'write':
      return `write      ${entry.verb} ${plural(entry.resource)} ${entry.key} rv ${entry.revision} by ${entry.actor}${changed(entry)}${because(entry.cause)}`;
    case 'event':
      return `event      ${entry.what.toLowerCase()} ${plural(entry.resource)} ${entry.key} rv ${entry.revision} to ${entry.actor}`;
    case 'reconcile':
      return `reconcile  ${entry.controller} ${entry.key} as of ${entry.asOf}${entry.attempt > 0 ? ` attempt ${entry.attempt + 1}` : ''}`;
    case 'transition':
      return `state      ${entry.controller} ${entry.key} ${entry.from ?? '(none)'} -> ${entry.to}`;
    case 'refused':
      return `refused    ${entry.request} by ${entry.actor}: ${entry.reason}${because(entry.cause)}`;
    case 'log':
      return `log        ${entry.actor}: ${entry.message}`;
    case 'step':
      return `step       ${entry.message}`;
    case 'fault':
      return `FAULT      ${entry.message}`;
  }
}

export const traceLine = (entry: TraceEntry, start: number): string =>
  `${elapsed(entry.at, start)}  ${traceText(entry)}`;
