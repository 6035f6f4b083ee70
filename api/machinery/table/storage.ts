import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  PersistentVolume,
  PersistentVolumeClaim,
  StorageClass,
  VolumeAttachment,
  VolumeAttributesClass,
} from '../generated/types.js';
import type { KubeObject } from '../object.js';
import { canonicalQuantity, isQuantity } from '../quantity/quantity.js';
import { ageColumn, boolean, column, integer, nameColumn, type Printer, wide } from './column.js';

const shortModes = [
  ['ReadWriteOnce', 'RWO'],
  ['ReadOnlyMany', 'ROX'],
  ['ReadWriteMany', 'RWX'],
  ['ReadWriteOncePod', 'RWOP'],
] as const;

/** Access modes in their usual order and abbreviation. */
const accessModes = (modes: readonly string[] | undefined): string =>
  shortModes
    .filter(([mode]) => modes?.includes(mode))
    .map(([, short]) => short)
    .join(',');

const storageText = (resources: Readonly<Record<string, string>> | undefined): string => {
  const storage = resources?.storage;
  return storage !== undefined && isQuantity(storage) ? canonicalQuantity(storage) : '0';
};

const phaseOf = (object: KubeObject & { readonly status?: { readonly phase?: string } }): string =>
  object.metadata.deletionTimestamp ? 'Terminating' : (object.status?.phase ?? '');

/** The class used to be given by annotation; that still counts where it stands. */
const classOf = (object: KubeObject & { readonly spec?: { readonly storageClassName?: string } }): string =>
  object.metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? object.spec?.storageClassName ?? '';

export const persistentVolumePrinter: Printer<PersistentVolume> = {
  columns: [
    nameColumn,
    column('Capacity', 'Size of the volume.', (v: PersistentVolume) => storageText(v.spec?.capacity)),
    column('Access Modes', 'Ways the volume can be mounted.', (v: PersistentVolume) =>
      accessModes(v.spec?.accessModes),
    ),
    column(
      'Reclaim Policy',
      'What happens to the volume when its claim goes.',
      (v: PersistentVolume) => v.spec?.persistentVolumeReclaimPolicy ?? '',
    ),
    column('Status', 'Whether the volume is available, bound, released or failed.', phaseOf),
    column('Claim', 'Claim the volume is bound to.', (v: PersistentVolume) => {
      const claim = v.spec?.claimRef;
      return claim ? `${claim.namespace ?? ''}/${claim.name ?? ''}` : '';
    }),
    column('StorageClass', 'Class of the volume.', classOf),
    column(
      'VolumeAttributesClass',
      'Attributes class of the volume.',
      (v: PersistentVolume) => v.spec?.volumeAttributesClassName ?? '<unset>',
    ),
    column('Reason', 'Why the volume is in its state.', (v: PersistentVolume) => v.status?.reason ?? ''),
    ageColumn,
    column(
      'VolumeMode',
      'File system or block device.',
      (v: PersistentVolume) => v.spec?.volumeMode ?? '<unset>',
      wide,
    ),
  ],
};

export const persistentVolumeClaimPrinter: Printer<PersistentVolumeClaim> = {
  columns: [
    nameColumn,
    column('Status', 'Whether the claim is pending, bound or lost.', phaseOf),
    column('Volume', 'Volume the claim is bound to.', (c: PersistentVolumeClaim) => c.spec?.volumeName ?? ''),
    column('Capacity', 'Size of the bound volume.', (c: PersistentVolumeClaim) =>
      c.spec?.volumeName ? storageText(c.status?.capacity) : '',
    ),
    column('Access Modes', 'Ways the bound volume can be mounted.', (c: PersistentVolumeClaim) =>
      c.spec?.volumeName ? accessModes(c.status?.accessModes) : '',
    ),
    column('StorageClass', 'Class of the claim.', classOf),
    column(
      'VolumeAttributesClass',
      'Attributes class of the claim.',
      (c: PersistentVolumeClaim) => c.spec?.volumeAttributesClassName ?? '<unset>',
    ),
    ageColumn,
    column(
      'VolumeMode',
      'File system or block device.',
      (c: PersistentVolumeClaim) => c.spec?.volumeMode ?? '<unset>',
      wide,
    ),
  ],
};

