import type { PodSpec } from '@trimtab/machinery';
import { podRequest } from './qos.js';

/** What the pods beside one have of the node. */
export interface Beside {
  readonly count: number;
  /** The sum of what they ask of a resource, in the units of `podRequest`. */
  requested(resource: string): number;
  specs(): readonly PodSpec[];
}

/**
 * What pods have been given of a node, summed as they come, are resized and go: a pod that comes is weighed against many as
 * quickly as against few.
 */
export class Held {
  /** As they are allocated, by uid. */
  readonly #specs = new Map<string, PodSpec>();
  /** Of the resources that have been asked for. */
  readonly #sums = new Map<string, number>();

  set(uid: string, spec: PodSpec): void {
    if (this.#specs.get(uid) === spec) return;
    this.delete(uid);
    this.#specs.set(uid, spec);
    for (const [resource, sum] of this.#sums) this.#sums.set(resource, sum + podRequest(spec, resource));
  }

  delete(uid: string): void {
    const spec = this.#specs.get(uid);
    if (spec === undefined) return;
    this.#specs.delete(uid);
    for (const [resource, sum] of this.#sums) this.#sums.set(resource, sum - podRequest(spec, resource));
  }

  /** All but the one of this uid. Read it before the next change. */
  beside(uid: string): Beside {
    const own = this.#specs.get(uid);
    return {
      count: this.#specs.size - (own ? 1 : 0),
      requested: (resource) => this.#sum(resource) - (own ? podRequest(own, resource) : 0),
      specs: () => [...this.#specs].flatMap(([other, spec]) => (other === uid ? [] : [spec])),
    };
  }

  #sum(resource: string): number {
    let sum = this.#sums.get(resource);
    if (sum === undefined) {
      sum = 0;
      for (const spec of this.#specs.values()) sum += podRequest(spec, resource);
      this.#sums.set(resource, sum);
    }
    return sum;
  }
}
