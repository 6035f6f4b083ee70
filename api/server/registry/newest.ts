import { StatusError } from '@trimtab/machinery';
import type { Store } from '@trimtab/store';

/** Resolves once everything is visible here that any server had acknowledged when this was called. */
export async function untilNewest(store: Store): Promise<void> {
  if (store.shared) await store.latest();
}

/**
 * Where other servers write to the store, a refusal («not found», «already exists», a conflict) may come of a picture that is
 * behind: it is judged once more by the newest one. Writes that go through need no such care, for the store holds them to their
 * expectations.
 */
export async function judgedByNewest<T>(store: Store, attempt: () => Promise<T>): Promise<T> {
  if (!store.shared) return attempt();
  const before = store.revision;
  try {
    return await attempt();
  } catch (error) {
    if (!(error instanceof StatusError) || (await store.latest()) === before) throw error;
    return attempt();
  }
}
