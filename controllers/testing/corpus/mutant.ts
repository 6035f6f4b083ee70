import type { KubeObject, ResourceType } from '@trimtab/machinery';
import type { Scenario } from '../perturb/scenario.js';
import type { ControllerSource } from '../world/process.js';

/** A small controller that is right, as parts of which each can be got wrong. */
export interface Subject<P extends object> {
  readonly name: string;
  /** Made anew for every life of the process, so that nothing is remembered that should not be. */
  make(wrong?: () => Partial<P>): ControllerSource;
  /** What it is put through. */
  scenario(controller: ControllerSource): Scenario;
}

/** One planted bug: a few lines of a controller that is otherwise right. */
export interface Mutant {
  readonly subject: string;
  readonly name: string;
  /** Of the research's classes (Sieve, Acto, Anvil). */
  readonly class: BugClass;
  readonly scenario: Scenario;
}

export const BUG_CLASSES = [
  /** A crash between two writes is not survived. */
  'intermediate-state',
  /** A view that is behind leads to harm. */
  'stale-state',
  /** What happened between two looks is missed. */
  'unobserved-state',
  /** What must be kept is kept in memory only. */
  'memory',
  /** An object is taken for another of its name, or for one's own. */
  'identity',
  /** Cleaning up is left out, early, or too much. */
  'finalizer',
  /** The declared state is not what is made. */
  'misoperation',
  /** The status says what is not so. */
  'status',
  /** It never comes to rest. */
  'hot-loop',
  /** A refusal is taken for something else. */
  'error-handling',
] as const;
export type BugClass = (typeof BUG_CLASSES)[number];

/** Bugs of one subject, each as the part that is wrong. */
export const mutantsOf = <P extends object>(
  subject: Subject<P>,
  bugs: Readonly<Record<string, readonly [BugClass, () => Partial<P>]>>,
): readonly Mutant[] =>
  Object.entries(bugs).map(([name, [bugClass, wrong]]) => ({
    subject: subject.name,
    name,
    class: bugClass,
    scenario: subject.scenario(subject.make(wrong)),
  }));

/** A custom kind by name. */
export const kindOf = <T extends KubeObject>(kind: string): ResourceType<T> => ({
  group: 'corpus.trimtab.dev',
  version: 'v1',
  kind,
  resource: `${kind.toLowerCase()}s`,
  namespaced: true,
});

export function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}
