import type { Duration } from '../world/duration.js';
import type { ControllerSource } from '../world/process.js';
import type { WriteEntry } from '../world/trace.js';
import type { World, WorldOptions } from '../world/world.js';
import type { FaultKind } from './plan.js';

/** What may be found wrong with a run. */
export const ORACLES = [
  /** The workload itself, `finally` or a wait in it failed. */
  'workload',
  /** `always` did not hold at some commit. */
  'always',
  /** In the end something is there, or is otherwise, than after a clean run. */
  'end-state',
  /** More objects of a name were alive at once, or were made, than in a clean run. */
  'extras',
  /** The controllers deleted something that is not theirs. */
  'foreign-delete',
  /** A status went backwards that only goes forth. */
  'backwards',
  /** Writes are asked for although nothing changes any more. */
  'rest',
  /** Far more was asked for than in a clean run, or in one instant. */
  'hot-loop',
  /** A decision threw. */
  'thrown',
] as const;

export type Oracle = (typeof ORACLES)[number];

/** A story that controllers must come through whatever goes wrong. */
export interface Scenario {
  /** Made anew for every run: a function where a part of it holds state. */
  readonly world: WorldDescription | (() => WorldDescription);
  /** What happens. Each run ends with a {@link World.settle} of its own; wait with `settle` or `until` in between. */
  workload(w: World): Promise<void>;
  /** Gives, for one run, what is asked of every change of the store in order; a text says what is wrong. */
  readonly always?: () => (entry: WriteEntry) => string | undefined;
  /** Expectations of the end, beyond its being that of a clean run. */
  readonly finally?: (w: World) => Promise<void>;
  /** Faults to leave out. */
  readonly without?: readonly FaultKind[];
  /** Resources (plural) whose end does not matter; events and leases never do. */
  readonly ignore?: readonly string[];
  /** Oracles that are not asked. */
  readonly tolerates?: readonly Oracle[];
  /** How long nothing may be written in the end; default 15 min. */
  readonly rest?: Duration;
  /** Writes of one process in one run after which it is stopped as a loop; default 500. */
  readonly mostWrites?: number;
}

export type WorldDescription = Omit<WorldOptions, 'seed' | 'trace' | 'controllers'> & {
  /** One that remembers anything in memory is given as a function, so that each life begins anew. */
  readonly controllers: readonly ControllerSource[];
};

export interface PerturbOptions {
  /** Default 1. */
  readonly seed?: number;
  /** Single faults at most, spread evenly over the run; default 500. */
  readonly plans?: number;
  /** Pairs of faults, drawn by the seed; default 20. */
  readonly pairs?: number;
  /** So many runs more, each with a seed of its own and one or two faults drawn by it; default none. */
  readonly seeds?: number;
  /** Only these faults; default all but `stale-leader`. */
  readonly faults?: readonly FaultKind[];
  /** Failures after which no more are looked for; default 3. */
  readonly failures?: number;
}
