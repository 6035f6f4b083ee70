import type { KubeObject } from '@trimtab/machinery';
import { keyOf } from '@trimtab/machinery';
import { compareResourceVersions } from './resource-version.js';

const REMEMBERED_DELETIONS = 10_000;

/**
 * What this process wrote and its watch has not shown yet. Knows which incoming states are older than an own write, and
 * nothing else: foreign changes are never held back (they are in the answer to the write that followed them).
 */
export class OwnWrites {
  readonly #written = new Map<string, { readonly uid: string; readonly revision: string }>();
  readonly #deleted = new Set<string>();

  get pending(): number {
    return this.#written.size;
  }

  /** The revision of the newest write that has not been seen; undefined where all have. */
  newest(): string | undefined {
    let newest: string | undefined;
    for (const { revision } of this.#written.values())
      if (newest === undefined || (compareResourceVersions(revision, newest) ?? -1) > 0) newest = revision;
    return newest;
  }

  wrote(object: KubeObject): void {
    const { uid, resourceVersion } = object.metadata;
    if (uid && resourceVersion) this.#written.set(keyOf(object), { uid, revision: resourceVersion });
  }

  /** A uid never comes back, so remembering it longer than needed harms nothing. */
  deleted(key: string, uid: string): void {
    if (this.#written.get(key)?.uid === uid) this.#written.delete(key);
    this.#deleted.add(uid);
    if (this.#deleted.size > REMEMBERED_DELETIONS) {
      const [oldest] = this.#deleted;
      this.#deleted.delete(oldest!);
    }
  }

  isDeleted(uid: string | undefined): boolean {
    return uid !== undefined && this.#deleted.has(uid);
  }

  /** True when a watch event shows nothing newer than what we wrote ourselves. */
  supersedes(event: { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: KubeObject }): boolean {
    const { uid, resourceVersion } = event.object.metadata;
    if (uid && this.#deleted.has(uid)) {
      if (event.type === 'DELETED') this.#deleted.delete(uid);
      return true;
    }
    const key = keyOf(event.object);
    const own = this.#written.get(key);
    if (!own) return false;
    if (own.revision === resourceVersion) {
      this.#written.delete(key);
      // An own write that takes the object out of the selector comes back as its deletion, at that very revision.
      return event.type !== 'DELETED';
    }
    const order = compareResourceVersions(resourceVersion, own.revision);
    if (order === undefined || order > 0) {
      this.#written.delete(key);
      return false;
    }
    return true;
  }

  /** True when a list as of `revision` is older than what we wrote under this key. */
  isNewerThan(key: string, revision: string): boolean {
    const own = this.#written.get(key);
    return own !== undefined && (compareResourceVersions(own.revision, revision) ?? -1) > 0;
  }

  /** Everything up to `revision` has been seen. */
  seen(revision: string): void {
    for (const [key, own] of this.#written)
      if ((compareResourceVersions(own.revision, revision) ?? 1) <= 0) this.#written.delete(key);
  }
}
