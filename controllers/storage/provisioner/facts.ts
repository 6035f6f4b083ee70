import { isDeleting, isTrue, type View } from '@trimtab/framework';
import {
  compareQuantities,
  type Node,
  Nodes,
  type PersistentVolume,
  type PersistentVolumeClaim,
  PersistentVolumes,
  parseQuantity,
  type StorageClass,
  StorageClasses,
} from '@trimtab/machinery';
import {
  annotationOf,
  classNameOf,
  LOCAL_PROVISIONER,
  LOCAL_VOLUMES_DIR,
  PROVISIONED_BY,
  SELECTED_NODE,
  STORAGE_PROVISIONER,
  volumeNameFor,
} from '../names.js';
import { matchesTopology } from '../topology.js';

/** All that making a volume for a claim depends on. */
export interface ProvisionFacts {
  readonly claim: PersistentVolumeClaim;
  /** The claim is this provisioner's and has no volume yet. */
  readonly wanted: boolean;
  readonly storageClass: StorageClass | undefined;
  /** Where the volume will be. */
  readonly node: Node | undefined;
  /** The node chosen for the claim's first pod is there no more. */
  readonly strayed: boolean;
  /** The claim's volume, made here, that is smaller than what the claim asks for by now. */
  readonly outgrown: PersistentVolume | undefined;
  /** Why no volume can be made of what the claim and its class ask for. */
  readonly refusal: string | undefined;
}

export function provisionFacts(view: View<PersistentVolumeClaim>): ProvisionFacts | undefined {
  const claim = view.object;
  if (!claim) return undefined;
  const storageClass = view.get(StorageClasses, { name: classNameOf(claim) ?? '' });
  const wanted =
    annotationOf(claim, STORAGE_PROVISIONER) === LOCAL_PROVISIONER &&
    storageClass?.provisioner === LOCAL_PROVISIONER &&
    !claim.spec?.volumeName &&
    !isDeleting(claim) &&
    !view.get(PersistentVolumes, { name: volumeNameFor(claim) });
  const selected = annotationOf(claim, SELECTED_NODE);
  const node = selected
    ? view.get(Nodes, { name: selected })
    : storageClass?.volumeBindingMode === 'Immediate'
      ? emptiest(view, storageClass)
      : undefined;
  return {
    claim,
    wanted: wanted && (selected !== undefined || storageClass?.volumeBindingMode === 'Immediate'),
    storageClass,
    node,
    strayed: selected !== undefined && !node,
    outgrown: outgrownBy(view, claim),
    refusal: refusalOf(claim, storageClass, node),
  };
}

function outgrownBy(view: View<PersistentVolumeClaim>, { metadata, spec, status }: PersistentVolumeClaim) {
  if (!spec?.volumeName || status?.phase !== 'Bound') return undefined;
  const volume = view.get(PersistentVolumes, { name: spec.volumeName });
  if (!volume || isDeleting(volume) || annotationOf(volume, PROVISIONED_BY) !== LOCAL_PROVISIONER) return undefined;
  if (volume.spec?.claimRef?.uid !== metadata.uid) return undefined;
  const asked = parseQuantity(spec.resources?.requests?.storage ?? '0');
  return compareQuantities(asked, parseQuantity(volume.spec?.capacity?.storage ?? '0')) > 0 ? volume : undefined;
}

/** For a claim that waits for no pod: the usable node with the fewest volumes. */
function emptiest(view: View<PersistentVolumeClaim>, storageClass: StorageClass): Node | undefined {
  const volumes = view.list(PersistentVolumes);
  const load = (node: Node) => volumes.filter((volume) => hostnameOf(volume) === node.metadata.name).length;
  return view
    .list(Nodes)
    .filter(
      (node) =>
        isTrue(node.status?.conditions, 'Ready') &&
        !node.spec?.unschedulable &&
        annotationOf(node, LOCAL_VOLUMES_DIR) !== undefined &&
        matchesTopology(storageClass.allowedTopologies, node),
    )
    .sort((a, b) => load(a) - load(b) || (a.metadata.name! < b.metadata.name! ? -1 : 1))[0];
}

/** The one host a volume is tied to by its node affinity. */
export const hostnameOf = (volume: PersistentVolume): string | undefined =>
  volume.spec?.nodeAffinity?.required?.nodeSelectorTerms
    .flatMap((term) => term.matchExpressions ?? [])
    .find(({ key, operator }) => key === 'kubernetes.io/hostname' && operator === 'In')?.values?.[0];

function refusalOf(
  { spec }: PersistentVolumeClaim,
  storageClass: StorageClass | undefined,
  node: Node | undefined,
): string | undefined {
  if (spec?.volumeMode === 'Block') return 'volumeMode Block is not supported: a local volume is a directory';
  if (spec?.selector) return 'claim.spec.selector is not supported: a new volume has no labels to select by';
  const source = spec?.dataSourceRef ?? spec?.dataSource;
  if (source)
    return `claim.spec.dataSource ${source.kind} "${source.name}" is not supported: a local volume starts empty`;
  const [parameter] = Object.keys(storageClass?.parameters ?? {});
  if (parameter) return `parameter "${parameter}" of the storage class is not known`;
  if (storageClass?.mountOptions?.length) return 'mountOptions of the storage class do not apply to directories';
  if (!node) return 'no ready node keeps local volumes';
  return annotationOf(node, LOCAL_VOLUMES_DIR) === undefined
    ? `node "${node.metadata.name}" keeps no local volumes (it has no annotation ${LOCAL_VOLUMES_DIR})`
    : undefined;
}
