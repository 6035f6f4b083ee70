import type { Client, Informers } from '@trimtab/client';
import type { Clock, Logger, Random } from '@trimtab/machinery';
import type { Handlers } from './handlers.js';
import type { ControllerMetrics } from './metrics.js';
import type { Tracer } from './trace.js';

export interface RunnerOptions {
  readonly client: Client;
  /** Shared by all controllers of a process; started by whoever made it. */
  readonly informers: Informers;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics?: ControllerMetrics;
  /** For `call` effects. */
  readonly handlers?: Handlers;
  /** Told of every evaluation. */
  readonly tracer?: Tracer;
  /** Which keys are ours; default all. See `Shards`. */
  readonly shard?: KeyShare;
}

/** A share of the keys that may change while we work. */
export interface KeyShare {
  owns(controller: string, key: string): boolean;
  /** Calls back when keys may have become ours; returns how to stop that. */
  onGain(gained: () => void): () => void;
}

export type RunnerPhase = 'stopped' | 'waitingForKind' | 'syncing' | 'running' | 'stopping';
