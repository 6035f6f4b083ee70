import type { Change, Informers, Registration } from '@trimtab/client';
import { refersTo } from '@trimtab/framework';
import { CustomResourceDefinitions, type KubeObject, type OwnerReference, type ResourceType } from '@trimtab/machinery';
import { collectableTypes, typeId } from './collectable.js';

/** Kinds that own nothing, are owned by nothing, and come in numbers. */
const IGNORED = new Set(['events.', 'events.events.k8s.io']);

export interface KindsHandler {
  changed(type: ResourceType, change: Change<KubeObject>): void;
  /** Every kind there is has been listed; again after every kind that was added. */
  complete(): void;
}

/** Follows the objects of every kind that can be collected, as custom kinds come and go. */
export class FollowedKinds {
  readonly #informers: Informers;
  readonly #handler: KindsHandler;
  readonly #kinds = new Map<string, { readonly type: ResourceType; readonly registration: Registration }>();
  #definitions: Registration | undefined;
  #complete = false;

  constructor(informers: Informers, handler: KindsHandler) {
    this.#informers = informers;
    this.#handler = handler;
  }

  async start(): Promise<void> {
    const definitions = this.#informers.get(CustomResourceDefinitions);
    await definitions.whenSynced();
    this.#definitions = definitions.addHandler(() => this.#follow());
    this.#follow();
  }

  stop(): void {
    this.#definitions?.remove();
    for (const { registration } of this.#kinds.values()) registration.remove();
    this.#kinds.clear();
  }

  /** The kind a reference names, whatever version it was written in; undefined when it is not followed. */
  named(reference: OwnerReference): ResourceType | undefined {
    for (const { type } of this.#kinds.values()) if (refersTo(reference, type)) return type;
    return undefined;
  }

  /** True once everything that is followed has its first list. */
  get isComplete(): boolean {
    return this.#complete;
  }

  get #unsynced(): ResourceType | undefined {
    for (const { type } of this.#kinds.values()) if (!this.#informers.get(type).hasSynced()) return type;
    return undefined;
  }

  #follow(): void {
    const types = collectableTypes(this.#informers.get(CustomResourceDefinitions).list());
    const wanted = new Set(types.map(typeId));
    for (const [id, { registration }] of this.#kinds)
      if (!wanted.has(id)) {
        registration.remove();
        this.#kinds.delete(id);
      }
    for (const type of types) {
      const id = typeId(type);
      if (IGNORED.has(id) || this.#kinds.has(id)) continue;
      this.#complete = false;
      const registration = this.#informers.get(type).addHandler((change) => this.#handler.changed(type, change));
      this.#kinds.set(id, { type, registration });
    }
    this.#awaitLists();
  }

  #awaitLists(): void {
    const waiting = this.#unsynced;
    if (waiting !== undefined) {
      const informer = this.#informers.get(waiting);
      void informer.whenSynced().then(() => this.#awaitLists());
      return;
    }
    this.#complete = true;
    this.#handler.complete();
  }
}
