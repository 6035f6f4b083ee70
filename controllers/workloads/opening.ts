import { isDeleting } from '@trimtab/framework';
import type { KubeObject, LabelSelector } from '@trimtab/machinery';
import { workloadSelector } from './claims.js';

/** A workload's context: all its next step depends on; undefined once it is gone. */
export interface Given<F> {
  readonly facts: F | undefined;
}

/** Guards and actions from functions of the facts; only asked where there are some. */
export const given =
  <F>() =>
  <R>(decide: (facts: F) => R) =>
  ({ context }: { readonly context: Given<F> }): R =>
    decide(context.facts!);

type Workload = KubeObject & { readonly spec?: { readonly selector?: LabelSelector } };

/** What every workload with a template is asked first: is it there, does its selector mean something, is it to stay. */
export const openingGuards = <F>(workloadOf: (facts: F) => Workload) => {
  const asked = given<F>();
  return {
    gone: ({ context }: { readonly context: Given<F> }): boolean => context.facts === undefined,
    selectsAll: asked((facts) => workloadSelector(workloadOf(facts).spec?.selector).nothing === true),
    deleting: asked((facts) => isDeleting(workloadOf(facts))),
  };
};

/** The transitions that go with {@link openingGuards}, before all others. */
export const OPENING = [
  { guard: 'gone', target: 'gone' },
  { guard: 'selectsAll', target: 'refused' },
  { guard: 'deleting', target: 'deleting' },
] as const;

/** Where they lead to, `deleting` aside, which every workload tells of in its own way. */
export const OPENING_STATES = { gone: {}, refused: { entry: 'refuse' } } as const;
