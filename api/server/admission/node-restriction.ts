import { equalJson, type KubeObject, type Node, type PersistentVolume, type Pod } from '@trimtab/machinery';
import { nodeNameOf, nodesGroup } from '../authentication/groups.js';
import { podReferences } from '../authorization/node-references.js';
import type { AdmissionAttributes, AdmissionPlugin, ObjectReader } from '../contracts.js';
import { isMirrorPod, refuse } from './attributes.js';

const leaseNamespace = 'kube-node-lease';
const reservedPrefix = 'node-restriction.kubernetes.io/';

/** Labels of the `kubernetes.io` and `k8s.io` domains that a kubelet may give its own node. */
const ownLabels = new Set([
  'beta.kubernetes.io/arch',
  'beta.kubernetes.io/instance-type',
  'beta.kubernetes.io/os',
  'failure-domain.beta.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'kubernetes.io/arch',
  'kubernetes.io/hostname',
  'kubernetes.io/os',
  'node.kubernetes.io/instance-type',
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
]);
const ownPrefixes = ['kubelet.kubernetes.io/', 'node.kubernetes.io/'];

/** True for labels that only others may set on a node. */
function isForeignLabel(key: string): boolean {
  if (key.startsWith(reservedPrefix)) return true;
  const domain = key.includes('/') ? key.slice(0, key.indexOf('/')) : '';
  const kubernetes = ['kubernetes.io', 'k8s.io'].some((d) => domain === d || domain.endsWith(`.${d}`));
  return kubernetes && !ownLabels.has(key) && !ownPrefixes.some((prefix) => key.startsWith(prefix));
}

type Check = (attributes: AdmissionAttributes, node: string, reader: ObjectReader) => void;

const nodes: Check = (attributes, node) => {
  const { operation, name } = attributes;
  const object = attributes.object as Node | undefined;
  const old = attributes.oldObject as Node | undefined;
  if (name !== node) throw refuse(attributes, `node "${node}" is not allowed to modify node "${name}"`);
  if (operation === 'DELETE' || !object) return;
  const labels = object.metadata.labels ?? {};
  const before = old?.metadata.labels ?? {};
  const touched = [...new Set([...Object.keys(labels), ...Object.keys(before)])].filter(
    (key) => labels[key] !== before[key],
  );
  const foreign = touched.filter(isForeignLabel).sort();
  if (foreign.length > 0) throw refuse(attributes, `is not allowed to modify labels: ${foreign.join(', ')}`);
  if (operation === 'UPDATE' && !equalJson(object.spec?.taints ?? [], old?.spec?.taints ?? []))
    throw refuse(attributes, `node "${node}" is not allowed to modify taints`);
  if (operation === 'UPDATE' && !equalJson(object.metadata.ownerReferences ?? [], old?.metadata.ownerReferences ?? []))
    throw refuse(attributes, `node "${node}" is not allowed to modify ownerReferences`);
};

const leases: Check = (attributes, node) => {
  const { namespace, name } = attributes;
  if (namespace !== leaseNamespace)
    throw refuse(attributes, `can only access leases in the "${leaseNamespace}" system namespace`);
  if (name !== node) throw refuse(attributes, 'can only access node lease with the same name as the requesting node');
};

const pods: Check = (attributes, node, reader) => {
  const { operation, object } = attributes;
  if (operation === 'DELETE') {
    ownPod(attributes, node, reader);
    return;
  }
  if (operation !== 'CREATE')
    throw refuse(
      attributes,
      `unexpected operation "${operation}", node "${node}" can only create and delete mirror pods`,
    );
  const pod = object as Pod;
  if (!isMirrorPod(pod))
    throw refuse(
      attributes,
      `pod does not have "kubernetes.io/config.mirror" annotation, node "${node}" can only create mirror pods`,
    );
  if (pod.spec?.nodeName !== node)
    throw refuse(attributes, `node "${node}" can only create pods with spec.nodeName set to itself`);
  if (pod.spec.serviceAccountName)
    throw refuse(attributes, `node "${node}" can not create pods that reference a service account`);
  for (const ref of podReferences(pod)) {
    const kind = ref.slice(0, ref.indexOf('/'));
    if (kind === 'secrets' || kind === 'configmaps' || kind === 'persistentvolumeclaims')
      throw refuse(attributes, `node "${node}" can not create pods that reference ${kind}`);
  }
};

