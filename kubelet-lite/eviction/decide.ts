import { amountIn, type Signal, type Threshold } from './thresholds.js';

/** What was found of one signal, in its own unit. */
export interface Observation {
  readonly available: number;
  readonly capacity: number;
}

export type Observations = Readonly<Partial<Record<Signal, Observation>>>;

export type Pressure = 'MemoryPressure' | 'DiskPressure' | 'PIDPressure';

/** What the decision remembers from one look to the next. */
export interface EvictionState {
  /** When each threshold came to be met, by its place in the list; milliseconds since the epoch. */
  readonly metSince: ReadonlyMap<number, number>;
  /** When each pressure was seen last. */
  readonly pressedAt: ReadonlyMap<Pressure, number>;
}

export const NO_STATE: EvictionState = { metSince: new Map(), pressedAt: new Map() };

export interface Finding {
  readonly state: EvictionState;
  /** Pressures the node tells of now: those met, and those met within the transition period. */
  readonly pressures: readonly Pressure[];
  /** The threshold to act on; undefined: nothing is to be done. */
  readonly act: Threshold | undefined;
}

const PRESSURE: Readonly<Record<Signal, Pressure>> = {
  'memory.available': 'MemoryPressure',
  'nodefs.available': 'DiskPressure',
  'nodefs.inodesFree': 'DiskPressure',
  'imagefs.available': 'DiskPressure',
  'imagefs.inodesFree': 'DiskPressure',
  'pid.available': 'PIDPressure',
};

/** Memory first, for nothing is as quick to run out; then hard before soft. */
const urgency = ({ signal, hard }: Threshold): number => (signal === 'memory.available' ? 0 : 2) + (hard ? 0 : 1);

/**
 * What the readings mean (kubernetes: pkg/kubelet/eviction/eviction_manager.go, synchronize). Pure. A threshold that has been
 * met stays so until its minimum is reclaimed; a pressure lasts for `transitionMs` after it was seen last.
 */
export function decide(
  thresholds: readonly Threshold[],
  observations: Observations,
  before: EvictionState,
  now: number,
  transitionMs: number,
): Finding {
  const met = thresholds.flatMap((threshold, place) =>
    isMet(threshold, observations[threshold.signal], before.metSince.has(place)) ? [{ threshold, place }] : [],
  );
  const metSince = new Map(met.map(({ place }) => [place, before.metSince.get(place) ?? now]));
  const pressedAt = new Map(before.pressedAt);
  for (const { threshold } of met) pressedAt.set(PRESSURE[threshold.signal], now);
  for (const [pressure, at] of pressedAt) if (now - at >= transitionMs) pressedAt.delete(pressure);
  // One seen this very moment is there whatever the period.
  const pressures = [...new Set([...met.map(({ threshold }) => PRESSURE[threshold.signal]), ...pressedAt.keys()])];
  const due = met
    .filter(({ threshold, place }) => now - metSince.get(place)! >= threshold.graceMs)
    .map(({ threshold }) => threshold)
    .sort((a, b) => urgency(a) - urgency(b));
  return { state: { metSince, pressedAt }, pressures, act: due[0] };
}

/** `already`: it was met when it was looked at last. */
export function isMet(threshold: Threshold, observed: Observation | undefined, already: boolean): boolean {
  if (!observed) return false;
  const { available, capacity } = observed;
  const reclaim = already && threshold.reclaim ? amountIn(threshold.reclaim, capacity) : 0;
  return available < amountIn(threshold.below, capacity) + reclaim;
}
