import type { Client } from '@trimtab/client';
import type { Clock, Lease, Logger } from '@trimtab/machinery';
import { isReason, Leases, microTimestamp } from '@trimtab/machinery';
import type { KeyShare } from './runner-options.js';

/** On a member's Lease: whom it takes to be members. */
export const SEES = 'shards.trimtab.dev/sees';
export const SHARDED = 'shards.trimtab.dev/group';

/** Whose a key is, of these members: highest random weight, so that one that comes or goes moves only its own share. Pure. */
export function ownerOf(members: readonly string[], controller: string, key: string): string | undefined {
  let owner: string | undefined;
  let most = -1;
  for (const member of members) {
    const weight = hash(`${member}\0${controller}\0${key}`);
    if (weight > most || (weight === most && member < owner!)) {
      owner = member;
      most = weight;
    }
  }
  return owner;
}

/** FNV-1a, well mixed. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

export interface ShardsOptions {
  readonly client: Client;
  readonly namespace: string;
  /** The members' leases are `<group>-<identity>`. */
  readonly group: string;
  readonly identity: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A member whose lease is older is taken to be gone, and stops by itself before that; default 15 s. */
  readonly durationMs?: number;
  /** Default 2 s. */
  readonly renewMs?: number;
  /** Resolves when nothing of ours is under way: no key is given away before. Default: at once. */
  readonly settled?: () => Promise<void>;
}

/**
 * Divides keys among the processes that are there. A key is worked on only by a member in whose own view, **and** in the view
 * that every other live member has made known, it is that member's. Views are made known before they are used and read
 * after that, so of two members that both claim a key at least one sees that the other does not agree: no key is ever two
 * members', and one that changes hands rests until its old member has said that it knows.
 */
export class Shards implements KeyShare {
  readonly #options: Required<Pick<ShardsOptions, 'durationMs' | 'renewMs' | 'settled'>> & ShardsOptions;
  readonly #gained = new Set<() => void>();
  /** Our own view as made known, and everybody else's as read. */
  #own: readonly string[] = [];
  #views: ReadonlyMap<string, readonly string[]> = new Map();
  #renewedAt = Number.NEGATIVE_INFINITY;
  #running = false;
  #cancel: () => void = () => {};
  #turn: Promise<void> = Promise.resolve();

  constructor(options: ShardsOptions) {
    this.#options = { durationMs: 15_000, renewMs: 2_000, settled: () => Promise.resolve(), ...options };
  }

  /** Ourselves included, as we have made known. */
  get members(): readonly string[] {
    return this.#own;
  }

  owns(controller: string, key: string): boolean {
    const { identity, clock, durationMs } = this.#options;
    // Whoever could not renew is soon taken to be gone.
    if (clock.now() - this.#renewedAt >= durationMs * 0.6) return false;
    if (ownerOf(this.#own, controller, key) !== identity) return false;
    for (const view of this.#views.values()) if (ownerOf(view, controller, key) !== identity) return false;
    return true;
  }

  onGain(gained: () => void): () => void {
    this.#gained.add(gained);
    return () => this.#gained.delete(gained);
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#again();
  }

  /** Leaves: the others take over as soon as they see it. */
  async stop(): Promise<void> {
    this.#running = false;
    this.#cancel();
    await this.#turn;
    this.#own = [];
    await this.#options.settled();
    const { client } = this.#options;
    await client.delete(Leases, this.#lease()).catch((error: unknown) => this.#complain(error));
  }

  #again(): void {
    const { clock, renewMs } = this.#options;
    this.#turn = this.#renew()
      .catch((error: unknown) => this.#complain(error))
      .then(() => {
        if (this.#running) this.#cancel = clock.after(renewMs, () => this.#again());
      });
  }

  async #renew(): Promise<void> {
    const { identity, clock, settled } = this.#options;
    const before = JSON.stringify([this.#own, [...this.#views]]);
    const seen = [...(await this.#read()).keys(), identity].sort();
    if (JSON.stringify(seen) !== JSON.stringify(this.#own)) {
      // What is no longer ours is let go, and finished, before anybody is told.
      const kept = this.#own;
      this.#views = new Map([...this.#views, ['', seen]]);
      await settled();
      await this.#write(seen);
      this.#own = seen;
      // Nothing is gained before the others' views have been read after ours was made known.
      this.#views = new Map([...this.#views, ['', kept]]);
    } else await this.#write(seen);
    const now = clock.now();
    this.#views = new Map([...(await this.#read())].filter(([member]) => member !== identity));
    this.#renewedAt = now;
    if (JSON.stringify([this.#own, [...this.#views]]) !== before) for (const gained of this.#gained) gained();
  }

  /** The live members other than ourselves, with the views they have made known. */
  async #read(): Promise<ReadonlyMap<string, readonly string[]>> {
    const { client, namespace, group, clock, durationMs, identity } = this.#options;
    const { items } = await client.list(Leases, { namespace, labelSelector: `${SHARDED}=${group}` });
    const views = new Map<string, readonly string[]>();
    for (const { spec, metadata } of items) {
      const member = spec?.holderIdentity;
      if (!member || member === identity) continue;
      if (clock.now() - Date.parse(spec?.renewTime ?? '') > durationMs) continue;
      views.set(member, (metadata.annotations?.[SEES] ?? '').split(',').filter(Boolean));
    }
    return views;
  }

  async #write(sees: readonly string[]): Promise<void> {
    const { client, group, clock, identity, durationMs } = this.#options;
    const lease: Lease = {
      metadata: { ...this.#lease(), labels: { [SHARDED]: group }, annotations: { [SEES]: sees.join(',') } },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: Math.ceil(durationMs / 1000),
        renewTime: microTimestamp(clock.now()),
      },
    };
    await client.update(Leases, lease).catch((error: unknown) => {
      if (!isReason(error, 'NotFound')) throw error;
      return client.create(Leases, lease);
    });
  }

  #lease(): { readonly namespace: string; readonly name: string } {
    const { namespace, group, identity } = this.#options;
    return { namespace, name: `${group}-${identity}` };
  }

  #complain(error: unknown): void {
    this.#options.logger.warn({ group: this.#options.group, error: String(error) }, 'membership not renewed');
  }
}