const ownPod: Check = (attributes, node, reader) => {
  const pod = (attributes.oldObject ?? reader.get('/pods', attributes.namespace, attributes.name)) as Pod | undefined;
  if (pod && pod.spec?.nodeName !== node)
    throw refuse(attributes, `node "${node}" can only act on pods with spec.nodeName set to itself`);
};

const podStatus: Check = (attributes, node, reader) => {
  ownPod(attributes, node, reader);
  const labels = attributes.object?.metadata.labels;
  if (!equalJson(labels ?? {}, attributes.oldObject?.metadata.labels ?? {}))
    throw refuse(attributes, `node "${node}" cannot update labels through pod status`);
};

const token: Check = (attributes, node, reader) => {
  const ref = (
    attributes.object as
      | { spec?: { boundObjectRef?: { kind?: string; apiVersion?: string; name?: string; uid?: string } } }
      | undefined
  )?.spec?.boundObjectRef;
  if (ref?.apiVersion !== 'v1' || ref.kind !== 'Pod' || !ref.name)
    throw refuse(attributes, 'node requested token not bound to a pod');
  if (!ref.uid) throw refuse(attributes, 'node requested token with a pod binding without a uid');
  const pod = reader.get('/pods', attributes.namespace, ref.name) as Pod | undefined;
  if (pod?.metadata.uid !== ref.uid)
    throw refuse(
      attributes,
      `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  if (pod.spec?.nodeName !== node)
    throw refuse(attributes, 'node requested token bound to a pod scheduled on a different node');
};

/** Of a volume of its own a kubelet says that its directory is gone, and nothing else. */
const persistentVolumes: Check = (attributes, node) => {
  const { operation, object, oldObject } = attributes;
  const rest = (volume: KubeObject | undefined) => {
    const { labels, annotations, ownerReferences, finalizers } = volume?.metadata ?? {};
    const others = (finalizers ?? []).filter((finalizer) => finalizer !== 'trimtab.dev/local-volume');
    return [(volume as PersistentVolume | undefined)?.spec, labels, annotations, ownerReferences, others];
  };
  if (operation !== 'UPDATE' || !equalJson(rest(object), rest(oldObject)))
    throw refuse(attributes, `node "${node}" may only take the finalizer trimtab.dev/local-volume off`);
};

const checks: Readonly<Record<string, Check>> = {
  '/nodes': nodes,
  '/nodes/status': nodes,
  '/persistentvolumes': persistentVolumes,
  '/pods': pods,
  '/pods/status': podStatus,
  '/pods/eviction': ownPod,
  '/serviceaccounts/token': token,
  'coordination.k8s.io/leases': leases,
  'storage.k8s.io/csinodes': (attributes, node) => {
    if (attributes.name !== node)
      throw refuse(attributes, 'can only access CSINode with the same name as the requesting node');
  },
};

/** A kubelet writes only its own node, lease and pods, and asks for tokens only for its pods. */
export function nodeRestriction(reader: ObjectReader): AdmissionPlugin {
  return {
    name: 'NodeRestriction',
    validate(attributes) {
      const { user, type, subresource } = attributes;
      if (!user.groups.includes(nodesGroup)) return;
      const node = nodeNameOf(user);
      if (node === undefined) throw refuse(attributes, `could not determine node identity from user "${user.name}"`);
      checks[`${type.group}/${type.resource}${subresource ? `/${subresource}` : ''}`]?.(attributes, node, reader);
    },
  };
}
