import {
  expired,
  internalError,
  type KubeObject,
  type Random,
  type ResourceType,
  seededRandom,
  serviceUnavailable,
  silentLogger,
  tooManyRequests,
  VirtualClock,
} from '@trimtab/machinery';
import { Observable, type Subscriber } from 'rxjs';
import { CallingClient } from '../calls.js';
import type { WatchEvent, WatchOptions } from '../client.js';
import { Informer } from '../informer.js';

export interface SoakOptions {
  readonly seed: number;
  /** How many changes the server makes, over all kinds. */
  readonly events: number;
  readonly kinds?: number;
  readonly namesPerKind?: number;
}

export interface SoakResult {
  readonly events: number;
  readonly delivered: number;
  readonly faults: Readonly<Record<string, number>>;
  /** What must not be: empty. */
  readonly violations: readonly string[];
}

interface Logged {
  readonly at: number;
  readonly event: Exclude<WatchEvent, { type: 'BOOKMARK' }>;
}

/** How much of a kind's past the server can still tell; whoever asks for more gets a 410. */
const HISTORY = 512;
const STRIDE = 64;
const FAULTS = ['cut', 'end', 'expired', 'throttled', 'malformed', 'duplicate', 'listFails', 'bookmark'] as const;

/**
 * A server whose objects change at random while everything that can go wrong with a watch does, seeded; and one informer a
 * kind with two handlers, of which one is slow. Kinds are told of in any order relative to each other. Each handler's view,
 * rebuilt from what it is told, must never go back, never see a deleted uid again, and be the server's state at the end.
 */
export async function soak({ seed, events, kinds = 4, namesPerKind = 50 }: SoakOptions): Promise<SoakResult> {
  const random = seededRandom(seed);
  const clock = new VirtualClock();
  const faults: Record<string, number> = {};
  const violations: string[] = [];
  const servers = Array.from({ length: kinds }, (_, i) => new FaultyServer(i, random, faults));
  let delivered = 0;
  const slow: (() => void)[] = [];
  const followed = servers.map((server) => {
    const { type } = server;
    const common = { client: server, type, clock, random, logger: silentLogger };
    const informer = new Informer<KubeObject>({ ...common, traits: { watchList: random.next() < 0.5 } });
    const quick = new Witness(`${type.resource} quick`, violations);
    const late = new Witness(`${type.resource} slow`, violations);
    informer.addHandler((change) => {
      delivered++;
      quick.told(change.type, change.object);
    });
    informer.addHandler((change) => {
      late.told(change.type, change.object);
      return random.next() < 0.01 ? new Promise<void>((resolve) => slow.push(resolve)) : undefined;
    });
    informer.start();
    return { server, informer, quick, late };
  });
  const someone = () => servers[Math.floor(random.next() * servers.length)]!;
  for (let made = 0; made < events; made++) {
    someone().change(Math.floor(random.next() * namesPerKind));
    // Streams get what they have not had yet in bursts, each kind in its own time.
    if (made % STRIDE !== 0) continue;
    const server = someone();
    if (random.next() < 0.2) server.fail(FAULTS[Math.floor(random.next() * FAULTS.length)]!);
    server.pump();
    if (random.next() < 0.05) for (const release of slow.splice(0)) release();
    // Backed off reflectors get their turn, and those that wait for a list their answer.
    await clock.advance(random.next() < 0.1 ? 45_000 : 0);
  }
  for (const server of servers) server.heal();
  for (let turn = 0; turn < 20; turn++) {
    await clock.advance(60_000);
    for (const server of servers) server.pump();
    for (const release of slow.splice(0)) release();
  }
  for (const { server, informer, quick, late } of followed) {
    const want = server.state();
    const cached = informer.list().map(stamp).sort().join(' ');
    if (cached !== want) violations.push(`${server.type.resource}: the cache is not what the server has`);
    for (const witness of [quick, late])
      if (witness.state() !== want) violations.push(`${witness.name}: was not told what the server has`);
    informer.stop();
  }
  return { events, delivered, faults, violations };
}

const stamp = (object: KubeObject): string =>
  `${object.metadata.name}/${object.metadata.uid}@${object.metadata.resourceVersion}`;

/** Rebuilds the state from changes alone, and holds them against what may never happen. */
class Witness {
  readonly #seen = new Map<string, KubeObject>();
  readonly #dead = new Set<string>();

  constructor(
    readonly name: string,
    readonly violations: string[],
  ) {}

