import { type NamespaceCondition, timestamp } from '@trimtab/machinery';

/** What is left of a namespace after one pass of deletion. */
export interface Remainder {
  /** `pods.` → how many are left. */
  readonly content: ReadonlyMap<string, number>;
  /** Finalizer → how many objects wait for it. */
  readonly finalizers: ReadonlyMap<string, number>;
  /** Resources that could not be listed or deleted, with the reason. */
  readonly failures: ReadonlyMap<string, string>;
}

const table = (counts: ReadonlyMap<string, number>, text: (name: string, count: number) => string): string =>
  [...counts].map(([name, count]) => text(name, count)).join(', ');

/** The conditions of a terminating namespace, in Kubernetes' types, reasons and words. */
export function deletionConditions(
  { content, finalizers, failures }: Remainder,
  now: number,
): readonly NamespaceCondition[] {
  const condition = (
    type: string,
    bad: string | undefined,
    reason: string,
    good: [string, string],
  ): NamespaceCondition => ({
    type,
    status: bad === undefined ? 'False' : 'True',
    reason: bad === undefined ? good[0] : reason,
    message: bad ?? good[1],
    lastTransitionTime: timestamp(now),
  });
  const failed = table(new Map([...failures].map(([name]) => [name, 1])), (name) => `${name}: ${failures.get(name)}`);
  return [
    condition('NamespaceDeletionDiscoveryFailure', undefined, '', [
      'ResourcesDiscovered',
      'All resources successfully discovered',
    ]),
    condition('NamespaceDeletionGroupVersionParsingFailure', undefined, '', [
      'ParsedGroupVersions',
      'All legacy kube types successfully parsed',
    ]),
    condition(
      'NamespaceDeletionContentFailure',
      failures.size > 0 ? `Failed to delete all resource types, ${failures.size} remaining: ${failed}` : undefined,
      'ContentDeletionFailed',
      ['ContentDeleted', 'All content successfully deleted, may be waiting on finalization'],
    ),
    condition(
      'NamespaceContentRemaining',
      content.size > 0
        ? `Some resources are remaining: ${table(content, (name, count) => `${name} has ${count} resource instances`)}`
        : undefined,
      'SomeResourcesRemain',
      ['ContentRemoved', 'All content successfully removed'],
    ),
    condition(
      'NamespaceFinalizersRemaining',
      finalizers.size > 0
        ? `Some content in the namespace has finalizers remaining: ${table(finalizers, (name, count) => `${name} in ${count} resource instances`)}`
        : undefined,
      'SomeFinalizersRemain',
      ['ContentHasNoFinalizers', 'All content-preserving finalizers finished'],
    ),
  ];
}

/** Those before, with these set; the time of a condition that says what it said before is kept. */
export function mergeConditions(
  before: readonly NamespaceCondition[],
  after: readonly NamespaceCondition[],
): readonly NamespaceCondition[] {
  const set = after.map((next) => {
    const old = before.find(({ type }) => type === next.type);
    return old?.status === next.status && old.reason === next.reason && old.message === next.message ? old : next;
  });
  const others = before.filter(({ type }) => !after.some((next) => next.type === type));
  return [...others, ...set];
}
