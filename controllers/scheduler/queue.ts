import type { Pod } from '@trimtab/machinery';
import { Heap } from './heap.js';
import type { Plugin, WakeReason } from './plugins/plugin.js';

/** A pod that no node would take. */
interface Parked {
  readonly pod: Pod;
  readonly plugins: ReadonlySet<Plugin>;
  readonly attempts: number;
  /** Not to be tried again before this time. */
  readonly until: number;
}

export interface QueueOptions {
  /** So many retries come as soon as something changes. */
  readonly freeRetries: number;
  /** Backoff of a pod that fits nowhere once those are used up: `base`, then twice as long each time, at most `cap`. */
  readonly baseMs: number;
  readonly capMs: number;
  /** A parked pod is tried after this time even if nothing seems to have changed. */
  readonly leftoverMs: number;
}

const DEFAULTS: QueueOptions = { freeRetries: 5, baseMs: 1_000, capMs: 10_000, leftoverMs: 300_000 };

/**
 * Pods that wait for a node: those to be tried now, highest priority first, then in the order they came; and those that fit nowhere,
 * which come back when something changes that a rule which refused them cares about. Pure data with an explicit clock:
 * who holds it calls {@link due} at {@link nextDue}.
 */
export class SchedulingQueue {
  readonly #options: QueueOptions;
  readonly #active = new Map<string, Waiting>();
  /** Holds also what has been forgotten since; that is dropped when it comes up. */
  readonly #heap = new Heap<Waiting>(before);
  readonly #parked = new Map<string, Parked>();
  readonly #byReason = new Map<WakeReason, Set<string>>();
  /** Woken, and still in their backoff. */
  readonly #backingOff = new Map<string, number>();
  readonly #attempts = new Map<string, number>();
  #sequence = 0;

  constructor(options: Partial<QueueOptions> = {}) {
    this.#options = { ...DEFAULTS, ...options };
  }

  get activeCount(): number {
    return this.#active.size;
  }

  get parkedCount(): number {
    return this.#parked.size;
  }

  /** A pod that is new, or whose spec has changed: what was known of it no longer holds. */
  push(uid: string, pod: Pod): void {
    const parked = this.#parked.get(uid);
    // Our own report of failure comes back as a change; only a change of what was asked for is news.
    if (parked && sameDemand(parked.pod, pod)) {
      this.#parked.set(uid, { ...parked, pod });
      return;
    }
    this.#unpark(uid);
    this.#activate(uid, pod);
  }

  forget(uid: string): void {
    this.#unpark(uid);
    this.#attempts.delete(uid);
    this.#active.delete(uid);
  }

  /** Takes up to `count` pods that are to be tried now, most important first. */
  take(count: number): readonly (readonly [string, Pod])[] {
    const taken: [string, Pod][] = [];
    while (taken.length < count) {
      const next = this.#heap.pop();
      if (!next) break;
      if (this.#active.get(next.uid) !== next) continue;
      this.#active.delete(next.uid);
      taken.push([next.uid, next.pod]);
    }
    return taken;
  }

  /** Puts a pod aside until something changes that one of the rules that refused it cares about. */
  park(uid: string, pod: Pod, plugins: ReadonlySet<Plugin>, now: number): void {
    const attempts = (this.#attempts.get(uid) ?? 0) + 1;
    this.#attempts.set(uid, attempts);
    this.#parked.set(uid, { pod, plugins, attempts, until: now + this.#backoff(attempts) });
    // No rule refused it, so no change in the cluster is what it waits for.
    if (plugins.size === 0) this.#backingOff.set(uid, now + this.#backoff(attempts));
    for (const reason of reasonsOf(plugins)) {
      const waiting = this.#byReason.get(reason) ?? new Set();
      this.#byReason.set(reason, waiting.add(uid));
    }
  }

  /** What a parked pod waits for could not be asked for, or said: it is tried again after its backoff. */
  retry(uid: string): void {
    const parked = this.#parked.get(uid);
    if (parked) this.#backingOff.set(uid, parked.until);
  }

  /** Something changed. The first retries of a pod come at once; one that has been tried often waits its backoff out. */
  wake(reason: WakeReason, now: number): void {
    for (const uid of [...(this.#byReason.get(reason) ?? [])]) {
      const { pod, attempts, until } = this.#parked.get(uid)!;
      if (attempts > this.#options.freeRetries && until > now) this.#backingOff.set(uid, until);
      else this.#reactivate(uid, pod);
    }
  }

  /** Brings back what has waited long enough. */
  due(now: number): void {
    for (const [uid, until] of this.#backingOff) if (until <= now) this.#reactivate(uid, this.#parked.get(uid)!.pod);
    for (const [uid, { pod, attempts, until }] of this.#parked)
      if (until - this.#backoff(attempts) + this.#options.leftoverMs <= now) this.#reactivate(uid, pod);
  }

  /** When {@link due} has something to do next. */
  nextDue(): number | undefined {
    let next: number | undefined;
    for (const until of this.#backingOff.values()) next = Math.min(next ?? until, until);
    // Parked pods stand in the order in which they were parked, so the first has the earliest leftover time.
    for (const { attempts, until } of this.#parked.values()) {
      const leftover = until - this.#backoff(attempts) + this.#options.leftoverMs;
      return Math.min(next ?? leftover, leftover);
    }
    return next;
  }

  #backoff(attempts: number): number {
    const { freeRetries, baseMs, capMs } = this.#options;
    return Math.min(baseMs * 2 ** Math.max(0, attempts - 1 - freeRetries), capMs);
  }

  #activate(uid: string, pod: Pod): void {
    const waiting = { uid, pod, sequence: this.#sequence++ };
    this.#active.set(uid, waiting);
    this.#heap.push(waiting);
  }

  #reactivate(uid: string, pod: Pod): void {
    this.#unpark(uid);
    this.#activate(uid, pod);
  }

  #unpark(uid: string): void {
    const parked = this.#parked.get(uid);
    for (const reason of parked ? reasonsOf(parked.plugins) : []) this.#byReason.get(reason)?.delete(uid);
    this.#parked.delete(uid);
    this.#backingOff.delete(uid);
  }
}

/** What may help a pod that these rules refused; nothing in particular where none did (its binding failed). */
const reasonsOf = (plugins: ReadonlySet<Plugin>): ReadonlySet<WakeReason> =>
  new Set([...plugins].flatMap(({ wakes = [] }) => wakes));

/** Whether two versions of a pod ask the same of the scheduler. */
const sameDemand = (a: Pod, b: Pod): boolean =>
  a.metadata.generation === b.metadata.generation &&
  a.spec?.schedulingGates?.length === b.spec?.schedulingGates?.length;

interface Waiting {
  readonly uid: string;
  readonly pod: Pod;
  readonly sequence: number;
}

function before(a: Waiting, b: Waiting): boolean {
  const difference = (a.pod.spec?.priority ?? 0) - (b.pod.spec?.priority ?? 0);
  return difference === 0 ? a.sequence < b.sequence : difference > 0;
}
