import type { Node, Pod, Selector } from '@trimtab/machinery';
import { isTerminal } from '../workloads/pods.js';
import type { NamespaceLabels } from './affinity-term.js';
import { NodeInfo } from './node-info.js';
import { type PodInfo, podInfo } from './pod-info.js';
import type { StorageView } from './volumes.js';

/** What rules ask about that is neither a node nor a pod. */
export interface Surroundings {
  readonly namespaceLabels: NamespaceLabels;
  /** What the Services and sets of a pod select, together; undefined where nothing selects it. */
  readonly defaultSelector: (pod: Pod) => Selector | undefined;
  readonly storage?: StorageView;
}

/** Pods that are alike to every rule that looks at other pods, and how many of them each node has. */
export interface Kin {
  readonly sample: PodInfo;
  readonly leaving: boolean;
  readonly nodes: Map<NodeInfo, number>;
}

/**
 * The nodes as the next decision sees them: with the pods that are there, and those that are promised to them. Kept up to
 * date piece by piece; rules that look at other pods find them grouped by kin, so that their cost grows with the number
 * of templates and nodes and not with the number of pods.
 */
export class Picture {
  readonly surroundings: Surroundings;
  readonly #byName = new Map<string, NodeInfo>();
  readonly #kin = new Map<string, Map<string, Kin>>();
  readonly #related = new Set<Kin>();
  readonly #placed = new Map<string, { readonly pod: PodInfo; readonly node: string }>();
  /** Pods bound to a node that is not known (yet). */
  readonly #strays = new Map<string, Map<string, PodInfo>>();
  readonly #nominated = new Map<string, Map<string, PodInfo>>();
  readonly #nominations = new Map<string, string>();
  readonly #imageNodes = new Map<string, number>();
  #nodes: NodeInfo[] = [];
  #version = 0;
  #improvements = 0;

  constructor(surroundings: Surroundings) {
    this.surroundings = surroundings;
  }

  /** Grows with every change, so equal versions are equal pictures. */
  get version(): number {
    return this.#version;
  }

  /** Grows with every change that may have made a node better for some pod; placing pods is none. */
  get improvements(): number {
    return this.#improvements;
  }

  /** What the rules ask about beside nodes and pods is no longer what it was. */
  surroundingsChanged(): void {
    this.#better();
  }

  get nodes(): readonly NodeInfo[] {
    return this.#nodes;
  }

  node(name: string): NodeInfo | undefined {
    return this.#byName.get(name);
  }

  /** How many nodes have the image. */
  imageNodes(image: string): number {
    return this.#imageNodes.get(image) ?? 0;
  }

  setNode(node: Node): void {
    this.#better();
    const name = node.metadata.name!;
    const known = this.#byName.get(name);
    if (known) {
      this.#countImages(known, -1);
      known.become(node);
      this.#countImages(known, 1);
      return;
    }
    const info = new NodeInfo(node);
    this.#byName.set(name, info);
    this.#nodes.push(info);
    this.#countImages(info, 1);
    const strays = this.#strays.get(name);
    this.#strays.delete(name);
    for (const pod of strays?.values() ?? []) this.#enter(pod, info);
  }

  removeNode(name: string): void {
    const info = this.#byName.get(name);
    if (!info) return;
    this.#better();
    this.#byName.delete(name);
    this.#nodes = this.#nodes.filter((each) => each !== info);
    this.#countImages(info, -1);
    const strays = new Map<string, PodInfo>();
    for (const pod of [...info.pods()]) {
      this.#leave(pod, info);
      strays.set(pod.uid, pod);
    }
    if (strays.size > 0) this.#strays.set(name, strays);
  }

  /** Counts a pod on a node, wherever it was counted before; finished pods take no room. */
  place(pod: Pod, node: string): PodInfo {
    const info = podInfo(pod);
    this.displace(info.uid);
    if (isTerminal(pod)) return info;
    this.#version++;
    this.#placed.set(info.uid, { pod: info, node });
    const there = this.#byName.get(node);
    if (there) this.#enter(info, there);
    else {
      const strays = this.#strays.get(node) ?? new Map<string, PodInfo>();
      this.#strays.set(node, strays.set(info.uid, info));
    }
    return info;
  }

