import { type CustomResourceDefinition, causes, fieldPath, type StatusCause } from '@trimtab/machinery';

/** Where it is written who approved a kind in a group of Kubernetes' own (KEP-1111). */
export const APPROVED = 'api-approved.kubernetes.io';
const SEE = 'see https://github.com/kubernetes/enhancements/pull/1111';

export interface Approval {
  readonly conformant: boolean;
  readonly reason: 'MissingAnnotation' | 'InvalidAnnotation' | 'UnapprovedAnnotation' | 'ApprovedAnnotation';
  readonly message: string;
}

/** What the annotation says; undefined for groups that need no approval. */
export function approvalOf({ metadata, spec }: CustomResourceDefinition): Approval | undefined {
  const group = `.${spec.group}`;
  if (!group.endsWith('.k8s.io') && !group.endsWith('.kubernetes.io')) return undefined;
  const value = metadata.annotations?.[APPROVED] ?? '';
  if (value === '')
    return {
      conformant: false,
      reason: 'MissingAnnotation',
      message: `protected groups must have approval annotation "${APPROVED}", ${SEE}`,
    };
  if (value.startsWith('unapproved'))
    return { conformant: false, reason: 'UnapprovedAnnotation', message: `not approved: "${value}"` };
  if (URL.canParse(value) && new URL(value).host !== '')
    return { conformant: true, reason: 'ApprovedAnnotation', message: `approved in ${value}` };
  return {
    conformant: false,
    reason: 'InvalidAnnotation',
    message: `protected groups must have approval annotation "${APPROVED}" with either a URL or a reason starting with "unapproved", ${SEE}`,
  };
}

/** Refuses definitions that say nothing, or nothing sensible; those that were there before may go on as they are. */
export function validateApproval(
  definition: CustomResourceDefinition,
  old: CustomResourceDefinition | undefined,
): readonly StatusCause[] {
  const approval = approvalOf(definition);
  if (approval?.reason !== 'MissingAnnotation' && approval?.reason !== 'InvalidAnnotation') return [];
  if (old !== undefined && approvalOf(old)?.reason === approval.reason) return [];
  const at = fieldPath('metadata', 'annotations').key(APPROVED);
  return [
    approval.reason === 'MissingAnnotation'
      ? causes.required(at, approval.message)
      : causes.invalid(at, definition.metadata.annotations?.[APPROVED], approval.message),
  ];
}
