import type { Clock, KubeObject, Logger, ObjectKey, Random, ResourceType } from '@trimtab/machinery';
import { apiVersionOf } from '@trimtab/machinery';
import type { IndexFunction } from './cache.js';
import type { Client } from './client.js';
import { Informer, type InformerOptions } from './informer.js';
import type { ServerTraits, WatchSeconds } from './reflector.js';

export interface InformersOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** False: never ask for watch lists. Default: ask, until the server shows that it has none. */
  readonly watchList?: boolean;
  /** How long a watch is asked to last, drawn from this range; default 5 to 10 minutes. */
  readonly watchSeconds?: WatchSeconds;
  /**
   * Of what is asked for as `narrow`, only metadata is watched until somebody needs more: less memory and less to decode
   * where that never happens, one list more where it does. Default false: everything is watched whole.
   */
  readonly metadataFirst?: boolean;
  /** What transforms leave out is noted object by object. For tests and development. */
  readonly checked?: boolean;
}

export type InformerRequest<T extends KubeObject> = Pick<
  InformerOptions<T>,
  'scope' | 'indexes' | 'transform' | 'transformName' | 'dropped' | 'resyncMs' | 'narrow'
>;

/**
 * One informer per type, scope and transform, shared by all who ask. Asking starts it (once {@link start} has been called).
 * The first to ask decides on resync; indexes of later ones are added. One that was asked for as `narrow` is widened for the
 * first who asks for it whole.
 */
export class Informers {
  readonly #options: InformersOptions;
  readonly #traits: ServerTraits;
  readonly #informers = new Map<string, Informer<KubeObject>>();
  readonly #users = new Map<string, number>();
  readonly #transforms = new Map<unknown, number>();
  #running = false;

  constructor(options: InformersOptions) {
    this.#options = options;
    this.#traits = { watchList: options.watchList ?? true };
  }

  get<T extends KubeObject>(type: ResourceType<T>, request: InformerRequest<T> = {}): Informer<T> {
    const { metadataFirst = false, checked = false } = this.#options;
    const narrow = metadataFirst && request.narrow === true && !request.transform;
    const id = this.#identify(type as unknown as ResourceType, request);
    const known = this.#informers.get(id) as Informer<T> | undefined;
    this.#users.set(id, (this.#users.get(id) ?? 0) + 1);
    if (known) {
      for (const [name, fn] of Object.entries(request.indexes ?? {}))
        if (!known.hasIndex(name)) known.addIndex(name, fn as IndexFunction<T>);
      if (!narrow) known.widen();
      return known;
    }
    const { watchList: _, metadataFirst: __, ...around } = this.#options;
    const informer = new Informer<T>({ ...request, ...around, narrow, checked, type, traits: this.#traits });
    this.#informers.set(id, informer as unknown as Informer<KubeObject>);
    if (this.#running) informer.start();
    return informer;
  }

  /** Gives back what one {@link get} was given; the informer nobody has any more is stopped and forgotten. */
  release(informer: Informer<KubeObject>): void {
    for (const [id, each] of this.#informers) {
      if (each !== informer) continue;
      const users = (this.#users.get(id) ?? 1) - 1;
      this.#users.set(id, users);
      if (users > 0) return;
      this.#users.delete(id);
      this.#informers.delete(id);
      informer.stop();
    }
  }

  all(): readonly Informer<KubeObject>[] {
    return [...this.#informers.values()];
  }

  start(): void {
    this.#running = true;
    for (const informer of this.#informers.values()) informer.start();
  }

  /** Resolves when every informer asked for so far has its first list. */
  async whenSynced(): Promise<void> {
    await Promise.all([...this.#informers.values()].map((informer) => informer.whenSynced()));
  }

  stop(): void {
    this.#running = false;
    for (const informer of this.#informers.values()) informer.stop();
  }

  /** The longest silence of any informer, in milliseconds: readiness is this being small. */
  staleness(): number {
    return Math.max(0, ...[...this.#informers.values()].map((informer) => informer.staleness()));
  }

  recordWrite<T extends KubeObject>(type: ResourceType<T>, answer: T): void {
    for (const informer of this.#of(type)) informer.recordWrite(answer);
  }

  recordDelete(type: ResourceType, key: ObjectKey, uid: string): void {
    for (const informer of this.#of(type)) informer.recordDelete(key, uid);
  }

  #identify<T extends KubeObject>(
    type: ResourceType,
    { scope = {}, transform, transformName }: InformerRequest<T>,
  ): string {
    const { namespace = '', labelSelector = '', fieldSelector = '', metadataOnly = false } = scope;
    if (transform && !transformName && !this.#transforms.has(transform))
      this.#transforms.set(transform, this.#transforms.size + 1);
    const through = transformName ?? this.#transforms.get(transform) ?? '';
    const much = metadataOnly ? 'metadata' : '';
    const which = [clusterOf(type), apiVersionOf(type), type.resource, namespace, labelSelector, fieldSelector];
    return [...which, much, through].join('|');
  }

  *#of(type: ResourceType): Iterable<Informer<KubeObject>> {
    for (const informer of this.#informers.values())
      if (
        informer.type.resource === type.resource &&
        informer.type.group === type.group &&
        clusterOf(informer.type) === clusterOf(type)
      )
        yield informer;
  }
}

/** A client that speaks to several clusters tells them apart by their types. */
const clusterOf = (type: ResourceType): string => (type as { readonly cluster?: string }).cluster ?? '';
