import { type Clock, isReason, type KubeObject, keyOf, sleep } from '@trimtab/machinery';
import type { Client } from './client.js';
import type { Informer } from './informer.js';
import { compareResourceVersions } from './resource-version.js';

/** What a cache and the server disagree about, as keys; all empty unless a watch has lost something. */
export interface Drift {
  /** There, and the cache has never heard of it. */
  readonly missed: readonly string[];
  /** The cache has an older version than it should. */
  readonly stale: readonly string[];
  /** Gone, and still in the cache. */
  readonly lingering: readonly string[];
  /** The cache has not come as far as the server was: nothing can be said. */
  readonly behind: boolean;
}

const EVERY_MS = 1_000;
/** A bookmark comes every minute. */
const PATIENCE_MS = 90_000;

/**
 * Lists everything once more and holds the cache against it. What is under way is no drift: the cache is looked at once it
 * says that it is complete up to the list's revision, and what it then lacks must still be there when asked for.
 */
export async function auditCache<T extends KubeObject>(
  informer: Informer<T>,
  { client, clock }: { readonly client: Client; readonly clock: Clock },
): Promise<Drift> {
  const { type, scope } = informer;
  const { items, metadata } = await client.list(type, scope);
  const revision = metadata.resourceVersion ?? '';
  const none: Drift = { missed: [], stale: [], lingering: [], behind: false };
  const until = clock.now() + PATIENCE_MS;
  while ((compareResourceVersions(informer.asOf, revision) ?? -1) < 0) {
    if (clock.now() >= until) return { ...none, behind: true };
    await sleep(clock, EVERY_MS);
  }
  const listed = new Set(items.map((item) => keyOf(item)));
  const [stale, absent]: [string[], T[]] = [[], []];
  for (const item of items) {
    const cached = informer.get(keyOf(item));
    if (!cached) absent.push(item);
    else if (isOlder(cached.metadata.resourceVersion, item.metadata.resourceVersion)) stale.push(keyOf(item));
  }
  const lingering = informer
    .list()
    .filter((object) => !listed.has(keyOf(object)) && !isOlder(revision, object.metadata.resourceVersion))
    .map((object) => keyOf(object));
  const missed: string[] = [];
  // What a transform has thrown on is left out, and was said so.
  for (const item of informer.stats.dropped > 0 ? [] : absent) {
    const { namespace, name = '' } = item.metadata;
    const there = await client.get(type, { namespace, name }).catch(unlessNotFound);
    if (there?.metadata.uid === item.metadata.uid && !informer.get(keyOf(item))) missed.push(keyOf(item));
  }
  return { missed, stale, lingering, behind: false };
}

const isOlder = (a: string | undefined, b: string | undefined): boolean =>
  (compareResourceVersions(a ?? '', b ?? '') ?? 0) < 0;

function unlessNotFound(error: unknown): undefined {
  if (!isReason(error, 'NotFound')) throw error;
  return undefined;
}
