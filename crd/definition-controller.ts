import type { Client, Informers } from '@trimtab/client';
import { WorkQueue } from '@trimtab/framework';
import {
  type Clock,
  type CustomResourceDefinition,
  CustomResourceDefinitions,
  isReason,
  type Logger,
  type ResourceType,
} from '@trimtab/machinery';
import { CLEANUP_FINALIZER } from './definition-strategy.js';
import { definitionStatus } from './establish.js';

export interface DefinitionControllerOptions {
  readonly client: Client;
  readonly informers: Informers;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How soon a definition whose objects are still going is looked at again. */
const AGAIN_MS = 100;

/** Accepts and establishes definitions, and empties those being deleted of their objects before they go. */
export class DefinitionController {
  readonly #options: DefinitionControllerOptions;
  readonly #queue: WorkQueue;
  #stop: () => void = () => {};

  constructor(options: DefinitionControllerOptions) {
    this.#options = options;
    this.#queue = new WorkQueue(options.clock, () => this.#work());
  }

  start(): void {
    const registration = this.#options.informers.get(CustomResourceDefinitions).addHandler(({ object, type }) => {
      if (type !== 'deleted') this.#queue.add(object.metadata.name!);
      // A name that becomes free may be what another definition waits for.
      else for (const other of this.#all()) this.#queue.add(other.metadata.name!);
    });
    this.#stop = () => registration.remove();
  }

  async stop(): Promise<void> {
    this.#stop();
    this.#queue.close();
  }

  #all(): readonly CustomResourceDefinition[] {
    return this.#options.informers.get(CustomResourceDefinitions).list();
  }

  #work(): void {
    for (let name = this.#queue.take(); name !== undefined; name = this.#queue.take()) void this.#process(name);
  }

  async #process(name: string): Promise<void> {
    try {
      const definition = await this.#options.client.get(CustomResourceDefinitions, { name });
      const current = await this.#establish(definition);
      if (current.metadata.deletionTimestamp) await this.#empty(current);
      this.#queue.forget(name);
    } catch (error) {
      if (!isReason(error, 'NotFound')) {
        if (!isReason(error, 'Conflict'))
          this.#options.logger.warn({ definition: name, error: String(error) }, 'custom resource definition');
        this.#queue.addRateLimited(name);
      }
    } finally {
      this.#queue.done(name);
    }
  }

  async #establish(definition: CustomResourceDefinition): Promise<CustomResourceDefinition> {
    const { client, clock } = this.#options;
    const status = definitionStatus(definition, this.#all(), clock.now());
    if (status === definition.status) return definition;
    return client.update(CustomResourceDefinitions, { ...definition, status }, { subresource: 'status' });
  }

  async #empty(definition: CustomResourceDefinition): Promise<void> {
    const { client } = this.#options;
    const { name, uid, resourceVersion, finalizers = [] } = definition.metadata;
    if (!finalizers.includes(CLEANUP_FINALIZER)) return;
    const type = servedType(definition);
    if (type !== undefined && (await this.#remaining(type)) > 0) {
      this.#queue.addAfter(name!, AGAIN_MS);
      return;
    }
    const body = { metadata: { uid, resourceVersion, finalizers: finalizers.filter((f) => f !== CLEANUP_FINALIZER) } };
    await client.patch(CustomResourceDefinitions, { name: name! }, { type: 'merge', body });
  }

  /** Asks for the deletion of every object and gives how many are left. A kind that is not served any more has none. */
  async #remaining(type: ResourceType): Promise<number> {
    const { client } = this.#options;
    try {
      const { items } = await client.list(type);
      const namespaces = new Set(items.filter((i) => !i.metadata.deletionTimestamp).map((i) => i.metadata.namespace));
      for (const namespace of namespaces)
        await client.deleteCollection(type, namespace === undefined ? {} : { namespace });
      return namespaces.size === 0 ? items.length : (await client.list(type)).items.length;
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
      return 0;
    }
  }
}

function servedType({ spec }: CustomResourceDefinition): ResourceType | undefined {
  const version = spec.versions.find(({ served }) => served);
  if (version === undefined) return undefined;
  const { kind, plural } = spec.names;
  return { group: spec.group, version: version.name, kind, resource: plural, namespaced: spec.scope === 'Namespaced' };
}
