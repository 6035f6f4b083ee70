import {
  type CSIDriver,
  type CSINode,
  type CSIStorageCapacity,
  causes,
  compareQuantities,
  equalJson,
  isQuantity,
  type PersistentVolume,
  type PersistentVolumeClaim,
  parseQuantity,
  type StorageClass,
  type VolumeAttachment,
  type VolumeAttributesClass,
} from '@trimtab/machinery';
import {
  absolutePath,
  type Causes,
  dnsSubdomain,
  immutable,
  nonNegative,
  notDotDot,
  oneOf,
  optionalOneOf,
  qualifiedName,
  quantity,
  required,
  unique,
} from './checks.js';
import { validateAccessModes, validateClaimSpec } from './claim-validation.js';
import { validateNodeTerm } from './scheduling-validation.js';
import { validateLabelSelector } from './selector-validation.js';
import type { KindRules } from './typed.js';
import { persistentVolumeSources, requiredVolumeFields } from './volume-sources.js';
import { driverName } from './volume-validation.js';

/** Volumes, claims on them, and storage.k8s.io (kubernetes: core/validation, pkg/apis/storage/validation). */

export const persistentVolumeClaim: KindRules<PersistentVolumeClaim> = {
  prepareForCreate: (object) => ({ ...object, status: { phase: 'Pending' } }),
  validate: ({ spec }, out) => validateClaimSpec(spec, 'spec', out),
  /** A claim may be bound, may grow, and may be given its class late; nothing else of it changes. */
  validateChange(now, old, out) {
    const a = now.spec;
    const b = old.spec;
    const requested = a?.resources?.requests?.storage;
    const before = b?.resources?.requests?.storage;
    const reset = {
      ...a,
      ...(b?.volumeName ? {} : { volumeName: b?.volumeName }),
      ...(b?.storageClassName === undefined ? { storageClassName: undefined } : {}),
      volumeAttributesClassName: b?.volumeAttributesClassName,
      resources: { ...a?.resources, requests: { ...a?.resources?.requests, storage: before } },
    };
    if (!equalJson(reset, { ...b, resources: { ...b?.resources, requests: { ...b?.resources?.requests } } })) {
      out.push(
        causes.forbidden(
          'spec',
          'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims',
        ),
      );
      return;
    }
    if (requested === before || !isQuantity(requested) || !isQuantity(before)) return;
    const order = compareQuantities(parseQuantity(requested), parseQuantity(before));
    if (order < 0)
      out.push(causes.forbidden('spec.resources.requests.storage', 'field can not be less than previous value'));
    else if (order > 0 && old.status?.phase !== 'Bound')
      out.push(causes.forbidden('spec.resources.requests.storage', 'only bound claims can be expanded'));
  },
};

export const persistentVolume: KindRules<PersistentVolume> = {
  warnings: ({ spec }) =>
    spec?.persistentVolumeReclaimPolicy === 'Recycle'
      ? [
          'spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.',
        ]
      : [],
  prepareForCreate: (object) => ({ ...object, status: { phase: 'Pending' } }),
  validate({ spec }, out) {
    validateAccessModes(spec?.accessModes, 'spec.accessModes', out);
    const amounts = Object.entries(spec?.capacity ?? {});
    if (amounts.length === 0) out.push(causes.required('spec.capacity'));
    else if (amounts.length > 1 || amounts[0]?.[0] !== 'storage')
      out.push(causes.notSupported('spec.capacity', Object.fromEntries(amounts), ['storage']));
    for (const [name, amount] of amounts)
      if (quantity(amount, `spec.capacity[${name}]`, out) && parseQuantity(amount).nano === 0n)
        out.push(causes.invalid(`spec.capacity[${name}]`, amount, 'must be greater than zero'));
    oneOf(
      spec?.persistentVolumeReclaimPolicy,
      ['Delete', 'Recycle', 'Retain'],
      'spec.persistentVolumeReclaimPolicy',
      out,
    );
    validateNodeAffinity(spec, out);
    validateVolumeSource(spec, out);
    if (spec?.hostPath?.path === '/' && spec.persistentVolumeReclaimPolicy === 'Recycle')
      out.push(
        causes.forbidden('spec.persistentVolumeReclaimPolicy', "may not be 'recycle' for a hostPath mount of '/'"),
      );
    if (spec?.storageClassName) dnsSubdomain(spec.storageClassName, 'spec.storageClassName', out);
    optionalOneOf(spec?.volumeMode, ['Block', 'Filesystem'], 'spec.volumeMode', out);
    if (spec?.volumeAttributesClassName) {
      dnsSubdomain(spec.volumeAttributesClassName, 'spec.volumeAttributesClassName', out);
      if (!spec.csi) out.push(causes.required('spec.csi', 'has to be specified when using volumeAttributesClassName'));
    }
  },
  validateChange(now, old, out) {
    const source = (pv: PersistentVolume) =>
      Object.fromEntries(persistentVolumeSources.map((s) => [s, pv.spec?.[s as keyof typeof pv.spec]]));
    if (!equalJson(source(now), source(old)))
      out.push(
        causes.forbidden('spec.persistentvolumesource', 'spec.persistentvolumesource is immutable after creation'),
      );
    immutable(now.spec?.volumeMode, old.spec?.volumeMode, equalJson, 'spec.volumeMode', out);
    if (old.spec?.nodeAffinity)
      immutable(now.spec?.nodeAffinity, old.spec.nodeAffinity, equalJson, 'spec.nodeAffinity', out);
  },
};

