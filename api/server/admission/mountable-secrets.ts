import type { Pod, ServiceAccount } from '@trimtab/machinery';
import type { AdmissionAttributes } from '../contracts.js';
import { refuse } from './attributes.js';

const enforced = 'kubernetes.io/enforce-mountable-secrets';

/** An account may hold its pods to the secrets it names (annotation `kubernetes.io/enforce-mountable-secrets: "true"`). */
export function checkMountableSecrets(attributes: AdmissionAttributes, { spec }: Pod, account: ServiceAccount): void {
  if (account.metadata.annotations?.[enforced] !== 'true' || !spec) return;
  const mountable = new Set(account.secrets?.map(({ name }) => name));
  const name = account.metadata.name;
  const not = (what: string) => refuse(attributes, `${what} not referenced by service account ${name}`);
  for (const volume of spec.volumes ?? []) {
    const secret = volume.secret?.secretName;
    if (secret !== undefined && !mountable.has(secret))
      throw refuse(
        attributes,
        `volume with secret.secretName=${JSON.stringify(secret)} is not allowed because service account ${name} does not reference that secret`,
      );
  }
  const pullable = new Set(account.imagePullSecrets?.map((each) => each.name));
  for (const { name: secret } of spec.imagePullSecrets ?? [])
    if (!pullable.has(secret))
      throw refuse(
        attributes,
        `imagePullSecrets[0].name=${JSON.stringify(secret)} is not allowed because service account ${name} does not reference that imagePullSecret`,
      );
  for (const [kind, containers] of [
    ['init container', spec.initContainers ?? []],
    ['container', spec.containers],
  ] as const)
    for (const container of containers) {
      for (const { name: variable, valueFrom } of container.env ?? []) {
        const secret = valueFrom?.secretKeyRef?.name;
        if (secret !== undefined && !mountable.has(secret))
          throw not(
            `${kind} ${container.name} with envVar ${variable} referencing secret.secretName=${JSON.stringify(secret)} is not allowed because secret is`,
          );
      }
      for (const { secretRef } of container.envFrom ?? [])
        if (secretRef?.name !== undefined && !mountable.has(secretRef.name))
          throw not(
            `${kind} ${container.name} with envFrom referencing secret.secretName=${JSON.stringify(secretRef.name)} is not allowed because secret is`,
          );
    }
}

/** Mirror pods stand for files on a node: they are nobody's, and reach nothing of the cluster. */
export function checkMirrorPod(attributes: AdmissionAttributes, { spec }: Pod): void {
  if (spec?.serviceAccountName) throw refuse(attributes, 'a mirror pod may not reference service accounts');
  for (const { secret, projected } of spec?.volumes ?? []) {
    if (secret) throw refuse(attributes, 'a mirror pod may not reference secrets');
    if (projected?.sources?.some((source) => source.serviceAccountToken))
      throw refuse(attributes, 'a mirror pod may not use ServiceAccountToken volume projections');
  }
}
