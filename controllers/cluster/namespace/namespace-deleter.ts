import type { Client, Informers } from '@trimtab/client';
import { WorkQueue } from '@trimtab/framework';
import {
  type Clock,
  CustomResourceDefinitions,
  isReason,
  type Logger,
  type Namespace,
  Namespaces,
  Pods,
  type ResourceType,
} from '@trimtab/machinery';
import { collectableTypes, typeId } from '../collectable.js';
import { deletionConditions, mergeConditions, type Remainder } from './conditions.js';

export interface NamespaceDeleterOptions {
  readonly client: Client;
  readonly informers: Informers;
  readonly clock: Clock;
  readonly logger: Logger;
}

const FINALIZER = 'kubernetes';
const TERMINATING = 'Terminating';

/** How soon a namespace that still holds something is looked at again: objects going away show up within this. */
const AGAIN = { baseMs: 20, capMs: 2_000 };

/**
 * Empties namespaces that are being deleted and then finalizes them. Pods go first, and everything else only when they are
 * gone (KEP-5080), so that what protects or feeds them is there to their end. What remains is told in the conditions.
 */
export class NamespaceDeleter {
  readonly #options: NamespaceDeleterOptions;
  readonly #queue: WorkQueue;
  readonly #passes = new Map<string, number>();
  #stop: () => void = () => {};

  constructor(options: NamespaceDeleterOptions) {
    this.#options = options;
    this.#queue = new WorkQueue(options.clock, () => this.#work());
  }

  async start(): Promise<void> {
    const { informers } = this.#options;
    const definitions = informers.get(CustomResourceDefinitions);
    await definitions.whenSynced();
    const registration = informers.get(Namespaces).addHandler(({ type, object }) => {
      const name = object.metadata.name!;
      if (type === 'deleted') this.#passes.delete(name);
      else if (object.metadata.deletionTimestamp) this.#queue.add(name);
    });
    this.#stop = () => registration.remove();
  }

  async stop(): Promise<void> {
    this.#stop();
    this.#queue.close();
  }

  #work(): void {
    for (let name = this.#queue.take(); name !== undefined; name = this.#queue.take()) void this.#delete(name);
  }

  async #delete(name: string): Promise<void> {
    try {
      await this.#pass(name);
      this.#queue.forget(name);
    } catch (error) {
      if (!isReason(error, 'NotFound')) {
        this.#options.logger.warn({ namespace: name, error: String(error) }, 'deleting a namespace');
        this.#queue.addRateLimited(name);
      }
    } finally {
      this.#queue.done(name);
    }
  }

  async #pass(name: string): Promise<void> {
    const { client, informers } = this.#options;
    const namespace = await client.get(Namespaces, { name });
    if (!namespace.metadata.deletionTimestamp || !namespace.spec?.finalizers?.includes(FINALIZER)) return;
    await this.#report(namespace, undefined);
    const types = collectableTypes(informers.get(CustomResourceDefinitions).list()).filter(
      ({ namespaced }) => namespaced,
    );
    const pods = types.filter((type) => typeId(type) === typeId(Pods));
    const first = await this.#empty(name, pods);
    const others = types.filter((type) => !pods.includes(type));
    const remainder = first.content.size > 0 ? first : merge(first, await this.#empty(name, others));
    await this.#report(namespace, remainder);
    if (remainder.content.size === 0 && remainder.failures.size === 0) await this.#finalize(namespace);
    else {
      const pass = this.#passes.get(name) ?? 0;
      this.#passes.set(name, pass + 1);
      this.#queue.addAfter(name, Math.min(AGAIN.baseMs * 2 ** pass, AGAIN.capMs));
    }
  }

  async #empty(namespace: string, types: readonly ResourceType[]): Promise<Remainder> {
    const content = new Map<string, number>();
    const finalizers = new Map<string, number>();
    const failures = new Map<string, string>();
    for (const type of types) {
      try {
        const before = await this.#options.client.list(type, { namespace });
        if (before.items.length === 0) continue;
        const doomed = before.items.some((item) => !item.metadata.deletionTimestamp);
        if (doomed) await this.#options.client.deleteCollection(type, { namespace, propagationPolicy: 'Background' });
        const { items } = doomed ? await this.#options.client.list(type, { namespace }) : before;
        if (items.length > 0) content.set(typeId(type), items.length);
        for (const finalizer of items.flatMap((item) => item.metadata.finalizers ?? []))
          finalizers.set(finalizer, (finalizers.get(finalizer) ?? 0) + 1);
      } catch (error) {
        // A custom kind may have gone since its definition was read.
        if (!isReason(error, 'NotFound'))
          failures.set(typeId(type), error instanceof Error ? error.message : String(error));
      }
    }
    return { content, finalizers, failures };
  }

  /** Without a remainder only the phase, which closes the namespace to new objects. */
  async #report(namespace: Namespace, remainder: Remainder | undefined): Promise<void> {
    const { phase, conditions: before = [] } = namespace.status ?? {};
    const now = this.#options.clock.now();
    const conditions = remainder ? mergeConditions(before, deletionConditions(remainder, now)) : before;
    if (conditions.every((condition) => before.includes(condition)) && (remainder || phase === TERMINATING)) return;
    const key = { name: namespace.metadata.name! };
    const body = { status: { phase: TERMINATING, conditions } };
    await this.#options.client.patch(Namespaces, key, { type: 'merge', body }, { subresource: 'status' });
  }

  async #finalize(namespace: Namespace): Promise<void> {
    const { resourceVersion: _, ...metadata } = namespace.metadata;
    const finalizers = namespace.spec?.finalizers?.filter((finalizer) => finalizer !== FINALIZER) ?? [];
    const body = {
      ...namespace,
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata,
      spec: { ...namespace.spec, finalizers },
    };
    await this.#options.client.subresource(Namespaces, { name: metadata.name! }, 'finalize', 'update', body);
  }
}

const merge = (a: Remainder, b: Remainder): Remainder => ({
  content: new Map([...a.content, ...b.content]),
  finalizers: new Map([...a.finalizers, ...b.finalizers]),
  failures: new Map([...a.failures, ...b.failures]),
});
