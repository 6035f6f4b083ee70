import type { Client } from '@trimtab/client';
import {
  equalJson,
  isReason,
  type Logger,
  ValidatingAdmissionPolicies,
  type ValidatingAdmissionPolicy,
} from '@trimtab/machinery';
import type { ObjectReader } from '../../contracts.js';
import type { Follow } from '../quota-ledger.js';

export interface PolicyStatusOptions {
  readonly reader: ObjectReader;
  readonly follow: Follow;
  /** Acts as a member of `system:masters`. */
  readonly client: Client;
  readonly logger: Logger;
}

/**
 * Writes into every ValidatingAdmissionPolicy's status which generation has been looked at and what its expressions get wrong
 * for the kinds it names. For people to read; admission does not. Gives the function that ends it.
 */
export function keepPolicyStatus({ reader, follow, client, logger }: PolicyStatusOptions): () => void {
  const resource = 'admissionregistration.k8s.io/validatingadmissionpolicies';
  const check = (policy: ValidatingAdmissionPolicy) => {
    if (policy.status?.observedGeneration === policy.metadata.generation) return;
    write(policy).catch((error: unknown) => {
      if (isReason(error, 'Conflict', 'NotFound')) return;
      logger.warn({ err: error, policy: policy.metadata.name }, 'the status of a policy could not be written');
    });
  };
  async function write(policy: ValidatingAdmissionPolicy): Promise<void> {
    const { typeWarnings } = await import('./type-check.js');
    const expressionWarnings = typeWarnings(policy, reader);
    const status = {
      ...policy.status,
      observedGeneration: policy.metadata.generation,
      typeChecking: expressionWarnings.length > 0 ? { expressionWarnings } : {},
    };
    if (equalJson(policy.status, status)) return;
    await client.update(ValidatingAdmissionPolicies, { ...policy, status }, { subresource: 'status' });
  }
  const stop = follow(resource, ({ object }) => {
    if (object) check(object as ValidatingAdmissionPolicy);
  });
  for (const policy of reader.list(resource)) check(policy as ValidatingAdmissionPolicy);
  return stop;
}
