import type { Change, Client, Informers, Registration } from '@trimtab/client';
import { WorkQueue } from '@trimtab/framework';
import {
  apiVersionOf,
  type Clock,
  CustomResourceDefinitions,
  isReason,
  type KubeObject,
  type Logger,
  type OwnerReference,
  type ResourceType,
} from '@trimtab/machinery';
import { collectableTypes, typeId } from '../collectable.js';
import { FOREGROUND, judge, ORPHAN, type OwnerState } from './decide.js';
import { type GraphNode, graphNode, OwnerGraph } from './graph.js';

export interface GarbageCollectorOptions {
  readonly client: Client;
  readonly informers: Informers;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Kinds that own nothing, are owned by nothing, and come in numbers. */
const IGNORED = new Set(['events.', 'events.events.k8s.io']);

/**
 * Deletes objects whose owners are gone, carries out foreground and orphan deletion. It follows every kind there is; what
 * it is about to delete, and the owners it finds missing, it reads from the server first, so a late cache deletes nothing.
 */
export class GarbageCollector {
  readonly #options: GarbageCollectorOptions;
  readonly #graph = new OwnerGraph();
  readonly #queue: WorkQueue;
  readonly #followed = new Map<string, { readonly type: ResourceType; readonly registration: Registration }>();
  #definitions: Registration | undefined;

  constructor(options: GarbageCollectorOptions) {
    this.#options = options;
    this.#queue = new WorkQueue(options.clock, () => this.#work());
  }

  /** Judges nothing before every kind has been listed once. */
  async start(): Promise<void> {
    const { informers } = this.#options;
    await informers.get(CustomResourceDefinitions).whenSynced();
    this.#definitions = informers.get(CustomResourceDefinitions).addHandler(() => this.#follow());
    this.#follow();
  }

