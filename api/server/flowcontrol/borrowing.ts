/** How seats are shared out among priority levels (kubernetes: pkg/util/flowcontrol, updateBorrowing). Pure. */

export interface Share {
  /** What it has by right: its part of all seats by its shares. */
  readonly nominal: number;
  /** What it never lends below. */
  readonly min: number;
  /** What it never borrows above. */
  readonly max: number;
  /** Seats it would use if it had them. */
  readonly demand: number;
}

/** Nominal seats by shares, rounded up so that every level has at least one seat for its shares. */
export function nominalSeats(total: number, shares: readonly number[]): readonly number[] {
  const sum = shares.reduce((a, b) => a + b, 0);
  return shares.map((share) => (sum === 0 ? 0 : Math.ceil((total * share) / sum)));
}

/**
 * Seats each level has now: at least what it uses of its own right, at least `min`, at most `max`, and what is left over in
 * proportion to demand. The sum is never more than that of the nominal seats, but for rounding.
 */
export function shareOut(levels: readonly Share[]): readonly number[] {
  const total = levels.reduce((sum, level) => sum + level.nominal, 0);
  const floors = levels.map((l) => Math.min(l.max, Math.max(l.min, Math.min(l.demand, l.nominal))));
  const targets = levels.map((l, i) => Math.max(l.demand, floors[i]!, 1));
  const at = (proportion: number, i: number) =>
    Math.min(levels[i]!.max, Math.max(floors[i]!, targets[i]! * proportion));
  const sumAt = (proportion: number) => levels.reduce((sum, _, i) => sum + at(proportion, i), 0);
  let [low, high] = [0, 1];
  while (sumAt(high) < total && high < 1e9) high *= 2;
  for (let i = 0; i < 50; i++) {
    const middle = (low + high) / 2;
    if (sumAt(middle) > total) high = middle;
    else low = middle;
  }
  return levels.map((_, i) => Math.max(1, Math.round(at(low, i))));
}
