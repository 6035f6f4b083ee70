import type { KubeObject, ObjectKey, OwnerReference, ResourceType } from '@trimtab/machinery';

/** What the collector knows of one object. */
export interface GraphNode {
  readonly uid: string;
  readonly type: ResourceType;
  readonly key: ObjectKey;
  readonly owners: readonly OwnerReference[];
  readonly finalizers: readonly string[];
  readonly deleting: boolean;
}

/** Which objects own which, by uid: the owners' side is indexed, also for owners not (or no longer) known. */
export class OwnerGraph {
  readonly #nodes = new Map<string, GraphNode>();
  readonly #dependents = new Map<string, Set<string>>();

  get size(): number {
    return this.#nodes.size;
  }

  get(uid: string): GraphNode | undefined {
    return this.#nodes.get(uid);
  }

  dependents(uid: string): readonly GraphNode[] {
    return [...(this.#dependents.get(uid) ?? [])].flatMap((dependent) => this.#nodes.get(dependent) ?? []);
  }

  /** Dependents that hold back a foreground deletion of their owner. */
  blocking(uid: string): readonly GraphNode[] {
    return this.dependents(uid).filter(({ owners }) => owners.some((o) => o.uid === uid && o.blockOwnerDeletion));
  }

  put(node: GraphNode): void {
    const before = this.#nodes.get(node.uid);
    this.#nodes.set(node.uid, node);
    for (const { uid } of before?.owners ?? [])
      if (!node.owners.some((o) => o.uid === uid)) this.#unlink(uid, node.uid);
    for (const { uid } of node.owners) {
      const dependents = this.#dependents.get(uid) ?? new Set();
      this.#dependents.set(uid, dependents.add(node.uid));
    }
  }

  remove(uid: string): void {
    for (const owner of this.#nodes.get(uid)?.owners ?? []) this.#unlink(owner.uid, uid);
    this.#nodes.delete(uid);
  }

  #unlink(owner: string, dependent: string): void {
    const dependents = this.#dependents.get(owner);
    dependents?.delete(dependent);
    if (dependents?.size === 0) this.#dependents.delete(owner);
  }
}

const NONE: readonly never[] = [];

/** Whether a newer version of an object says of itself what is known of it: most writes are to what the graph has not. */
export function isAsKnown(node: GraphNode, { metadata }: KubeObject): boolean {
  return (
    node.owners === (metadata.ownerReferences ?? NONE) &&
    node.finalizers === (metadata.finalizers ?? NONE) &&
    node.deleting === (metadata.deletionTimestamp !== undefined)
  );
}

export function graphNode(type: ResourceType, { metadata }: KubeObject): GraphNode {
  return {
    uid: metadata.uid!,
    type,
    key: { namespace: metadata.namespace, name: metadata.name! },
    owners: metadata.ownerReferences ?? NONE,
    finalizers: metadata.finalizers ?? NONE,
    deleting: metadata.deletionTimestamp !== undefined,
  };
}
