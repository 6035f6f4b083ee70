import type { Random } from '@trimtab/machinery';

const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';
const MAX_BASE = 58;

/** A name as `metadata.generateName` makes it: the base, cut to 58 characters, and 5 of an alphabet without vowels. */
export function generateName(base: string, random: Random): string {
  let suffix = '';
  for (let i = 0; i < 5; i++) suffix += ALPHABET[Math.floor(random.next() * ALPHABET.length)];
  return base.slice(0, MAX_BASE) + suffix;
}
