import { Informer } from '@trimtab/client';
import {
  apiVersionOf,
  builtinResources,
  CustomResourceDefinitions,
  isReason,
  type KubeObject,
  type ObjectKey,
  type ResourceType,
  silentLogger,
  type Table,
  toTable,
} from '@trimtab/machinery';
import type { Session } from './session.js';

/** Reading collections: whole, as tables, and as they change. */

export interface Scope {
  /** Omitted: all namespaces, or a cluster-scoped resource. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

const PAGE = 500;

/** Everything in scope, fetched in pages. */
export async function listAll<T extends KubeObject>(
  { client }: Session,
  type: ResourceType<T>,
  scope: Scope,
): Promise<readonly T[]> {
  const items: T[] = [];
  let next: string | undefined;
  do {
    const page = await client.list(type, { ...scope, limit: PAGE, ...(next ? { continue: next } : {}) });
    items.push(...page.items);
    next = page.metadata.continue || undefined;
  } while (next);
  return items;
}

/** A cache that follows the scope through lost connections; the caller starts and stops it. */
export function follow<T extends KubeObject>(
  { client, clock, random }: Session,
  type: ResourceType<T>,
  scope: Scope,
): Informer<T> {
  return new Informer({ client, type, scope, clock, random, logger: silentLogger });
}

/** The one object of this name, through deletion and creation. */
export const onlyThis = (key: ObjectKey): Scope => ({
  ...(key.namespace ? { namespace: key.namespace } : {}),
  fieldSelector: `metadata.name=${key.name}`,
});

/** How objects of one resource are shown as a table. */
export type Tabulate = (objects: readonly KubeObject[]) => Table;

/** Custom kinds bring their columns along in their definition; whoever may not read that sees name and age. */
export async function tabulator(session: Session, type: ResourceType): Promise<Tabulate> {
  const columns = isBuiltin(type) ? undefined : await customColumns(session.client, type);
  return (objects) => toTable(type, objects, { now: session.now(), ...(columns ? { columns } : {}) });
}

const isBuiltin = (type: ResourceType): boolean =>
  builtinResources().some(
    (known) => known.type.resource === type.resource && apiVersionOf(known.type) === apiVersionOf(type),
  );

async function customColumns(client: Session['client'], { group, version, resource }: ResourceType) {
  try {
    const definition = await client.get(CustomResourceDefinitions, { name: `${resource}.${group}` });
    return definition.spec.versions.find(({ name }) => name === version)?.additionalPrinterColumns ?? [];
  } catch (error) {
    if (isReason(error, 'NotFound', 'Forbidden')) return [];
    throw error;
  }
}
