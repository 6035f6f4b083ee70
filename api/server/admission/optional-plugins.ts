import { equalJson, type OwnerReference, type PodSpec, type Service, type Toleration } from '@trimtab/machinery';
import type { AdmissionAttributes, AdmissionPlugin, Authorizer } from '../contracts.js';
import { concerns, podPlugin, refuse } from './attributes.js';

/** Plugins that Kubernetes has and does not run unless asked to. */

const standard = new Set(['cpu', 'memory', 'ephemeral-storage', 'storage']);
const isExtended = (name: string): boolean =>
  !standard.has(name) && name.includes('/') && !name.includes('kubernetes.io/') && !name.startsWith('requests.');

/** Pods that ask for a special resource tolerate the taint that keeps others off its nodes: its name. */
export const extendedResourceToleration: AdmissionPlugin = podPlugin('ExtendedResourceToleration', (spec): PodSpec => {
  const containers = [...spec.containers, ...(spec.initContainers ?? [])];
  const wanted = new Set(
    containers.flatMap(({ resources }) => Object.keys(resources?.requests ?? {}).filter(isExtended)),
  );
  const added: readonly Toleration[] = [...wanted]
    .sort()
    .filter((key) => !spec.tolerations?.some((t) => t.key === key && t.operator === 'Exists' && !t.effect))
    .map((key) => ({ key, operator: 'Exists' }));
  return added.length === 0 ? spec : { ...spec, tolerations: [...(spec.tolerations ?? []), ...added] };
});

/** Every pod pulls its images, so that nobody runs what only others may pull. */
export const alwaysPullImages: AdmissionPlugin = podPlugin('AlwaysPullImages', (spec): PodSpec => {
  const pull = <T extends { readonly imagePullPolicy?: string }>(container: T): T =>
    container.imagePullPolicy === 'Always' ? container : { ...container, imagePullPolicy: 'Always' };
  return {
    ...spec,
    containers: spec.containers.map(pull),
    ...(spec.initContainers ? { initContainers: spec.initContainers.map(pull) } : {}),
  };
});

export const denyServiceExternalIPs: AdmissionPlugin = {
  name: 'DenyServiceExternalIPs',
  validate(attributes) {
    if (!concerns(attributes, '/services', 'CREATE', 'UPDATE')) return;
    const of = (object: unknown) => (object as Service | undefined)?.spec?.externalIPs ?? [];
    const old = new Set(of(attributes.oldObject));
    if (of(attributes.object).every((address) => old.has(address))) return;
    throw refuse(attributes, 'Use of external IPs is denied by admission control.');
  },
};

/**
 * Changing an object's owners takes the right to delete it, and letting it block its owner's deletion the right to update the
 * owner's finalizers.
 */
export const ownerReferencesPermissionEnforcement = (authorizer: Authorizer): AdmissionPlugin => ({
  name: 'OwnerReferencesPermissionEnforcement',
  validate(attributes) {
    const { operation, object, oldObject, subresource, type, user, namespace, name } = attributes;
    if ((operation !== 'CREATE' && operation !== 'UPDATE') || !object?.metadata || subresource === 'status') return;
    if (type.group === '' && type.resource === 'pods' && subresource === 'binding') return;
    const now = object.metadata.ownerReferences ?? [];
    const before = oldObject?.metadata.ownerReferences ?? [];
    if (equalJson(now, before)) return;
    const may = (
      verb: string,
      resource: { group: string; version: string; resource: string },
      what: { subresource: string; name: string; namespace: string },
    ) => authorizer.authorize({ user, verb, resource: { ...resource, ...what } });
    if (operation === 'UPDATE') {
      const { allowed, reason } = may('delete', type, { subresource: '', name, namespace });
      if (!allowed)
        throw refuse(attributes, `cannot set an ownerRef on a resource you can't delete: ${reason || 'not allowed'}`);
    }
    for (const owner of newlyBlocking(now, before)) {
      const found = ownerKind(attributes, owner);
      if (!found)
        throw refuse(
          attributes,
          `cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion ${owner.apiVersion} Kind ${owner.kind}`,
        );
      const where = { subresource: 'finalizers', name: owner.name, namespace: found.namespaced ? namespace : '' };
      const { allowed, reason } = may('update', found, where);
      if (!allowed)
        throw refuse(
          attributes,
          `cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: ${reason || 'not allowed'}`,
        );
    }
  },
});

function newlyBlocking(now: readonly OwnerReference[], before: readonly OwnerReference[]): readonly OwnerReference[] {
  const blocked = new Set(before.filter((r) => r.blockOwnerDeletion).map((r) => r.uid));
  return now.filter((r) => r.blockOwnerDeletion && !blocked.has(r.uid));
}

function ownerKind({ request }: AdmissionAttributes, { apiVersion, kind }: OwnerReference) {
  const slash = apiVersion.indexOf('/');
  return request?.kinds.findKind(apiVersion.slice(0, Math.max(slash, 0)), apiVersion.slice(slash + 1), kind);
}
