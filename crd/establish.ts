import { type CustomResourceDefinition, type CustomResourceDefinitionCondition, timestamp } from '@trimtab/machinery';
import { approvalOf } from './approval.js';

export type DefinitionStatus = NonNullable<CustomResourceDefinition['status']>;

/**
 * The status a definition should have, seen beside the others of its group: names are accepted unless another definition
 * has them, and an accepted definition is established for good. The same object when nothing changes.
 */
export function definitionStatus(
  definition: CustomResourceDefinition,
  others: readonly CustomResourceDefinition[],
  now: number,
): DefinitionStatus {
  const { spec, status = {} as DefinitionStatus } = definition;
  const before = status.conditions ?? [];
  const taken = conflictOf(definition, others);
  const time = timestamp(now);
  const condition = (
    type: string,
    value: boolean,
    reason: string,
    message: string,
  ): CustomResourceDefinitionCondition => {
    const old = before.find((c) => c.type === type);
    const same = old?.status === (value ? 'True' : 'False');
    if (same && old?.reason === reason && old.message === message) return old;
    return {
      type,
      status: value ? 'True' : 'False',
      reason,
      message,
      lastTransitionTime: same ? old!.lastTransitionTime : time,
    };
  };
  const established = before.some((c) => c.type === 'Established' && c.status === 'True') || taken === undefined;
  const wanted = [
    taken === undefined
      ? condition('NamesAccepted', true, 'NoConflicts', 'no conflicts found')
      : condition('NamesAccepted', false, taken.reason, taken.message),
    established
      ? condition('Established', true, 'InitialNamesAccepted', 'the initial names have been accepted')
      : condition('Established', false, 'NotAccepted', 'not all names are accepted'),
  ];
  const approval = approvalOf(definition);
  if (approval !== undefined)
    wanted.push(
      condition('KubernetesAPIApprovalPolicyConformant', approval.conformant, approval.reason, approval.message),
    );
  if (definition.metadata.deletionTimestamp !== undefined)
    wanted.push(condition('Terminating', true, 'InstanceDeletionInProgress', 'CustomResource deletion is in progress'));
  const foreign = before.filter((c) => !OWN.has(c.type) && !wanted.some(({ type }) => type === c.type));
  const acceptedNames = taken === undefined ? spec.names : (status.acceptedNames ?? { plural: '', kind: '' });
  const unchanged =
    wanted.every((c) => before.includes(c)) &&
    wanted.length + foreign.length === before.length &&
    JSON.stringify(acceptedNames) === JSON.stringify(status.acceptedNames);
  return unchanged ? status : { ...status, acceptedNames, conditions: [...wanted, ...foreign] };
}

/** Conditions that go when what they speak of does: every schema is structural in this version of the API. */
const OWN: ReadonlySet<string> = new Set([
  'KubernetesAPIApprovalPolicyConformant',
  'NonStructuralSchema',
  'Terminating',
]);

function conflictOf(
  { metadata, spec }: CustomResourceDefinition,
  others: readonly CustomResourceDefinition[],
): { reason: string; message: string } | undefined {
  const group = others.filter((other) => other.spec.group === spec.group && other.metadata.uid !== metadata.uid);
  const accepted = group.map(({ status }) => status?.acceptedNames).filter((names) => names !== undefined);
  const resources = new Set(
    accepted.flatMap(({ plural, singular, shortNames }) => [plural, singular, ...(shortNames ?? [])]),
  );
  const kinds = new Set(accepted.flatMap(({ kind, listKind }) => [kind, listKind]));
  const { plural, singular, shortNames = [], kind, listKind } = spec.names;
  const checks: readonly [string, string | undefined, ReadonlySet<string | undefined>][] = [
    ['PluralConflict', plural, resources],
    ['SingularConflict', singular, resources],
    ...shortNames.map(
      (name) => ['ShortNamesConflict', name, resources] as [string, string, ReadonlySet<string | undefined>],
    ),
    ['KindConflict', kind, kinds],
    ['ListKindConflict', listKind, kinds],
  ];
  const clash = checks.find(([, name, names]) => name !== undefined && names.has(name));
  return clash && { reason: clash[0], message: `"${clash[1]}" is already in use` };
}
