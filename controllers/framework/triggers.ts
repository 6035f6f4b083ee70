import type { Change, Informer } from '@trimtab/client';
import { joinKey, type KubeObject, keyOf, type ResourceType } from '@trimtab/machinery';
import type { Caches } from './caches.js';
import type { ControllerDefinition, WatchDefinition } from './controller.js';
import { DroppedField, NeedsWhole } from './guarded.js';
import { controllerOf, refersTo } from './owners.js';
import { LOW_PRIORITY } from './queue.js';
import { retryConditionOf } from './retries.js';
import { onlyRecordDiffers } from './retry-record.js';
import { type Cause, changeCause } from './trace.js';

/** Looks at a key again, because of something. */
export type Enqueue = (key: string, cause: Cause, priority?: number) => void;

/** What is told of a change, and what it is worth by default. */
const priorityOf = (change: Change<KubeObject>): number =>
  (change.type === 'added' && change.inInitialList) || (change.type === 'updated' && change.resync) ? LOW_PRIORITY : 0;

const causeOf = (type: ResourceType, change: Change<KubeObject>): Cause =>
  change.type === 'updated' && change.resync
    ? { type: 'resync' }
    : changeCause(change.type, type.resource, change.object);

export interface Listening {
  readonly informer: Informer<KubeObject>;
  readonly handler: (change: Change<KubeObject>) => void;
}

/** Everything a controller listens to from its start: what it is for, what it owns, what it watches. */
export function triggersOf(definition: ControllerDefinition, caches: Caches, enqueue: Enqueue): readonly Listening[] {
  const { for: type, owns = [], watches = [], where, priority } = definition;
  const record = retryConditionOf(definition);
  const primary = (change: Change<KubeObject>) => {
    // What we have written down of a failure is no reason to try again.
    if (record !== undefined && change.type === 'updated' && !change.resync)
      if (onlyRecordDiffers(change.previous, change.object, record)) return;
    if (where && !where(change)) return;
    enqueue(keyOf(change.object), causeOf(type, change), priority?.(change) ?? priorityOf(change));
  };
  return [
    carefully(caches, caches.informer(type), primary),
    ...owns.map((owned) => ({
      informer: caches.informer(owned),
      handler: (change: Change<KubeObject>) =>
        eachOwnership(change, (object) => {
          const key = ownerKey(type, object);
          if (key !== undefined) enqueue(key, causeOf(owned, change), priorityOf(change));
        }),
    })),
    ...watches.map((watch) => watching(watch, caches, enqueue)),
  ];
}

export function watching(watch: WatchDefinition, caches: Caches, enqueue: Enqueue): Listening {
  const { type, to, on, ignores, where } = watch;
  return {
    informer: caches.informer(type),
    handler: careful(caches, caches.informer(type), (change) => {
      if ((on && !on.includes(change.type)) || (where && !where(change))) return;
      if (change.type === 'updated' && ignores?.(change.previous, change.object)) return;
      eachState(change, (object) => {
        for (const key of to(object, caches)) enqueue(joinKey(key), causeOf(type, change), priorityOf(change));
      });
    }),
  };
}

type Handler = Listening['handler'];

/** Predicates and mappings that want more than there is are told of every object again once it is there. */
const careful =
  (caches: Caches, informer: Informer<KubeObject>, handler: Handler): Handler =>
  (change) => {
    try {
      handler(caches.told(informer, change));
    } catch (error) {
      if (!(error instanceof NeedsWhole) && (error instanceof DroppedField || !caches.widen())) throw error;
    }
  };

const carefully = (caches: Caches, informer: Informer<KubeObject>, handler: Handler): Listening => ({
  informer,
  handler: careful(caches, informer, handler),
});

function ownerKey(type: ResourceType, object: KubeObject): string | undefined {
  const reference = controllerOf(object);
  if (!reference || !refersTo(reference, type)) return undefined;
  return joinKey({ name: reference.name, ...(type.namespaced ? { namespace: object.metadata.namespace } : {}) });
}

/** Hardly ever does an object change hands: the same list of owners says the same. */
function eachOwnership(change: Change<KubeObject>, visit: (object: KubeObject) => void): void {
  visit(change.object);
  if (change.type !== 'updated') return;
  if (change.previous.metadata.ownerReferences !== change.object.metadata.ownerReferences) visit(change.previous);
}

function eachState(change: Change<KubeObject>, visit: (object: KubeObject) => void): void {
  visit(change.object);
  if (change.type === 'updated' && change.previous !== change.object) visit(change.previous);
}