function validateNodeAffinity(spec: PersistentVolume['spec'], out: Causes): void {
  const at = 'spec.nodeAffinity.required';
  if (!spec?.nodeAffinity) return;
  const terms = spec.nodeAffinity.required?.nodeSelectorTerms;
  if (!spec.nodeAffinity.required) out.push(causes.required(at, 'must specify required node constraints'));
  else if (!terms?.length)
    out.push(causes.required(`${at}.nodeSelectorTerms`, 'must have at least one node selector term'));
  for (const [i, term] of (terms ?? []).entries()) validateNodeTerm(term, `${at}.nodeSelectorTerms[${i}]`, out);
}

function validateVolumeSource(spec: PersistentVolume['spec'], out: Causes): void {
  const given = persistentVolumeSources.filter((source) => spec?.[source as keyof typeof spec] !== undefined);
  for (const [i, source] of given.entries()) {
    const at = `spec.${source}`;
    if (i > 0) {
      out.push(causes.forbidden(at, 'may not specify more than 1 volume type'));
      continue;
    }
    const fields = spec?.[source as keyof typeof spec] as unknown as Readonly<Record<string, unknown>>;
    for (const field of requiredVolumeFields[source] ?? []) required(fields[field], `${at}.${field}`, out);
  }
  if (given.length === 0) out.push(causes.required('spec', 'must specify a volume type'));
  notDotDot(spec?.hostPath?.path, 'spec.hostPath.path', out);
  if (spec?.nfs?.path) absolutePath(spec.nfs.path, 'spec.nfs.path', out);
  if (spec?.local) {
    notDotDot(spec.local.path, 'spec.local.path', out);
    if (!spec.nodeAffinity) out.push(causes.required('spec.nodeAffinity', 'Local volume requires node affinity'));
  }
  if (spec?.csi) {
    if (spec.csi.driver) driverName(spec.csi.driver, 'spec.csi.driver', out);
    required(spec.csi.volumeHandle, 'spec.csi.volumeHandle', out);
  }
}

export const storageClass: KindRules<StorageClass> = {
  validate({ provisioner, parameters, reclaimPolicy, volumeBindingMode, allowedTopologies }, out) {
    if (required(provisioner, 'provisioner', out)) qualifiedName(provisioner.toLowerCase(), 'provisioner', out);
    validateParameters(parameters, out);
    optionalOneOf(reclaimPolicy, ['Delete', 'Retain'], 'reclaimPolicy', out);
    oneOf(volumeBindingMode, ['Immediate', 'WaitForFirstConsumer'], 'volumeBindingMode', out);
    for (const [i, term] of (allowedTopologies ?? []).entries())
      for (const [j, { key, values }] of (term.matchLabelExpressions ?? []).entries()) {
        const at = `allowedTopologies[${i}].matchLabelExpressions[${j}]`;
        required(values, `${at}.values`, out);
        qualifiedName(key, `${at}.key`, out);
      }
  },
  validateChange(now, old, out) {
    for (const field of ['parameters', 'provisioner', 'reclaimPolicy', 'volumeBindingMode'] as const)
      if (!equalJson(now[field], old[field])) out.push(causes.forbidden(field, `updates to ${field} are forbidden.`));
  },
};

/** At most 512 of them, 256 KiB together. */
function validateParameters(parameters: Readonly<Record<string, string>> | undefined, out: Causes): void {
  const all = Object.entries(parameters ?? {});
  if (all.length > 512) out.push(causes.tooLong('parameters', 512));
  let size = 0;
  for (const [key, value] of all) {
    if (key === '') out.push(causes.invalid('parameters', key, 'field can not be empty.'));
    size += key.length + value.length;
  }
  if (size > 256 * 1024) out.push(causes.tooLong('parameters', 256 * 1024));
}