  /** Takes a pod off its node; false when it was on none. */
  displace(uid: string): boolean {
    const placed = this.#placed.get(uid);
    if (!placed) return false;
    this.#better();
    this.#placed.delete(uid);
    const there = this.#byName.get(placed.node);
    if (there) this.#leave(placed.pod, there);
    else this.#strays.get(placed.node)?.delete(uid);
    return true;
  }

  placement(uid: string): { readonly pod: PodInfo; readonly node: string } | undefined {
    return this.#placed.get(uid);
  }

  /** Sets room aside on a node for a pod that waits for others to leave it. */
  nominate(pod: PodInfo, node: string): void {
    this.withdraw(pod.uid);
    this.#better();
    this.#nominations.set(pod.uid, node);
    const there = this.#nominated.get(node) ?? new Map<string, PodInfo>();
    this.#nominated.set(node, there.set(pod.uid, pod));
  }

  withdraw(uid: string): void {
    const node = this.#nominations.get(uid);
    if (node === undefined) return;
    this.#better();
    this.#nominations.delete(uid);
    const there = this.#nominated.get(node)!;
    there.delete(uid);
    if (there.size === 0) this.#nominated.delete(node);
  }

  nominationOf(uid: string): string | undefined {
    return this.#nominations.get(uid);
  }

  nominatedTo(node: string): Iterable<PodInfo> {
    return this.#nominated.get(node)?.values() ?? [];
  }

  /** The kin of a namespace. */
  kinIn(namespace: string): Iterable<Kin> {
    return this.#kin.get(namespace)?.values() ?? [];
  }

  *allKin(): Iterable<Kin> {
    for (const kin of this.#kin.values()) yield* kin.values();
  }

  /** The kin that have inter-pod terms of their own. */
  relatedKin(): Iterable<Kin> {
    return this.#related;
  }

  /** Calls `fn` with pods taken off (`remove`) and put on (`add`) a node, and takes that back afterwards. */
  trying<T>(node: NodeInfo, { add = [], remove = [] }: Trial, fn: () => T): T {
    for (const pod of remove) this.#leave(pod, node);
    for (const pod of add) this.#enter(pod, node);
    try {
      return fn();
    } finally {
      for (const pod of add) this.#leave(pod, node);
      for (const pod of remove) this.#enter(pod, node);
    }
  }

  #better(): void {
    this.#version++;
    this.#improvements++;
  }

  #enter(pod: PodInfo, node: NodeInfo): void {
    node.add(pod);
    const namespace = pod.pod.metadata.namespace ?? '';
    const here = this.#kin.get(namespace) ?? new Map<string, Kin>();
    this.#kin.set(namespace, here);
    let kin = here.get(pod.kin);
    if (!kin) {
      kin = { sample: pod, leaving: pod.pod.metadata.deletionTimestamp !== undefined, nodes: new Map() };
      here.set(pod.kin, kin);
      if (Object.values(pod.terms).some((terms) => terms.length > 0)) this.#related.add(kin);
    }
    kin.nodes.set(node, (kin.nodes.get(node) ?? 0) + 1);
  }

  #leave(pod: PodInfo, node: NodeInfo): void {
    node.remove(pod);
    const namespace = pod.pod.metadata.namespace ?? '';
    const here = this.#kin.get(namespace);
    const kin = here?.get(pod.kin);
    if (!here || !kin) return;
    const left = (kin.nodes.get(node) ?? 0) - 1;
    if (left > 0) kin.nodes.set(node, left);
    else kin.nodes.delete(node);
    if (kin.nodes.size > 0) return;
    here.delete(pod.kin);
    this.#related.delete(kin);
    if (here.size === 0) this.#kin.delete(namespace);
  }

  #countImages(node: NodeInfo, factor: 1 | -1): void {
    for (const name of node.imageNames()) {
      const nodes = (this.#imageNodes.get(name) ?? 0) + factor;
      if (nodes > 0) this.#imageNodes.set(name, nodes);
      else this.#imageNodes.delete(name);
    }
  }
}

interface Trial {
  readonly add?: readonly PodInfo[];
  readonly remove?: readonly PodInfo[];
}
