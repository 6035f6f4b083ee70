import { setup } from 'xstate';
import {
  deleteAsTold,
  deleteForeground,
  dropForeground,
  dropOrphan,
  leaveLost,
  releaseDependents,
  unblockOwners,
} from './effects.js';
import { type Facts, FOREGROUND, factsOf, type Observation, ORPHAN } from './facts.js';

interface Context {
  readonly facts: Facts | undefined;
}

const given =
  <R>(decide: (facts: Facts) => R) =>
  ({ context }: { readonly context: Context }): R =>
    decide(context.facts!);

/**
 * What becomes of an object, from the state of its owners and of its dependents (kubernetes: garbagecollector
 * attemptToDeleteItem, attemptToOrphan, processDeletingDependentsItem).
 */
export const collectionMachine = setup({
  types: { context: {} as Context, input: {} as Observation },
  guards: {
    gone: ({ context }) => context.facts === undefined,
    orphans: given(({ object: { metadata } }) => isEndingWith(metadata, ORPHAN)),
    isBlocked: given(({ object: { metadata }, blocking }) => isEndingWith(metadata, FOREGROUND) && blocking.length > 0),
    isUnblocked: given(({ object: { metadata } }) => isEndingWith(metadata, FOREGROUND)),
    deleting: given(({ object }) => object.metadata.deletionTimestamp !== undefined),
    owned: given(({ lost }) => lost.length === 0),
    shared: given(({ hasSolidOwner }) => hasSolidOwner),
    circling: given(({ inCircle }) => inCircle),
    mustWait: given(({ hasWaitingOwner, blocking }) => hasWaitingOwner && blocking.length > 0),
  },
  actions: {
    releaseDependents: given(releaseDependents),
    dropOrphan: given(dropOrphan),
    dropForeground: given(dropForeground),
    leaveLost: given(leaveLost),
    unblockOwners: given(unblockOwners),
    deleteForeground: given(deleteForeground),
    deleteAsTold: given(deleteAsTold),
  },
}).createMachine({
  id: 'collection',
  context: ({ input }) => ({ facts: factsOf(input) }),
  initial: 'deciding',
  states: {
    deciding: {
      always: [
        { guard: 'gone', target: 'gone' },
        { guard: 'orphans', target: 'orphaning' },
        { guard: 'isBlocked', target: 'foreground' },
        { guard: 'isUnblocked', target: 'releasing' },
        { guard: 'deleting', target: 'deleting' },
        { guard: 'owned', target: 'solid' },
        { guard: 'shared', target: 'shared' },
        { guard: 'circling', target: 'circling' },
        { guard: 'mustWait', target: 'waiting' },
        { target: 'dangling' },
      ],
    },
    gone: {},
    /** It goes, its dependents stay. */
    orphaning: { entry: ['releaseDependents', 'dropOrphan'] },
    /** It goes after its dependents, … */
    foreground: {},
    /** …which are gone. */
    releasing: { entry: 'dropForeground' },
    deleting: {},
    solid: {},
    /** Some owners are lost, another still counts. */
    shared: { entry: 'leaveLost' },
    circling: { entry: 'unblockOwners' },
    /** It goes before its owner and after its own dependents. */
    waiting: { entry: 'deleteForeground' },
    dangling: { entry: 'deleteAsTold' },
  },
});

interface Ending {
  readonly deletionTimestamp?: string;
  readonly finalizers?: readonly string[];
}

const isEndingWith = ({ deletionTimestamp, finalizers }: Ending, finalizer: string): boolean =>
  deletionTimestamp !== undefined && finalizers?.includes(finalizer) === true;
