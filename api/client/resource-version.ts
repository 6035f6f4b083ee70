const CANONICAL = /^(0|[1-9][0-9]*)$/;

/**
 * Orders two resource versions of one server: negative, zero or positive; undefined when either is not a decimal without
 * leading zeros, in which case only equality means anything (KEP-5504). Never by number: 2^53 is too small for them.
 */
export function compareResourceVersions(a: string | undefined, b: string | undefined): number | undefined {
  if (a === undefined || b === undefined || !CANONICAL.test(a) || !CANONICAL.test(b)) return undefined;
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}