/** Marks the class that is taken where none is named. */
const defaultMarked = (object: KubeObject, annotation: string): string =>
  `${object.metadata.name ?? ''}${object.metadata.annotations?.[annotation] === 'true' ? ' (default)' : ''}`;

export const storageClassPrinter: Printer<StorageClass> = {
  columns: [
    { ...nameColumn, cell: (c) => defaultMarked(c, 'storageclass.kubernetes.io/is-default-class') },
    column('Provisioner', 'Who makes the volumes.', (c: StorageClass) => c.provisioner),
    column(
      'ReclaimPolicy',
      'What happens to a volume when its claim goes.',
      (c: StorageClass) => c.reclaimPolicy ?? 'Delete',
    ),
    column('VolumeBindingMode', 'When claims are bound.', (c: StorageClass) => c.volumeBindingMode ?? 'Immediate'),
    column('AllowVolumeExpansion', 'Whether claims may grow.', (c: StorageClass) => c.allowVolumeExpansion ?? false),
    ageColumn,
  ],
};

export const volumeAttributesClassPrinter: Printer<VolumeAttributesClass> = {
  columns: [
    { ...nameColumn, cell: (c) => defaultMarked(c, 'volumeattributesclass.alpha.kubernetes.io/is-default-class') },
    column('DriverName', 'Driver the attributes are for.', (c: VolumeAttributesClass) => c.driverName),
    ageColumn,
  ],
};

export const volumeAttachmentPrinter: Printer<VolumeAttachment> = {
  columns: [
    nameColumn,
    column('Attacher', 'Driver that attaches.', (a: VolumeAttachment) => a.spec.attacher, { format: 'name' }),
    column('PV', 'Volume to attach.', (a: VolumeAttachment) => a.spec.source.persistentVolumeName ?? ''),
    column('Node', 'Node to attach to.', (a: VolumeAttachment) => a.spec.nodeName),
    column(
      'Attached',
      'Whether the volume is attached.',
      (a: VolumeAttachment) => a.status?.attached ?? false,
      boolean,
    ),
    ageColumn,
  ],
};

export const csiNodePrinter: Printer<CSINode> = {
  columns: [
    nameColumn,
    column('Drivers', 'Drivers registered on the node.', (n: CSINode) => n.spec?.drivers?.length ?? 0, integer),
    ageColumn,
  ],
};

export const csiDriverPrinter: Printer<CSIDriver> = {
  columns: [
    nameColumn,
    column(
      'AttachRequired',
      'Whether volumes must be attached.',
      (d: CSIDriver) => d.spec?.attachRequired ?? true,
      boolean,
    ),
    column(
      'PodInfoOnMount',
      'Whether the driver is told of the pod.',
      (d: CSIDriver) => d.spec?.podInfoOnMount ?? false,
      boolean,
    ),
    column(
      'StorageCapacity',
      'Whether capacity is published.',
      (d: CSIDriver) => d.spec?.storageCapacity ?? false,
      boolean,
    ),
    column(
      'TokenRequests',
      'Audiences of tokens the driver is given.',
      (d: CSIDriver) => d.spec?.tokenRequests?.map((t) => t.audience).join(',') ?? '<unset>',
    ),
    column(
      'RequiresRepublish',
      'Whether volumes are published again and again.',
      (d: CSIDriver) => d.spec?.requiresRepublish ?? false,
      boolean,
    ),
    column(
      'Modes',
      'Kinds of volumes the driver supports.',
      (d: CSIDriver) => d.spec?.volumeLifecycleModes?.join(',') || '<none>',
    ),
    ageColumn,
  ],
};

export const csiStorageCapacityPrinter: Printer<CSIStorageCapacity> = {
  columns: [
    nameColumn,
    column('StorageClassName', 'Class the capacity is of.', (c: CSIStorageCapacity) => c.storageClassName),
    column('Capacity', 'Capacity left.', (c: CSIStorageCapacity) => c.capacity ?? '<unset>'),
  ],
};
