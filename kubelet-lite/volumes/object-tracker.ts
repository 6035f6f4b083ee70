import { type Client, Informer, type Registration } from '@trimtab/client';
import type { Clock, ClusterTrustBundle, ConfigMap, Logger, Random, ResourceType, Secret } from '@trimtab/machinery';
import { ClusterTrustBundles, ConfigMaps, isReason, Secrets } from '@trimtab/machinery';

/** An object that pods refer to by name; trust bundles, which they also select by label, all together. */
export interface Reference {
  readonly kind: 'ConfigMap' | 'Secret' | 'ClusterTrustBundle';
  readonly namespace: string;
  readonly name: string;
}

export const ALL_BUNDLES: Reference = { kind: 'ClusterTrustBundle', namespace: '', name: '' };

type Tracked = ConfigMap | Secret | ClusterTrustBundle;

const TYPES = { ConfigMap: ConfigMaps, Secret: Secrets, ClusterTrustBundle: ClusterTrustBundles };

interface Entry {
  readonly informer: Informer<Tracked>;
  readonly registration: Registration;
  readonly users: Set<string>;
}

const SYNC_TIMEOUT_MS = 10_000;

const keyOf = (ref: Reference): string => `${ref.kind}/${ref.namespace}/${ref.name}`;

/**
 * Follows exactly the config maps and secrets (and trust bundles) that pods of this node refer to, each with one watch of its own however many
 * pods use it (a node may read no others). `users` are pod UIDs.
 */
export class ObjectTracker {
  readonly #options: { client: Client; clock: Clock; random: Random; logger: Logger };
  readonly #entries = new Map<string, Entry>();
  readonly #listeners: ((user: string) => void)[] = [];

  constructor(options: { client: Client; clock: Clock; random: Random; logger: Logger }) {
    this.#options = options;
  }

  /** Tells every user of an object that has changed, appeared or gone. */
  onChange(listener: (user: string) => void): void {
    this.#listeners.push(listener);
  }

  /** Starts following for `user`; resolves when all objects' present state is known, rejects when that takes too long. */
  async follow(user: string, references: readonly Reference[]): Promise<void> {
    if (references.includes(ALL_BUNDLES)) await this.#checkBundles();
    const entries = references.map((ref) => this.#acquire(user, ref));
    const waiting = entries.filter((entry) => !entry.informer.hasSynced());
    if (waiting.length === 0) return;
    let cancel = (): void => {};
    const late = new Promise<never>((_, reject) => {
      cancel = this.#options.clock.after(SYNC_TIMEOUT_MS, () =>
        reject(new Error('failed to sync configmap and secret cache: timed out waiting for the condition')),
      );
    });
    try {
      await Promise.race([Promise.all(waiting.map((entry) => entry.informer.whenSynced())), late]);
    } finally {
      cancel();
    }
  }

  /** The object as last seen; undefined when there is none, or nobody follows it. */
  get(ref: Reference): Tracked | undefined {
    return this.#entries.get(keyOf(ref))?.informer.get({ namespace: ref.namespace, name: ref.name });
  }

  /** All trust bundles, once somebody follows {@link ALL_BUNDLES}. */
  bundles(): readonly ClusterTrustBundle[] {
    return (this.#entries.get(keyOf(ALL_BUNDLES))?.informer.list() ?? []) as readonly ClusterTrustBundle[];
  }

  release(user: string): void {
    for (const [key, entry] of this.#entries) {
      if (!entry.users.delete(user) || entry.users.size > 0) continue;
      entry.registration.remove();
      entry.informer.stop();
      this.#entries.delete(key);
    }
  }

  stop(): void {
    for (const { informer } of this.#entries.values()) informer.stop();
    this.#entries.clear();
  }

  /** Servers have them only where somebody has turned them on; nobody is to wait for what is not served. */
  async #checkBundles(): Promise<void> {
    if (this.#entries.has(keyOf(ALL_BUNDLES))) return;
    try {
      await this.#options.client.list(ClusterTrustBundles, { limit: 1 });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
      const { group, version, resource } = ClusterTrustBundles;
      throw new Error(
        `projected source clusterTrustBundle: the API server does not serve ${resource}.${group}/${version}`,
      );
    }
  }

  #acquire(user: string, ref: Reference): Entry {
    const key = keyOf(ref);
    const known = this.#entries.get(key);
    known?.users.add(user);
    if (known) return known;
    const informer = new Informer<Tracked>({
      ...this.#options,
      type: TYPES[ref.kind] as ResourceType<Tracked>,
      scope:
        ref.kind === 'ClusterTrustBundle'
          ? {}
          : { namespace: ref.namespace, fieldSelector: `metadata.name=${ref.name}` },
    });
    const users = new Set([user]);
    const registration = informer.addHandler((change) => {
      if (change.type === 'added' && change.inInitialList) return;
      for (const one of [...users]) for (const listener of this.#listeners) listener(one);
    });
    const entry: Entry = { informer, registration, users };
    this.#entries.set(key, entry);
    informer.start();
    return entry;
  }
}