  told(what: 'added' | 'updated' | 'deleted', object: KubeObject): void {
    const { name = '', uid = '', resourceVersion = '' } = object.metadata;
    const known = this.#seen.get(name);
    const wrong = (why: string) => {
      if (this.violations.length < 20) this.violations.push(`${this.name}: ${what} ${stamp(object)}: ${why}`);
    };
    if (this.#dead.has(uid)) wrong('it was deleted before');
    if (what === 'added' && known) wrong('it was there already');
    if (what !== 'added' && known?.metadata.uid !== uid) wrong('nobody had said that it is there');
    if (known && Number(resourceVersion) < Number(known.metadata.resourceVersion)) wrong('it went back');
    if (what === 'deleted') {
      this.#seen.delete(name);
      this.#dead.add(uid);
    } else this.#seen.set(name, object);
  }

  state(): string {
    return [...this.#seen.values()].map(stamp).sort().join(' ');
  }
}

/** One kind of a server that fails when told to. Only lists and watches. */
class FaultyServer extends CallingClient {
  readonly type: ResourceType;
  readonly #random: Random;
  readonly #faults: Record<string, number>;
  readonly #objects = new Map<string, KubeObject>();
  #log: Logged[] = [];
  #revision = 100;
  #uid = 0;
  #forgotten = 100;
  #stream: { readonly to: Subscriber<WatchEvent>; sent: number } | undefined;
  #next: 'expired' | 'throttled' | 'malformed' | undefined;

  constructor(index: number, random: Random, faults: Record<string, number>) {
    super();
    const kind = `Kind${index}`;
    this.type = { group: 'soak', version: 'v1', kind, resource: kind.toLowerCase(), namespaced: false };
    this.#random = random;
    this.#faults = faults;
  }

  change(index: number): void {
    const name = `n${index}`;
    const old = this.#objects.get(name);
    const dies = old !== undefined && this.#random.next() < 0.2;
    const resourceVersion = String(++this.#revision);
    const uid = old?.metadata.uid ?? `u${++this.#uid}`;
    const object = { apiVersion: 'soak/v1', kind: this.type.kind, metadata: { name, uid, resourceVersion } };
    if (dies) this.#objects.delete(name);
    else this.#objects.set(name, object);
    this.#log.push({ at: this.#revision, event: { type: dies ? 'DELETED' : old ? 'MODIFIED' : 'ADDED', object } });
    if (this.#log.length < 2 * HISTORY) return;
    this.#log = this.#log.slice(-HISTORY);
    this.#forgotten = this.#log[0]!.at - 1;
  }

  state(): string {
    return [...this.#objects.values()].map(stamp).sort().join(' ');
  }

  fail(fault: (typeof FAULTS)[number]): void {
    const stream = this.#stream;
    this.#faults[fault] = (this.#faults[fault] ?? 0) + 1;
    switch (fault) {
      case 'listFails':
        this.#next = 'malformed';
        stream?.to.error(expired('go and list'));
        return;
      case 'expired':
      case 'throttled':
      case 'malformed':
        this.#next = fault;
        stream?.to.error(this.#error(fault));
        return;
      case 'cut':
        stream?.to.error(serviceUnavailable('cut'));
        return;
      case 'end':
        stream?.to.complete();
        return;
      case 'duplicate':
        // What was sent last is sent again.
        if (stream) for (const { at, event } of this.#log.slice(-3)) if (at === stream.sent) stream.to.next(event);
        return;
      case 'bookmark':
        this.pump();
        stream?.to.next({ type: 'BOOKMARK', object: { metadata: { resourceVersion: String(stream.sent) } } });
        return;
    }
  }

  heal(): void {
    this.#next = undefined;
  }

  pump(): void {
    const stream = this.#stream;
    if (!stream) return;
    if (stream.sent < this.#forgotten) return void stream.to.error(expired('too old resource version'));
    for (let i = this.#from(stream.sent); i < this.#log.length && !stream.to.closed; i++) {
      stream.sent = this.#log[i]!.at;
      stream.to.next(this.#log[i]!.event);
    }
  }

  /** Revisions of one kind are consecutive here. */
  #from(revision: number): number {
    return this.#log.length === 0 ? 0 : Math.max(0, revision + 1 - this.#log[0]!.at);
  }

  async call(): Promise<unknown> {
    const error = this.#taken();
    if (error) throw error;
    return { metadata: { resourceVersion: String(this.#revision) }, items: [...this.#objects.values()] };
  }

  watch<T extends KubeObject>(_type: ResourceType<T>, options: WatchOptions = {}): Observable<WatchEvent<T>> {
    return new Observable((subscriber) => {
      const to = subscriber as unknown as Subscriber<WatchEvent>;
      const error = this.#taken();
      if (error) return void queueMicrotask(() => to.error(error));
      const stream = { to, sent: Number(options.resourceVersion || this.#revision) };
      this.#stream = stream;
      queueMicrotask(() => {
        if (to.closed || !options.sendInitialEvents) return;
        stream.sent = this.#revision;
        for (const object of this.#objects.values()) to.next({ type: 'ADDED', object });
        const annotations = { 'k8s.io/initial-events-end': 'true' };
        to.next({ type: 'BOOKMARK', object: { metadata: { resourceVersion: String(stream.sent), annotations } } });
      });
      return () => {
        if (this.#stream === stream) this.#stream = undefined;
      };
    });
  }

  #taken(): Error | undefined {
    const fault = this.#next;
    this.#next = undefined;
    return fault && this.#error(fault);
  }

  #error(fault: 'expired' | 'throttled' | 'malformed'): Error {
    if (fault === 'expired') return expired('too old resource version');
    return fault === 'throttled' ? tooManyRequests('slow down', 1) : internalError('unable to decode a watch event');
  }
}
