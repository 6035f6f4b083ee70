import { type Pod, type PodSpec, RecentMap } from '@trimtab/machinery';
import type { ObjectChange } from './store-feed.js';

/** Everything of its namespace a pod names, as `<plural>/<name>`: what its kubelet has to read. */
export function podReferences(pod: Pod): ReadonlySet<string> {
  const refs = new Set<string>();
  const add = (plural: string, name: string | undefined) => {
    if (name) refs.add(`${plural}/${name}`);
  };
  const { metadata } = pod;
  const spec: PodSpec = pod.spec ?? { containers: [] };
  add('pods', metadata.name);
  add('serviceaccounts', spec.serviceAccountName || 'default');
  for (const secret of spec.imagePullSecrets ?? []) add('secrets', secret.name);
  for (const claim of spec.resourceClaims ?? []) add('resourceclaims', claim.resourceClaimName);
  for (const volume of spec.volumes ?? []) {
    add('secrets', volume.secret?.secretName);
    add('configmaps', volume.configMap?.name);
    add('persistentvolumeclaims', volume.persistentVolumeClaim?.claimName);
    if (volume.ephemeral) add('persistentvolumeclaims', `${metadata.name}-${volume.name}`);
    for (const source of volume.projected?.sources ?? []) {
      add('secrets', source.secret?.name);
      add('configmaps', source.configMap?.name);
    }
    // Every driver's own credentials (csi, cephfs, iscsi, flexVolume…) hang on the volume's one plugin field.
    for (const [plugin, value] of Object.entries(volume))
      if (plugin !== 'secret' && typeof value === 'object' && value !== null) add('secrets', secretRefOf(value));
  }
  const containers = [...(spec.containers ?? []), ...(spec.initContainers ?? []), ...(spec.ephemeralContainers ?? [])];
  for (const container of containers) {
    for (const { valueFrom } of container.env ?? []) {
      add('secrets', valueFrom?.secretKeyRef?.name);
      add('configmaps', valueFrom?.configMapKeyRef?.name);
    }
    for (const { secretRef, configMapRef } of container.envFrom ?? []) {
      add('secrets', secretRef?.name);
      add('configmaps', configMapRef?.name);
    }
  }
  return refs;
}

function secretRefOf(plugin: object): string | undefined {
  const { secretRef, nodePublishSecretRef } = plugin as Record<string, { readonly name?: string } | undefined>;
  return secretRef?.name ?? nodePublishSecretRef?.name;
}

/** What of a specification names others; each is the very same object in pods of one template. */
const NAMING = [
  'serviceAccountName',
  'imagePullSecrets',
  'resourceClaims',
  'volumes',
  'initContainers',
  'ephemeralContainers',
] as const;

interface Bound {
  readonly node: string;
  readonly spec: PodSpec;
  readonly refs: readonly string[];
}

/** Which node may read which object because a pod bound to it names it; fed with changes of `/pods`. */
export class NodeReferences {
  readonly #pods = new Map<string, Bound>();
  /** `<plural>/<namespace>/<name>`, then node, then how many of its pods name it. */
  readonly #readers = new Map<string, Map<string, number>>();
  readonly #known = new RecentMap<PodSpec['containers'], Bound & { readonly namespace: string }>(256);

  apply({ resource, key, object }: ObjectChange): void {
    if (resource !== '/pods') return;
    const { spec } = (object as Pod | undefined) ?? {};
    const node = spec?.nodeName ?? '';
    const before = this.#pods.get(key);
    if (before && before.spec === spec) return;
    if (!spec || node === '') {
      if (before) this.#count(before.node, before.refs, -1);
      this.#pods.delete(key);
      return;
    }
    const refs = this.#refsOf(object as Pod, spec, key.slice(0, key.indexOf('/')));
    this.#count(node, refs, 1);
    if (before) this.#count(before.node, before.refs, -1);
    this.#pods.set(key, { node, spec, refs });
  }

  mayRead(node: string, resource: string, namespace: string, name: string): boolean {
    if (resource === 'pods') return this.#pods.get(`${namespace}/${name}`)?.node === node;
    return this.#readers.get(`${resource}/${namespace}/${name}`)?.has(node) ?? false;
  }

  /** All but the pod itself. Claims of ephemeral volumes are each pod's own. */
  #refsOf(pod: Pod, spec: PodSpec, namespace: string): readonly string[] {
    const known = this.#known.get(spec.containers);
    if (known?.namespace === namespace && NAMING.every((field) => known.spec[field] === spec[field])) return known.refs;
    const refs: string[] = [];
    for (const ref of podReferences(pod)) if (!ref.startsWith('pods/')) refs.push(ref.replace('/', `/${namespace}/`));
    if (!spec.volumes?.some(({ ephemeral }) => ephemeral))
      this.#known.set(spec.containers, { node: '', spec, refs, namespace });
    return refs;
  }

  #count(node: string, refs: readonly string[], by: number): void {
    for (const ref of refs) {
      const nodes = this.#readers.get(ref) ?? new Map<string, number>();
      const count = (nodes.get(node) ?? 0) + by;
      if (count > 0) nodes.set(node, count);
      else nodes.delete(node);
      if (nodes.size > 0) this.#readers.set(ref, nodes);
      else this.#readers.delete(ref);
    }
  }
}
