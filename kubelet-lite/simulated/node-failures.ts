import { type Client, type Informer, interpose } from '@trimtab/client';
import { type Clock, type Node, serviceUnavailable } from '@trimtab/machinery';
import { HEARTBEATS, type NodeFailureRule, namesMatch } from './lifecycle.js';

/** Knows which nodes' kubelets are cut off from the API server: by rules, or by an annotation of the Node. */
export class NodeFailures {
  readonly #rules: readonly NodeFailureRule[];
  readonly #clock: Clock;
  readonly #nodes: Informer<Node>;
  readonly #timers: (() => void)[] = [];
  readonly #failed = new Map<string, number>();

  constructor(options: {
    readonly rules: readonly NodeFailureRule[];
    readonly clock: Clock;
    readonly nodes: Informer<Node>;
  }) {
    this.#rules = options.rules;
    this.#clock = options.clock;
    this.#nodes = options.nodes;
  }

  isSilent(name: string): boolean {
    return (
      (this.#failed.get(name) ?? 0) > 0 || this.#nodes.get({ name })?.metadata.annotations?.[HEARTBEATS] === 'false'
    );
  }

  /** The client of a node's kubelet: every request fails while the node is cut off. Its rules count from now. */
  clientOf(name: string, client: Client): Client {
    for (const { names, failAfter, failFor } of this.#rules) {
      if (!namesMatch(names, name)) continue;
      this.#after(failAfter, () => {
        this.#count(name, 1);
        if (failFor !== undefined) this.#after(failFor, () => this.#count(name, -1));
      });
    }
    return interpose(client, async (call, next) => {
      if (this.isSilent(name))
        throw serviceUnavailable(`node "${name}" is simulated to be cut off from the API server`);
      return next(call);
    });
  }

  stop(): void {
    for (const cancel of this.#timers) cancel();
  }

  #after(ms: number, fn: () => void): void {
    this.#timers.push(this.#clock.after(ms, fn));
  }

  #count(name: string, change: 1 | -1): void {
    this.#failed.set(name, (this.#failed.get(name) ?? 0) + change);
  }
}
