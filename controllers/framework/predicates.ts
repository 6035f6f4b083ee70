import type { Change } from '@trimtab/client';
import type { KubeObject } from '@trimtab/machinery';

/** Whether a change is a reason to look again. Pure. */
export type Predicate<T extends KubeObject = KubeObject> = (change: Change<T>) => boolean;

/**
 * Lets an update through when what `part` gives of the object differs before and after; what comes and goes always passes, so
 * no predicate made of these can hide a creation or a deletion.
 */
export const changed =
  <T extends KubeObject>(part: (object: T) => unknown): Predicate<T> =>
  (change) =>
    change.type !== 'updated' || !alike(part(change.previous), part(change.object));

/** The specification, where the server counts generations; a deletion that has begun counts as one. */
export const generationChanged: Predicate = changed(({ metadata }) => [
  metadata.generation,
  metadata.deletionTimestamp,
]);
export const labelsChanged: Predicate = changed(({ metadata }) => metadata.labels ?? {});
export const annotationsChanged: Predicate = changed(({ metadata }) => metadata.annotations ?? {});
/** Resyncs tell of objects that have not changed. */
export const resourceVersionChanged: Predicate = changed(({ metadata }) => metadata.resourceVersion);

/** Only objects that carry this label (with this value), before or after. */
export const labelled =
  (name: string, value?: string): Predicate =>
  (change) =>
    [change.object, ...(change.type === 'updated' ? [change.previous] : [])].some(({ metadata }) =>
      value === undefined ? metadata.labels?.[name] !== undefined : metadata.labels?.[name] === value,
    );

export const all =
  <T extends KubeObject>(...predicates: readonly Predicate<T>[]): Predicate<T> =>
  (change) =>
    predicates.every((p) => p(change));
export const any =
  <T extends KubeObject>(...predicates: readonly Predicate<T>[]): Predicate<T> =>
  (change) =>
    predicates.some((p) => p(change));
export const not =
  <T extends KubeObject>(predicate: Predicate<T>): Predicate<T> =>
  (change) =>
    !predicate(change);

const alike = (a: unknown, b: unknown): boolean => a === b || JSON.stringify(a) === JSON.stringify(b);
