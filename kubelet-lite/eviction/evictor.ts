import type { Clock, Logger } from '@trimtab/machinery';
import { decide, type EvictionState, isMet, NO_STATE, type Observations, type Pressure } from './decide.js';
import { announcement, type EvictionEffect, eviction, reclaimable } from './effects.js';
import type { PodUse } from './rank.js';
import type { Signal, Threshold } from './thresholds.js';

/** The node as the evictor sees it, and what it may do there. */
export interface EvictionNode {
  observe(): Promise<Observations>;
  /** Of the pods that hold something of the node. Disks are walked only where `disks` says so. */
  uses(disks: boolean): Promise<readonly PodUse[]>;
  announce(resource: string): void;
  reclaim(what: 'containers' | 'images'): Promise<void>;
  /** Resolves when the pod has ended, or has taken too long for that. */
  evict(uid: string, graceMs: number, message: string, signal: Signal): Promise<void>;
  /** The pressures there are now, whenever they have changed. */
  pressed(pressures: readonly Pressure[]): void;
}

export interface EvictorOptions {
  readonly node: EvictionNode;
  readonly thresholds: readonly Threshold[];
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long a pressure lasts after it was seen last; default 5 minutes. */
  readonly transitionMs?: number;
  /** The most a pod is given at a soft threshold; default 0. */
  readonly maxPodGraceMs?: number;
}

const LOOK_MS = 10_000;
const TRANSITION_MS = 300_000;

/**
 * Looks at what the node has left, every 10 s as the kubelet does, and takes away one pod at a time while a threshold is met; after
 * each it looks again at once. A look costs a few reads of /proc and of the file systems' counters.
 */
export class Evictor {
  readonly #options: EvictorOptions;
  #state: EvictionState = NO_STATE;
  #pressures: readonly Pressure[] = [];
  #cancel: (() => void) | undefined;
  #stopped = false;

  constructor(options: EvictorOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#options.thresholds.length > 0) this.#arm(LOOK_MS);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  get pressures(): readonly Pressure[] {
    return this.#pressures;
  }

  #arm(delayMs: number): void {
    if (this.#stopped) return;
    this.#cancel = this.#options.clock.after(delayMs, () => {
      this.#look().then(
        (again) => this.#arm(again ? 0 : LOOK_MS),
        (error: unknown) => {
          this.#options.logger.error({ error: String(error) }, 'what the node has left could not be looked at');
          this.#arm(LOOK_MS);
        },
      );
    });
  }

  /** True when a pod has been evicted: the next look is due at once. */
  async #look(): Promise<boolean> {
    const { node, thresholds, clock, transitionMs = TRANSITION_MS, maxPodGraceMs = 0 } = this.#options;
    const observed = await node.observe();
    const { state, pressures, act } = decide(thresholds, observed, this.#state, clock.now(), transitionMs);
    this.#state = state;
    if (pressures.join() !== this.#pressures.join()) {
      this.#pressures = pressures;
      node.pressed(pressures);
    }
    if (!act || this.#stopped) return false;
    await this.#carryOut(announcement(act), act.signal);
    for (const effect of reclaimable(act)) await this.#carryOut(effect, act.signal);
    const after = reclaimable(act).length > 0 ? await node.observe() : observed;
    if (!isMet(act, after[act.signal], true)) return false;
    const disks = act.signal !== 'memory.available' && act.signal !== 'pid.available';
    const effect = eviction(act, await node.uses(disks), after[act.signal], maxPodGraceMs);
    if (!effect) {
      this.#options.logger.error({ signal: act.signal }, 'no pod may be evicted: all there are are critical');
      return false;
    }
    await this.#carryOut(effect, act.signal);
    return true;
  }

  async #carryOut(effect: EvictionEffect, signal: Signal): Promise<void> {
    const { node, logger } = this.#options;
    switch (effect.type) {
      case 'announce':
        return node.announce(effect.resource);
      case 'reclaim':
        return node.reclaim(effect.what).catch((error: unknown) => {
          logger.warn({ what: effect.what, error: String(error) }, 'nothing could be reclaimed');
        });
      case 'evict':
        return node.evict(effect.uid, effect.graceMs, effect.message, signal);
    }
  }
}
