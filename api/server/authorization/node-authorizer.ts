import type { PersistentVolume } from '@trimtab/machinery';
import { nodeNameOf } from '../authentication/groups.js';
import type { AccessAttributes, Authorizer, ObjectReader } from '../contracts.js';
import type { NodeReferences } from './node-references.js';
import { ruleAllows } from './rbac-rules.js';
import type { PolicyRule } from './rbac-types.js';

const rule = (apiGroup: string, resources: readonly string[], verbs: readonly string[]): PolicyRule => ({
  apiGroups: [apiGroup],
  resources,
  verbs,
});

/** What every kubelet may do whichever node it is; admission (NodeRestriction) keeps its writes to its own objects. */
const always: readonly PolicyRule[] = [
  rule('', ['nodes', 'services', 'namespaces'], ['get', 'list', 'watch']),
  // The Service datapath, the name server and network policy run beside the kubelet and under its name.
  rule('discovery.k8s.io', ['endpointslices'], ['get', 'list', 'watch']),
  rule('networking.k8s.io', ['networkpolicies', 'servicecidrs'], ['get', 'list', 'watch']),
  // A kubelet looks for volumes whose directories it has to remove.
  rule('', ['persistentvolumes'], ['list', 'watch']),
  rule('', ['nodes'], ['create', 'patch', 'update']),
  rule('', ['nodes/status'], ['patch', 'update']),
  rule('', ['pods'], ['list', 'watch', 'create', 'delete']),
  rule('', ['pods/status'], ['get', 'patch', 'update']),
  rule('', ['pods/eviction'], ['create']),
  rule('', ['events'], ['create', 'patch', 'update']),
  rule('events.k8s.io', ['events'], ['create', 'patch', 'update']),
  rule('coordination.k8s.io', ['leases'], ['create', 'get', 'list', 'watch', 'update', 'patch', 'delete']),
  rule('storage.k8s.io', ['csinodes'], ['create', 'get', 'update', 'patch', 'delete']),
  rule('storage.k8s.io', ['csidrivers', 'volumeattachments'], ['get', 'list', 'watch']),
  rule('node.k8s.io', ['runtimeclasses'], ['get', 'list', 'watch']),
  rule('certificates.k8s.io', ['certificatesigningrequests'], ['create', 'get', 'list', 'watch']),
  rule('certificates.k8s.io', ['clustertrustbundles'], ['get', 'list', 'watch']),
  rule('authentication.k8s.io', ['tokenreviews'], ['create']),
  rule('authorization.k8s.io', ['subjectaccessreviews', 'localsubjectaccessreviews'], ['create']),
];

/** Read one by one, and only where a pod of the node names them. */
const byPod: Readonly<Record<string, readonly string[]>> = {
  '/secrets': ['get', 'list', 'watch'],
  '/configmaps': ['get', 'list', 'watch'],
  '/persistentvolumeclaims': ['get'],
  '/pods': ['get'],
  'resource.k8s.io/resourceclaims': ['get'],
};

/**
 * What a kubelet (`system:node:<name>` in `system:nodes`) may do: the fixed rules above, and reading exactly the Secrets,
 * ConfigMaps, claims and volumes that pods bound to its node name. Answers «no opinion» about everybody else.
 */
export function nodeAuthorizer(references: NodeReferences, reader: ObjectReader): Authorizer {
  return {
    authorize(attributes) {
      const node = nodeNameOf(attributes.user);
      if (node === undefined || !attributes.resource) return { allowed: false, reason: '' };
      if (always.some((r) => ruleAllows(r, attributes))) return { allowed: true, reason: '' };
      return decide(node, attributes.resource, attributes.verb);
    },
    rulesFor: (user) => ({
      resourceRules: nodeNameOf(user) === undefined ? [] : always,
      nonResourceRules: [],
    }),
  };

  function decide(node: string, resource: NonNullable<AccessAttributes['resource']>, verb: string) {
    const { group, resource: plural, subresource, namespace, name } = resource;
    const refuse = (reason: string) => ({ allowed: false, reason });
    const related = references.mayRead(node, plural, namespace, name);
    const unrelated = `no relationship found between node "${node}" and this object`;

    if (plural === 'serviceaccounts' && group === '' && verb === 'create' && subresource === 'token')
      return related ? { allowed: true, reason: '' } : refuse(unrelated);
    if (plural === 'persistentvolumes' && group === '' && verb === 'get' && subresource === '')
      return claimOf(reader.get('/persistentvolumes', '', name), node)
        ? { allowed: true, reason: '' }
        : refuse(unrelated);
    if (plural === 'persistentvolumes' && group === '' && verb === 'patch' && subresource === '')
      return isLocalTo(reader.get('/persistentvolumes', '', name), node)
        ? { allowed: true, reason: '' }
        : refuse(unrelated);
    if (plural === 'persistentvolumeclaims' && group === '' && subresource === 'status')
      return related && ['get', 'update', 'patch'].includes(verb) ? { allowed: true, reason: '' } : refuse(unrelated);

    const verbs = byPod[`${group}/${plural}`];
    if (!verbs || subresource !== '') return refuse('');
    if (!verbs.includes(verb)) return refuse(`a node may only ${verbs.join(', ')} ${plural}`);
    if (name === '') return refuse(`a node may read ${plural} only one by one, by name`);
    return related ? { allowed: true, reason: '' } : refuse(unrelated);
  }

  /** True for a volume of the local provisioner that is on this very node. */
  function isLocalTo(object: object | undefined, node: string): boolean {
    const volume = object as PersistentVolume | undefined;
    const terms = volume?.spec?.nodeAffinity?.required?.nodeSelectorTerms ?? [];
    return (
      volume?.metadata.annotations?.['pv.kubernetes.io/provisioned-by'] === 'trimtab.dev/local' &&
      terms.length === 1 &&
      (terms[0]?.matchExpressions ?? []).some(
        ({ key, operator, values }) =>
          key === 'kubernetes.io/hostname' && operator === 'In' && values?.length === 1 && values[0] === node,
      )
    );
  }

  function claimOf(volume: object | undefined, node: string): boolean {
    const claim = (volume as { spec?: { claimRef?: { namespace?: string; name?: string } } } | undefined)?.spec
      ?.claimRef;
    return references.mayRead(node, 'persistentvolumeclaims', claim?.namespace ?? '', claim?.name ?? '');
  }
}
