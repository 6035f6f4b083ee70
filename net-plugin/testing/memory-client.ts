import type { Client, WatchEvent } from '@trimtab/client';
import { type KubeObject, keyOf, type ResourceType } from '@trimtab/machinery';
import { Observable, Subject } from 'rxjs';

/** A client over objects in memory that lists and watches; the test puts and removes objects. */
export class MemoryClient {
  readonly #objects = new Map<string, Map<string, KubeObject>>();
  readonly #events = new Subject<{ readonly resource: string; readonly event: WatchEvent }>();
  #revision = 1;

  readonly asClient: Client = {
    list: async <T extends KubeObject>(type: ResourceType<T>) => ({
      metadata: { resourceVersion: String(this.#revision) },
      items: [...this.#of(type.resource).values()] as unknown as readonly T[],
    }),
    watch: <T extends KubeObject>(type: ResourceType<T>) =>
      new Observable<WatchEvent<T>>((subscriber) =>
        this.#events.subscribe(({ resource, event }) => {
          if (resource === type.resource) subscriber.next(event as WatchEvent<T>);
        }),
      ),
    get: refuse,
    create: refuse,
    update: refuse,
    patch: refuse,
    delete: refuse,
    deleteCollection: refuse,
    subresource: refuse,
    raw: refuse,
  };

  put(type: ResourceType, object: KubeObject): void {
    const known = this.#of(type.resource).get(keyOf(object));
    const resourceVersion = String(++this.#revision);
    const uid = known?.metadata.uid ?? `uid-${resourceVersion}`;
    const stored = { ...object, metadata: { ...object.metadata, uid, resourceVersion } };
    this.#of(type.resource).set(keyOf(object), stored);
    this.#events.next({ resource: type.resource, event: { type: known ? 'MODIFIED' : 'ADDED', object: stored } });
  }

  remove(type: ResourceType, key: string): void {
    const known = this.#of(type.resource).get(key);
    if (!known) throw new Error(`no ${type.resource} ${key}`);
    this.#of(type.resource).delete(key);
    const object = { ...known, metadata: { ...known.metadata, resourceVersion: String(++this.#revision) } };
    this.#events.next({ resource: type.resource, event: { type: 'DELETED', object } });
  }

  #of(resource: string): Map<string, KubeObject> {
    const known = this.#objects.get(resource);
    if (known) return known;
    const fresh = new Map<string, KubeObject>();
    this.#objects.set(resource, fresh);
    return fresh;
  }
}

function refuse(): Promise<never> {
  return Promise.reject(new Error('the memory client only lists and watches'));
}
