import { type Namespace, notFound, StatusError } from '@trimtab/machinery';
import type { AdmissionPlugin, ObjectReader } from '../contracts.js';
import { concerns, refuse } from './attributes.js';

const kept = ['default', 'kube-system', 'kube-public'];

/** Nothing is created in a namespace that does not exist or is going away; three namespaces are never deleted. */
export function namespaceLifecycle(reader: ObjectReader): AdmissionPlugin {
  return {
    name: 'NamespaceLifecycle',
    // Asked before anything else is decided about the object, so that the first error is the one that helps.
    mutate(attributes) {
      this.validate?.(attributes);
      return attributes.object as NonNullable<typeof attributes.object>;
    },
    validate(attributes) {
      const { operation, type, namespace, subresource } = attributes;
      if (concerns(attributes, '/namespaces', 'DELETE') && kept.includes(attributes.name))
        throw refuse(attributes, 'this namespace may not be deleted');
      if (operation !== 'CREATE' || !type.namespaced || subresource !== '') return;
      if (type.group === 'authorization.k8s.io') return;
      const found = reader.get('/namespaces', '', namespace) as Namespace | undefined;
      if (!found) throw notFound({ group: '', resource: 'namespaces' }, namespace);
      if (found.metadata.deletionTimestamp === undefined && found.status?.phase !== 'Terminating') return;
      const error = refuse(
        attributes,
        `unable to create new content in namespace ${namespace} because it is being terminated`,
      );
      throw new StatusError({
        ...error.status,
        details: {
          ...error.status.details,
          causes: [
            {
              reason: 'NamespaceTerminating',
              message: `namespace ${namespace} is being terminated`,
              field: 'metadata.namespace',
            },
          ],
        },
      });
    },
  };
}
