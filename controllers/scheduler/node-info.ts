import { type Node, parseAmounts, quantityNumber } from '@trimtab/machinery';
import { type Amounts, addAmounts, amountsOf, NOTHING } from './amounts.js';
import type { HostPort, PodInfo } from './pod-info.js';

/**
 * A node with what is promised to the pods on it. Pods come and go by {@link add} and {@link remove}, which are each
 * other's inverse, so that a decision may try something and take it back.
 */
export class NodeInfo {
  readonly name: string;
  readonly #pods = new Map<string, PodInfo>();
  readonly #hostPorts = new Map<string, number>();
  #node!: Node;
  #allocatable: Amounts = NOTHING;
  #allowedPods = 0;
  #images: ReadonlyMap<string, number> = new Map();
  #requested: Amounts = NOTHING;
  #nonZeroCpu = 0;
  #nonZeroMemory = 0;
  #generation = 0;

  constructor(node: Node) {
    this.name = node.metadata.name!;
    this.become(node);
  }

  /** Takes over a newer version of the node. */
  become(node: Node): void {
    this.#generation++;
    const resources = parseAmounts(node.status?.allocatable);
    const pods = resources.get('pods');
    this.#node = node;
    this.#allocatable = amountsOf(resources);
    this.#allowedPods = pods ? quantityNumber(pods) : 0;
    this.#images = new Map(
      (node.status?.images ?? []).flatMap(({ names = [], sizeBytes = 0 }) => names.map((name) => [name, sizeBytes])),
    );
  }

  get node(): Node {
    return this.#node;
  }

  get labels(): Readonly<Record<string, string>> {
    return this.#node.metadata.labels ?? {};
  }

  get allocatable(): Amounts {
    return this.#allocatable;
  }

  get allowedPods(): number {
    return this.#allowedPods;
  }

  get requested(): Amounts {
    return this.#requested;
  }

  /** As {@link requested}, with a little for containers that ask for nothing. */
  get nonZeroCpu(): number {
    return this.#nonZeroCpu;
  }

  get nonZeroMemory(): number {
    return this.#nonZeroMemory;
  }

  /** Grows with every change of the node and of what is promised to it. */
  get generation(): number {
    return this.#generation;
  }

  get podCount(): number {
    return this.#pods.size;
  }

  pods(): Iterable<PodInfo> {
    return this.#pods.values();
  }

  has(uid: string): boolean {
    return this.#pods.has(uid);
  }

  /** Bytes of an image that is there; undefined where it is not. */
  imageSize(name: string): number | undefined {
    return this.#images.get(name);
  }

  imageNames(): Iterable<string> {
    return this.#images.keys();
  }

  add(pod: PodInfo): void {
    this.#pods.set(pod.uid, pod);
    this.#account(pod, 1);
  }

  remove(pod: PodInfo): void {
    if (this.#pods.delete(pod.uid)) this.#account(pod, -1);
  }

  /** Whether a wanted port collides with one in use: an unset address means all of them. */
  portTaken(wanted: HostPort): boolean {
    if (this.#hostPorts.size === 0) return false;
    if (ANY_ADDRESS.includes(wanted.hostIP))
      return [...this.#hostPorts.keys()].some(
        (key) => key.startsWith(`${wanted.protocol}/`) && key.endsWith(`/${wanted.port}`),
      );
    return [wanted.hostIP, ...ANY_ADDRESS].some((hostIP) => this.#hostPorts.has(portKey({ ...wanted, hostIP })));
  }

  #account(pod: PodInfo, factor: 1 | -1): void {
    this.#generation++;
    this.#requested = addAmounts(this.#requested, pod.requests, factor);
    this.#nonZeroCpu += factor * pod.nonZero.cpu;
    this.#nonZeroMemory += factor * pod.nonZero.memory;
    for (const port of pod.hostPorts) {
      const key = portKey(port);
      const users = (this.#hostPorts.get(key) ?? 0) + factor;
      if (users > 0) this.#hostPorts.set(key, users);
      else this.#hostPorts.delete(key);
    }
  }
}

const ANY_ADDRESS: readonly string[] = ['', '0.0.0.0', '::'];

const portKey = ({ protocol, hostIP, port }: HostPort): string => `${protocol}/${hostIP}/${port}`;
