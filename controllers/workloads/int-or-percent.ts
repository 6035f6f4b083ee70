/** An absolute number, or a share of `of` in percent, rounded; what cannot be read is 0. Never negative. */
export function intOrPercent(value: number | string, of: number, round: (n: number) => number): number {
  if (typeof value === 'number') return value;
  const percent = Number(value.replace(/%$/, ''));
  return Number.isFinite(percent) ? Math.max(0, round((percent * of) / 100)) : 0;
}
