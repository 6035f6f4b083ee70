import { type Admission, admit } from '@trimtab/framework';
import { StatusError } from '@trimtab/machinery';
import type { AdmissionAttributes, AdmissionPlugin } from '@trimtab/server';

/** The rules that stand beside controllers, asked in the server's own process: what a webhook would answer, without one. */
export function admissionPlugin(admissions: readonly Admission[]): AdmissionPlugin {
  const asked = (phase: 'mutate' | 'validate', attributes: AdmissionAttributes) => {
    const { type, operation, object, oldObject: old, user, dryRun, subresource } = attributes;
    // As the configurations of an operator's webhooks have it: they name no subresources.
    if (subresource !== '') return object;
    const verdict = admit(admissions, phase, { kind: type, operation, object, old, user: user.name, dryRun });
    if (!('refused' in verdict)) return verdict.object;
    const message = `admission of ${type.resource} denied the request: ${verdict.refused}`;
    throw new StatusError({ code: 422, reason: 'Invalid', message });
  };
  return {
    name: 'Rules',
    mutate: (attributes) => (attributes.operation === 'DELETE' ? undefined : asked('mutate', attributes)),
    validate: (attributes) => void asked('validate', attributes),
  };
}
