import type { Client, Informers } from '@trimtab/client';
import { isReason, type KubeObject, type ObjectKey, type OwnerReference, type ResourceType } from '@trimtab/machinery';
import type { FollowedKinds } from '../followed-kinds.js';
import { AbsentOwners } from './absent-owners.js';
import { type Dependent, type Observation, type OwnerState, ownerState } from './facts.js';
import { type GraphNode, graphNode, type OwnerGraph } from './graph.js';

export interface ObserverParts {
  readonly client: Client;
  readonly informers: Informers;
  readonly graph: OwnerGraph;
  readonly kinds: FollowedKinds;
}

/**
 * Reads what a judgement needs: the object itself always from the server, an owner unless the graph has it (one that is
 * known may be gone already, and then news of that will come; one that is not known may only be news not yet come).
 */
export class Observer {
  readonly #parts: ObserverParts;
  readonly #absent = new AbsentOwners();

  constructor(parts: ObserverParts) {
    this.#parts = parts;
  }

  async observe({ uid, type, key }: GraphNode): Promise<Observation> {
    const found = await this.#read(type, key);
    const object = found?.metadata.uid === uid ? found : undefined;
    const owners = new Map<string, OwnerState>();
    if (object?.metadata.deletionTimestamp === undefined)
      for (const reference of object?.metadata.ownerReferences ?? [])
        owners.set(reference.uid, await this.#stateOf(reference, key.namespace));
    return { type, object, owners, dependents: this.#dependents(uid) };
  }

  #dependents(uid: string): readonly Dependent[] {
    const { graph, informers } = this.#parts;
    return graph.dependents(uid).flatMap(({ type, key, uid: dependent }) => {
      const object = informers.get(type).get(key);
      return object?.metadata.uid === dependent ? [{ type, object }] : [];
    });
  }

  async #stateOf(reference: OwnerReference, namespace: string | undefined): Promise<OwnerState> {
    const { graph, kinds } = this.#parts;
    const known = graph.get(reference.uid);
    if (known !== undefined) return ownerState(known, namespace);
    if (this.#absent.has(reference, namespace)) return 'absent';
    const type = kinds.named(reference);
    // What cannot be looked up (yet) keeps its dependents.
    if (type === undefined || (type.namespaced && namespace === undefined)) return 'solid';
    const owner = await this.#read(type, { name: reference.name, ...(type.namespaced ? { namespace } : {}) });
    if (owner?.metadata.uid === reference.uid) return ownerState(graphNode(type, owner), namespace);
    this.#absent.add(reference, namespace);
    return 'absent';
  }

  async #read(type: ResourceType, key: ObjectKey): Promise<KubeObject | undefined> {
    try {
      return await this.#parts.client.get(type, key);
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
      return undefined;
    }
  }
}
