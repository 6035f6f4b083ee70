import type { CustomResourceDefinition } from '@trimtab/machinery';
import type { KindSource, ServedKind, WebhookCaller } from '@trimtab/server';
import type { Store } from '@trimtab/store';
import { Subject } from 'rxjs';
import { customKinds } from './custom-kind.js';

const DEFINITIONS = 'apiextensions.k8s.io/customresourcedefinitions';

/** Custom kinds, as one more source of kinds for the API server. */
export interface CustomKindSource extends KindSource {
  close(): void;
}

/**
 * Serves what established definitions define, current with every acknowledged write: the very change that establishes a
 * definition makes its kinds discoverable. Conversion webhooks are asked through `webhooks`.
 */
export function customKindSource(store: Pick<Store, 'snapshot' | 'watch'>, webhooks?: WebhookCaller): CustomKindSource {
  const byName = new Map<string, readonly ServedKind[]>();
  const changes = new Subject<void>();
  const take = (definition: CustomResourceDefinition): void => {
    const name = definition.metadata.name!;
    if (isEstablished(definition)) byName.set(name, customKinds(definition, webhooks));
    else byName.delete(name);
  };
  const start = store.snapshot();
  for (const { object } of start.range({ resource: DEFINITIONS })) take(object as CustomResourceDefinition);
  const subscription = store.watch({ resource: DEFINITIONS }, start.revision).subscribe((event) => {
    if (event.type === 'put') take(event.object as CustomResourceDefinition);
    else byName.delete(event.key.name);
    changes.next();
  });
  return {
    kinds: () => [...byName.values()].flat(),
    changes,
    close: () => subscription.unsubscribe(),
  };
}

export const isEstablished = ({ status }: CustomResourceDefinition): boolean =>
  status?.conditions?.some(({ type, status: value }) => type === 'Established' && value === 'True') ?? false;
