import type {
  Client,
  DeleteOptions,
  GetOptions,
  ListOptions,
  Patch,
  PatchOptions,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from '@trimtab/client';
import type { Clock, KubeList, KubeObject, ObjectKey, ResourceType } from '@trimtab/machinery';
import { alreadyExists, conflict, joinKey, keyOf, notFound, timestamp } from '@trimtab/machinery';
import { Observable, Subject } from 'rxjs';

type Loose = { readonly [key: string]: unknown };
type Change = { readonly resource: string; readonly event: WatchEvent };

/**
 * The API server as a kubelet's tests need it: one map, one revision counter, graceful deletion of pods, and merges that
 * know the few merge keys a pod status has. `log` records every write in order.
 */
export class MemoryClient implements Client {
  readonly log: string[] = [];
  /** Watches open now. */
  watches = 0;
  readonly #objects = new Map<string, Map<string, KubeObject>>();
  readonly #history: Change[] = [];
  readonly #changes = new Subject<Change>();
  readonly #clock: Clock;
  #revision = 100;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async get<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey, _options?: GetOptions): Promise<T> {
    const found = this.#of(type).get(joinKey(key));
    if (!found) throw notFound(type, key.name);
    return found as T;
  }

  async list<T extends KubeObject>(type: ResourceType<T>, options: ListOptions = {}): Promise<KubeList<T>> {
    const items = [...this.#of(type).values()].filter((object) => selects(options, object)) as T[];
    return { metadata: { resourceVersion: String(this.#revision) }, items };
  }

  watch<T extends KubeObject>(type: ResourceType<T>, options: WatchOptions = {}): Observable<WatchEvent<T>> {
    return new Observable((subscriber) => {
      const from = Number(options.resourceVersion ?? 0);
      const tell = ({ resource, event }: Change) => {
        const relevant = resource === type.resource && selects(options, event.object);
        if (relevant && Number(event.object.metadata.resourceVersion) > from) subscriber.next(event as WatchEvent<T>);
      };
      const initial = options.sendInitialEvents ? [...this.#of(type).values()] : [];
      for (const object of initial)
        if (selects(options, object)) subscriber.next({ type: 'ADDED', object: object as T });
      if (options.sendInitialEvents) subscriber.next(this.#initialEventsEnd());
      else for (const change of this.#history) tell(change);
      const subscription = this.#changes.subscribe(tell);
      this.watches++;
      return () => {
        this.watches--;
        subscription.unsubscribe();
      };
    });
  }

  async create<T extends KubeObject>(type: ResourceType<T>, object: T): Promise<T> {
    if (this.#of(type).has(keyOf(object))) throw alreadyExists(type, object.metadata.name ?? '');
    const metadata = {
      uid: `uid-${this.#revision + 1}`,
      creationTimestamp: timestamp(this.#clock.now()),
      generation: 1,
      ...object.metadata,
    };
    return this.#put(type, 'ADDED', { ...object, metadata });
  }

  async update<T extends KubeObject>(type: ResourceType<T>, object: T): Promise<T> {
    await this.get(type, { namespace: object.metadata.namespace, name: object.metadata.name ?? '' });
    return this.#put(type, 'MODIFIED', object);
  }

  async patch<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    patch: Patch,
    options?: PatchOptions,
  ): Promise<T> {
    const old = await this.get(type, key);
    const body = patch.body as Loose & { readonly metadata?: { readonly uid?: string } };
    if (body.metadata?.uid && body.metadata.uid !== old.metadata.uid) throw conflict(type, key.name, 'uid mismatch');
    this.log.push(
      `patch ${type.resource}${options?.subresource ? `/${options.subresource}` : ''} ${JSON.stringify(body)}`,
    );
    return this.#put(type, 'MODIFIED', merge(old as unknown as Loose, body) as unknown as T);
  }

  async delete<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    options: DeleteOptions = {},
  ): Promise<unknown> {
    const old = await this.get(type, key);
    const uid = options.preconditions?.uid;
    if (uid && uid !== old.metadata.uid) throw conflict(type, key.name, 'uid mismatch');
    this.log.push(`delete ${type.resource} grace=${options.gracePeriodSeconds ?? 'default'}`);
    const spec = (old as unknown as Loose).spec as { terminationGracePeriodSeconds?: number } | undefined;
    const grace = options.gracePeriodSeconds ?? spec?.terminationGracePeriodSeconds ?? 30;
    if (type.resource === 'pods' && grace > 0) {
      const deletionTimestamp = timestamp(this.#clock.now() + grace * 1_000);
      const metadata = { ...old.metadata, deletionTimestamp, deletionGracePeriodSeconds: grace };
      return this.#put(type, 'MODIFIED', { ...old, metadata });
    }
    this.#of(type).delete(joinKey(key));
    const metadata = { ...old.metadata, resourceVersion: String(++this.#revision) };
    this.#tell(type, { type: 'DELETED', object: { ...old, metadata } });
    return old;
  }

  async deleteCollection(): Promise<unknown> {
    throw new Error('a kubelet deletes no collections');
  }

  async subresource<B, R>(
    type: ResourceType,
    key: ObjectKey,
    subresource: string,
    _verb: 'get' | 'create' | 'update',
    body?: B,
    _options?: WriteOptions,
  ): Promise<R> {
    this.log.push(`${subresource} ${type.resource}/${key.name} ${JSON.stringify(body)}`);
    const spec = (body as { spec?: { expirationSeconds?: number } } | undefined)?.spec;
    const expirationTimestamp = timestamp(this.#clock.now() + (spec?.expirationSeconds ?? 3600) * 1_000);
    return { status: { token: `token-${this.log.length}`, expirationTimestamp } } as R;
  }

  async raw(): Promise<string> {
    return 'ok';
  }

  #of(type: ResourceType): Map<string, KubeObject> {
    const known = this.#objects.get(type.resource) ?? new Map<string, KubeObject>();
    this.#objects.set(type.resource, known);
    return known;
  }

  #put<T extends KubeObject>(type: ResourceType<T>, event: 'ADDED' | 'MODIFIED', object: T): T {
    const metadata = { ...object.metadata, resourceVersion: String(++this.#revision) };
    const stored = { ...object, metadata };
    this.#of(type).set(keyOf(stored), stored);
    this.#tell(type, { type: event, object: stored });
    return stored;
  }

  #tell(type: ResourceType, event: WatchEvent): void {
    const change = { resource: type.resource, event };
    this.#history.push(change);
    this.#changes.next(change);
  }

  #initialEventsEnd(): WatchEvent<never> {
    const annotations = { 'k8s.io/initial-events-end': 'true' };
    return { type: 'BOOKMARK', object: { metadata: { resourceVersion: String(this.#revision), annotations } } };
  }
}

function selects(options: ListOptions, object: KubeObject): boolean {
  if (options.namespace !== undefined && options.namespace !== object.metadata.namespace) return false;
  return (options.fieldSelector ?? '')
    .split(',')
    .filter((term) => term !== '')
    .every((term) => {
      const [path = '', value] = term.split('=');
      const found = path.split('.').reduce<unknown>((at, key) => (at as Loose | undefined)?.[key], object);
      return found === value;
    });
}

const MERGE_KEYS: Readonly<Record<string, string>> = {
  conditions: 'type',
  podIPs: 'ip',
  hostIPs: 'ip',
  addresses: 'type',
};

function merge(old: Loose, patch: Loose): Loose {
  const result: Record<string, unknown> = { ...old };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else if (Array.isArray(value) && MERGE_KEYS[key]) {
      result[key] = mergeList((old[key] as Loose[] | undefined) ?? [], value as Loose[], MERGE_KEYS[key]);
    } else if (typeof value === 'object' && !Array.isArray(value)) {
      result[key] = merge((old[key] as Loose | undefined) ?? {}, value as Loose);
    } else result[key] = value;
  }
  return result;
}

function mergeList(old: readonly Loose[], patch: readonly Loose[], by: string): readonly Loose[] {
  const result = new Map(old.map((item) => [item[by], item]));
  for (const item of patch) {
    if (item.$patch === 'delete') result.delete(item[by]);
    else result.set(item[by], merge(result.get(item[by]) ?? {}, item));
  }
  return [...result.values()];
}