  async stop(): Promise<void> {
    this.#definitions?.remove();
    for (const { registration } of this.#followed.values()) registration.remove();
    this.#queue.close();
  }

  #follow(): void {
    const { informers } = this.#options;
    const types = collectableTypes(informers.get(CustomResourceDefinitions).list());
    const wanted = new Set(types.map(typeId));
    for (const [id, { registration }] of this.#followed)
      if (!wanted.has(id)) {
        registration.remove();
        this.#followed.delete(id);
      }
    for (const type of types) {
      const id = typeId(type);
      if (IGNORED.has(id) || this.#followed.has(id)) continue;
      const registration = informers.get(type).addHandler((change) => this.#onChange(type, change));
      this.#followed.set(id, { type, registration });
    }
    this.#work();
  }

  #onChange(type: ResourceType, change: Change<KubeObject>): void {
    const node = graphNode(type, change.object);
    if (change.type === 'deleted') {
      const dependents = this.#graph.dependents(node.uid);
      this.#graph.remove(node.uid);
      for (const dependent of dependents) this.#queue.add(dependent.uid);
      // An owner in foreground deletion may have waited for this one.
      for (const { uid } of node.owners) if (this.#graph.get(uid)?.deleting) this.#queue.add(uid);
      return;
    }
    this.#graph.put(node);
    if (node.deleting && (node.finalizers.includes(ORPHAN) || node.finalizers.includes(FOREGROUND)))
      this.#queue.add(node.uid);
    const suspicious = node.owners.some(({ uid }) => {
      const owner = this.#graph.get(uid);
      return owner === undefined || owner.deleting;
    });
    if (suspicious) this.#queue.add(node.uid);
  }

  #work(): void {
    const { informers } = this.#options;
    for (const { type } of this.#followed.values()) {
      const informer = informers.get(type);
      if (!informer.hasSynced()) return void informer.whenSynced().then(() => this.#work());
    }
    if (this.#followed.size === 0) return;
    for (let uid = this.#queue.take(); uid !== undefined; uid = this.#queue.take()) void this.#process(uid);
  }

  async #process(uid: string): Promise<void> {
    try {
      const node = this.#graph.get(uid);
      if (node !== undefined) await this.#collect(node);
      this.#queue.forget(uid);
    } catch (error) {
      // Conflict: somebody changed it meanwhile, and that change will bring it here again; but it may not be a cause to.
      if (!isReason(error, 'Conflict'))
        this.#options.logger.warn({ object: name(this.#graph.get(uid)), error: String(error) }, 'garbage collection');
      this.#queue.addRateLimited(uid);
    } finally {
      this.#queue.done(uid);
    }
  }

  async #collect(node: GraphNode): Promise<void> {
    if (node.deleting && node.finalizers.includes(ORPHAN)) return this.#orphan(node);
    if (node.deleting && node.finalizers.includes(FOREGROUND)) return this.#foreground(node);
    if (node.deleting || node.owners.length === 0) return;
    const object = await this.#read(node.type, node.key);
    // Under the same name there may be another object by now; the one known is gone.
    if (object?.metadata.uid !== node.uid) return;
    const owners = new Map<string, OwnerState>();
    for (const reference of object.metadata.ownerReferences ?? [])
      owners.set(reference.uid, await this.#stateOf(reference, object.metadata.namespace));
    const verdict = judge(object, owners, this.#graph.blocking(node.uid).length > 0);
    if (verdict.action === 'release') await this.#release(node, object, verdict.uids);
    if (verdict.action !== 'delete') return;
    const { propagationPolicy } = verdict;
    const { uid, resourceVersion } = object.metadata;
    await this.#options.client
      .delete(node.type, node.key, { propagationPolicy, preconditions: { uid, resourceVersion } })
      .catch(ignoring('NotFound'));
  }

  /** An owner in another namespace counts as absent: references do not cross namespaces. */
  async #stateOf(reference: OwnerReference, namespace: string | undefined): Promise<OwnerState> {
    const known = this.#graph.get(reference.uid);
    if (known !== undefined) {
      if (known.key.namespace !== undefined && known.key.namespace !== namespace) return 'absent';
      return known.deleting && known.finalizers.includes(FOREGROUND) ? 'waiting' : 'solid';
    }
    const type = [...this.#followed.values()].find(
      ({ type: t }) => t.kind === reference.kind && groupOf(reference.apiVersion) === t.group,
    )?.type;
    // A kind that cannot be looked up (yet) keeps its dependents.
    if (type === undefined) return 'solid';
    const key = { name: reference.name, ...(type.namespaced ? { namespace } : {}) };
    if (type.namespaced && namespace === undefined) return 'solid';
    const owner = await this.#read(type, key);
    if (owner?.metadata.uid !== reference.uid) return 'absent';
    const waiting = owner.metadata.deletionTimestamp && owner.metadata.finalizers?.includes(FOREGROUND);
    return waiting ? 'waiting' : 'solid';
  }

  async #orphan(node: GraphNode): Promise<void> {
    for (const dependent of this.#graph.dependents(node.uid)) {
      const object = await this.#read(dependent.type, dependent.key);
      if (object?.metadata.uid === dependent.uid) await this.#release(dependent, object, [node.uid]);
    }
    await this.#dropFinalizer(node, ORPHAN);
  }

  async #foreground(node: GraphNode): Promise<void> {
    const blocking = this.#graph.blocking(node.uid);
    for (const dependent of this.#graph.dependents(node.uid)) if (!dependent.deleting) this.#queue.add(dependent.uid);
    if (blocking.length === 0) await this.#dropFinalizer(node, FOREGROUND);
  }

  async #release({ type, key }: GraphNode, object: KubeObject, uids: readonly string[]): Promise<void> {
    const { ownerReferences = [], resourceVersion, uid } = object.metadata;
    const kept = ownerReferences.filter((reference) => !uids.includes(reference.uid));
    if (kept.length === ownerReferences.length) return;
    const body = { metadata: { uid, resourceVersion, ownerReferences: kept.length > 0 ? kept : null } };
    await this.#options.client.patch(type, key, { type: 'merge', body }).catch(ignoring('NotFound'));
  }

  async #dropFinalizer({ type, key, uid }: GraphNode, finalizer: string): Promise<void> {
    const object = await this.#read(type, key);
    if (object?.metadata.uid !== uid || !object.metadata.finalizers?.includes(finalizer)) return;
    const finalizers = object.metadata.finalizers.filter((other) => other !== finalizer);
    const { resourceVersion } = object.metadata;
    const body = { metadata: { uid, resourceVersion, finalizers } };
    await this.#options.client.patch(type, key, { type: 'merge', body }).catch(ignoring('NotFound'));
  }

  #read(type: ResourceType, key: GraphNode['key']): Promise<KubeObject | undefined> {
    return this.#options.client.get(type, key).catch(ignoring('NotFound'));
  }
}

const groupOf = (apiVersion: string): string => apiVersion.split('/').slice(0, -1).join('/');

const name = (node: GraphNode | undefined): string =>
  node === undefined
    ? ''
    : `${apiVersionOf(node.type)} ${node.type.resource} ${node.key.namespace ?? ''}/${node.key.name}`;

const ignoring =
  (...reasons: readonly string[]) =>
  (error: unknown): undefined => {
    if (!isReason(error, ...reasons)) throw error;
    return undefined;
  };
