import type { Clock, KubeObject, Logger } from '@trimtab/machinery';
import { equalJson } from '@trimtab/machinery';
import type { ExternalDefinition } from './controller.js';

interface Polled {
  readonly values: Map<string, unknown>;
  readonly stop: () => void;
}

/**
 * Polls what a controller reads outside the cluster, for each object it is for, for as long as the object is there. The
 * controller is told only of a value that differs from the last; one that cannot be read stays what it was.
 */
export class Externals {
  readonly #definitions: readonly ExternalDefinition[];
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #changed: (key: string) => void;
  readonly #polled = new Map<string, Polled>();

  constructor(
    definitions: readonly ExternalDefinition[],
    around: { readonly clock: Clock; readonly logger: Logger },
    changed: (key: string) => void,
  ) {
    this.#definitions = definitions;
    this.#clock = around.clock;
    this.#logger = around.logger;
    this.#changed = changed;
  }

  of(key: string): ReadonlyMap<string, unknown> | undefined {
    return this.#polled.get(key)?.values;
  }

  /** Polls for this object from now on, or, when it is gone, no more. */
  follow(key: string, current: () => KubeObject | undefined): void {
    if (this.#definitions.length === 0) return;
    const known = this.#polled.get(key);
    if (!current()) {
      known?.stop();
      this.#polled.delete(key);
      return;
    }
    if (known) return;
    const values = new Map<string, unknown>();
    const abort = new AbortController();
    const cancels = new Set<() => void>();
    for (const definition of this.#definitions) {
      const poll = async () => {
        const object = current();
        if (abort.signal.aborted || !object) return;
        await this.#read(definition, key, object, values, abort.signal);
        if (abort.signal.aborted) return;
        const cancel = this.#clock.after(definition.everyMs, () => {
          cancels.delete(cancel);
          void poll();
        });
        cancels.add(cancel);
      };
      void poll();
    }
    const stop = () => {
      abort.abort();
      for (const cancel of cancels) cancel();
    };
    this.#polled.set(key, { values, stop });
  }

  stop(): void {
    for (const { stop } of this.#polled.values()) stop();
    this.#polled.clear();
  }

  async #read(
    { name, read, when }: ExternalDefinition,
    key: string,
    object: KubeObject,
    values: Map<string, unknown>,
    signal: AbortSignal,
  ): Promise<void> {
    if (when && !when(object)) return;
    try {
      const value = await read(object, signal);
      if (signal.aborted || (values.has(name) && equalJson(values.get(name), value))) return;
      values.set(name, value);
      this.#changed(key);
    } catch (error) {
      if (!signal.aborted) this.#logger.warn({ key, external: name, error: String(error) }, 'external not read');
    }
  }
}
