/** Order statistics of small samples. */

/**
 * @typedef {{ n: number, min: number, median: number, p90: number, p99: number, max: number, mean: number }} Summary
 */

/** The value below which a share `q` of the sample lies (nearest rank), NaN of an empty one.
 * @param {readonly number[]} values @param {number} q */
export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
}

/** Mean of the two middle values where their number is even. @param {readonly number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** @param {readonly number[]} values @returns {Summary} */
export function summary(values) {
  return {
    n: values.length,
    min: Math.min(...values),
    median: median(values),
    p90: quantile(values, 0.9),
    p99: quantile(values, 0.99),
    max: Math.max(...values),
    mean: values.reduce((sum, value) => sum + value, 0) / values.length,
  };
}
