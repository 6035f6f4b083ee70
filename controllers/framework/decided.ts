import { StatusError } from '@trimtab/machinery';
import type { Caches } from './caches.js';
import { DroppedField, NeedsWhole } from './guarded.js';

/**
 * A decision made from whole objects, however little was cached when it began: one that turns out to have needed more than
 * metadata is thrown away, whatever it came to, and made again when there is more. That is sound because it is pure.
 */
export function decided<D>(caches: Caches, decide: () => Promise<D>): Promise<D> {
  return caches.keepsParts ? untilWhole(caches, decide) : decide();
}

async function untilWhole<D>(caches: Caches, decide: () => Promise<D>): Promise<D> {
  for (;;) {
    const decision = await attempt(caches, decide);
    if (decision !== WANTS_MORE) return decision;
    await caches.whenComplete();
  }
}

const WANTS_MORE = Symbol('wants more');

async function attempt<D>(caches: Caches, decide: () => Promise<D>): Promise<D | typeof WANTS_MORE> {
  try {
    const decision = await decide();
    return caches.complete ? decision : WANTS_MORE;
  } catch (error) {
    if (error instanceof NeedsWhole || !caches.complete) return WANTS_MORE;
    // Some things cannot be done with a part of an object (structuredClone) and do not say so.
    const told = error instanceof StatusError || error instanceof DroppedField;
    if (!told && caches.widen()) return WANTS_MORE;
    throw error;
  }
}