export const csiDriver: KindRules<CSIDriver> = {
  validate({ metadata, spec }, out) {
    driverName(metadata.name ?? '', 'metadata.name', out);
    for (const field of ['attachRequired', 'podInfoOnMount', 'storageCapacity'] as const)
      if (spec?.[field] === undefined) out.push(causes.required(`spec.${field}`));
    optionalOneOf(spec?.fsGroupPolicy, ['File', 'None', 'ReadWriteOnceWithFSType'], 'spec.fsGroupPolicy', out);
    for (const mode of spec?.volumeLifecycleModes ?? [])
      optionalOneOf(mode, ['Ephemeral', 'Persistent'], 'spec.volumeLifecycleModes', out);
    for (const [i, { expirationSeconds }] of (spec?.tokenRequests ?? []).entries())
      if (expirationSeconds !== undefined && expirationSeconds < 600)
        out.push(
          causes.invalid(
            `spec.tokenRequests[${i}].expirationSeconds`,
            expirationSeconds,
            'may not specify a duration less than 10 minutes',
          ),
        );
  },
  validateChange(now, old, out) {
    immutable(now.spec?.attachRequired, old.spec?.attachRequired, equalJson, 'spec.attachedRequired', out);
    immutable(
      now.spec?.volumeLifecycleModes,
      old.spec?.volumeLifecycleModes,
      equalJson,
      'spec.volumeLifecycleModes',
      out,
    );
  },
};

export const csiNode: KindRules<CSINode> = {
  validate({ spec }, out) {
    for (const [i, driver] of (spec?.drivers ?? []).entries()) {
      const at = `spec.drivers[${i}]`;
      if (required(driver.name, `${at}.name`, out)) driverName(driver.name, `${at}.name`, out);
      if (required(driver.nodeID, `${at}.nodeID`, out) && driver.nodeID.length > 256)
        out.push(causes.invalid(`${at}.nodeID`, driver.nodeID, 'must be 256 characters or less'));
      nonNegative(driver.allocatable?.count, `${at}.allocatable.count`, out);
      for (const key of driver.topologyKeys ?? []) qualifiedName(key, `${at}.topologyKeys`, out);
    }
    unique(
      spec?.drivers,
      (d) => d.name,
      (i) => `spec.drivers[${i}].name`,
      out,
    );
  },
};

export const csiStorageCapacity: KindRules<CSIStorageCapacity> = {
  validate({ storageClassName, nodeTopology, capacity, maximumVolumeSize }, out) {
    dnsSubdomain(storageClassName ?? '', 'storageClassName', out);
    validateLabelSelector(nodeTopology, 'nodeTopology', out);
    if (capacity !== undefined) quantity(capacity, 'capacity', out);
    if (maximumVolumeSize !== undefined) quantity(maximumVolumeSize, 'maximumVolumeSize', out);
  },
  validateChange(now, old, out) {
    immutable(now.nodeTopology, old.nodeTopology, equalJson, 'nodeTopology', out);
    immutable(now.storageClassName, old.storageClassName, equalJson, 'storageClassName', out);
  },
};

export const volumeAttachment: KindRules<VolumeAttachment> = {
  validate({ spec }, out) {
    if (required(spec?.attacher, 'spec.attacher', out)) driverName(spec?.attacher ?? '', 'spec.attacher', out);
    const source = spec?.source;
    if (!source?.persistentVolumeName && !source?.inlineVolumeSpec)
      out.push(causes.required('spec.source', 'must specify exactly one of inlineVolumeSpec and persistentVolumeName'));
    else if (source.persistentVolumeName && source.inlineVolumeSpec)
      out.push(
        causes.forbidden('spec.source', 'must specify exactly one of inlineVolumeSpec and persistentVolumeName'),
      );
    required(spec?.nodeName, 'spec.nodeName', out);
  },
  validateChange: (now, old, out) => void immutable(now.spec, old.spec, equalJson, 'spec', out),
};

export const volumeAttributesClass: KindRules<VolumeAttributesClass> = {
  validate({ driverName: driver, parameters }, out) {
    if (required(driver, 'driverName', out)) driverName(driver, 'driverName', out);
    if (Object.keys(parameters ?? {}).length === 0) out.push(causes.required('parameters'));
    else validateParameters(parameters, out);
  },
  validateChange(now, old, out) {
    for (const field of ['driverName', 'parameters'] as const) immutable(now[field], old[field], equalJson, field, out);
  },
};
