import { equalJson, type KubeObject } from '@trimtab/machinery';
import type { FullAttributes } from './view.js';

interface Memory {
  output: KubeObject | undefined;
  /** Those that want to see the object again when others have changed it after them. */
  readonly invoked: Set<string>;
  readonly again: Set<string>;
}

/**
 * The two rounds of one plugin's mutations (apiserver: reinvocationContext of webhooks and policies): who asks for it with
 * `reinvocationPolicy: IfNeeded` is asked again when the object has changed since.
 */
export class Rounds {
  readonly #memory: Memory;

  constructor(
    readonly plugin: string,
    readonly attributes: FullAttributes,
  ) {
    const { reinvocation } = attributes.request;
    this.#memory = (reinvocation.memory.get(plugin) as Memory | undefined) ?? {
      output: undefined,
      invoked: new Set(),
      again: new Set(),
    };
    reinvocation.memory.set(plugin, this.#memory);
    if (reinvocation.again && !equalJson(this.#memory.output, attributes.object)) this.#requireAgain();
  }

  /** 0, then 1. */
  get number(): number {
    return this.attributes.request.reinvocation.again ? 1 : 0;
  }

  /** Whether it is this one's turn: all in the first round, in the second those that are to be asked again. */
  includes(id: string): boolean {
    return !this.attributes.request.reinvocation.again || this.#memory.again.has(id);
  }

  /** Somebody has changed the object. */
  changed(): void {
    this.#requireAgain();
    this.attributes.request.reinvocation.wanted = true;
  }

  /** It was this one's turn. */
  asked(id: string, policy: string | undefined): void {
    if (policy === 'IfNeeded') this.#memory.invoked.add(id);
  }

  /** What came of this round. */
  over(output: KubeObject | undefined): KubeObject | undefined {
    this.#memory.output = output;
    return output;
  }

  #requireAgain(): void {
    for (const id of this.#memory.invoked) this.#memory.again.add(id);
    this.#memory.invoked.clear();
  }
}
