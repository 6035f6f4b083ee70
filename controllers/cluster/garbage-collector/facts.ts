import type { KubeObject, OwnerReference, ResourceType } from '@trimtab/machinery';
import type { GraphNode } from './graph.js';

export const ORPHAN = 'orphan';
export const FOREGROUND = 'foregroundDeletion';

/** How an owner stands towards its dependents: there, gone, or waiting for them to be deleted first. */
export type OwnerState = 'solid' | 'absent' | 'waiting';

/** An object that refers to the one judged as its owner, as a cache has it. */
export interface Dependent {
  readonly type: ResourceType;
  readonly object: KubeObject;
}

/** All that the judgement of one object depends on. */
export interface Observation {
  readonly type: ResourceType;
  /** As the server has it; undefined when it is gone, also when another object has its name by now. */
  readonly object: KubeObject | undefined;
  /** By uid, one for every reference. */
  readonly owners: ReadonlyMap<string, OwnerState>;
  readonly dependents: readonly Dependent[];
}

export interface Facts extends Observation {
  readonly object: KubeObject;
  readonly references: readonly OwnerReference[];
  /** Uids of owners that no longer count. */
  readonly lost: readonly string[];
  readonly hasSolidOwner: boolean;
  readonly hasWaitingOwner: boolean;
  /** Dependents that hold back its own foreground deletion. */
  readonly blocking: readonly Dependent[];
  /** It holds back an owner that, as its dependent, waits for it to go first: neither ever would. */
  readonly inCircle: boolean;
}

export function factsOf(observation: Observation): Facts | undefined {
  const { object, owners, dependents } = observation;
  if (object === undefined) return undefined;
  const references = object.metadata.ownerReferences ?? [];
  const isIn = (state: OwnerState) => (reference: OwnerReference) => owners.get(reference.uid) === state;
  const waiting = references.filter(isIn('waiting'));
  const blocking = dependents.filter((dependent) => blocks(dependent.object, object.metadata.uid));
  return {
    ...observation,
    object,
    references,
    lost: references.filter((reference) => !isIn('solid')(reference)).map(({ uid }) => uid),
    hasSolidOwner: references.some(isIn('solid')),
    hasWaitingOwner: waiting.length > 0,
    blocking,
    inCircle: waiting.some(({ blockOwnerDeletion }) => blockOwnerDeletion) && blocking.some(waitsForDependents),
  };
}

/**
 * What an owner is to a dependent in `namespace`. References do not cross namespaces: an owner in another one is none
 * (kubernetes: garbagecollector, owner references without permission across namespaces).
 */
export function ownerState(owner: GraphNode | undefined, namespace: string | undefined): OwnerState {
  if (owner === undefined) return 'absent';
  if (owner.key.namespace !== undefined && owner.key.namespace !== namespace) return 'absent';
  return owner.deleting && owner.finalizers.includes(FOREGROUND) ? 'waiting' : 'solid';
}

const blocks = ({ metadata }: KubeObject, owner: string | undefined): boolean =>
  metadata.ownerReferences?.some(({ uid, blockOwnerDeletion }) => uid === owner && blockOwnerDeletion) === true;

const waitsForDependents = ({ object: { metadata } }: Dependent): boolean =>
  metadata.deletionTimestamp !== undefined && metadata.finalizers?.includes(FOREGROUND) === true;
