import { causes, type Volume } from '@trimtab/machinery';
import {
  absolutePath,
  type Causes,
  dataKey,
  dnsLabel,
  dnsSubdomain,
  inRange,
  localPath,
  notDotDot,
  oneOf,
  optionalOneOf,
  quantity,
  required,
  templateMetadata,
  unique,
} from './checks.js';
import { validateClaimSpec } from './claim-validation.js';
import { downwardResource, validateFieldRef } from './downward-validation.js';
import { requiredVolumeFields } from './volume-sources.js';

const hostPathTypes = [
  '',
  'BlockDevice',
  'CharDevice',
  'Directory',
  'DirectoryOrCreate',
  'File',
  'FileOrCreate',
  'Socket',
];

export interface VolumeNames {
  readonly all: ReadonlySet<string>;
  /** Those that may be block devices. */
  readonly claims: ReadonlySet<string>;
}

/** The volumes of a pod called `podName` (kubernetes: core/validation ValidateVolumes); gives their names. */
export function validateVolumes(
  volumes: readonly Volume[] | undefined,
  at: string,
  out: Causes,
  podName: string,
): VolumeNames {
  const all = new Set<string>();
  const claims = new Set<string>();
  for (const [i, volume] of (volumes ?? []).entries()) {
    const path = `${at}[${i}]`;
    const before = out.length;
    validateSources(volume, path, out, podName);
    if (required(volume.name, `${path}.name`, out)) dnsLabel(volume.name, `${path}.name`, out);
    if (all.has(volume.name)) out.push(causes.duplicate(`${path}.name`, volume.name));
    else if (out.length === before || volume.name) all.add(volume.name);
    if (volume.persistentVolumeClaim || volume.ephemeral) claims.add(volume.name);
  }
  return { all, claims };
}

function validateSources(volume: Volume, at: string, out: Causes, podName: string): void {
  const sources = Object.keys(volume).filter((key) => key !== 'name' && volume[key as keyof Volume] !== undefined);
  if (sources.length === 0) out.push(causes.required(at, 'must specify a volume type'));
  for (const [i, source] of sources.entries()) {
    if (i > 0) out.push(causes.forbidden(`${at}.${source}`, 'may not specify more than 1 volume type'));
    else validateSource(volume, source, `${at}.${source}`, out, podName);
  }
}

function validateSource(volume: Volume, source: string, at: string, out: Causes, podName: string): void {
  const fields = volume[source as keyof Volume] as unknown as Readonly<Record<string, unknown>>;
  for (const field of requiredVolumeFields[source] ?? []) required(fields[field], `${at}.${field}`, out);
  switch (source) {
    case 'hostPath':
      notDotDot(volume.hostPath?.path, `${at}.path`, out);
      optionalOneOf(volume.hostPath?.type, hostPathTypes, `${at}.type`, out);
      return;
    case 'emptyDir':
      if (volume.emptyDir?.sizeLimit !== undefined) quantity(volume.emptyDir.sizeLimit, `${at}.sizeLimit`, out);
      return;
    case 'gitRepo':
      if (volume.gitRepo?.directory) localPath(volume.gitRepo.directory, `${at}.directory`, out);
      return;
    case 'secret':
    case 'configMap':
      fileMode(fields.defaultMode as number | undefined, `${at}.defaultMode`, out);
      validateItems(fields.items as readonly Item[] | undefined, `${at}.items`, out);
      return;
    case 'downwardAPI':
      fileMode(volume.downwardAPI?.defaultMode, `${at}.defaultMode`, out);
      validateDownward(volume.downwardAPI?.items, `${at}.items`, out);
      return;
    case 'projected':
      validateProjected(volume.projected, at, out);
      return;
    case 'nfs':
      if (volume.nfs?.path) absolutePath(volume.nfs.path, `${at}.path`, out);
      return;
    case 'iscsi':
      inRange(volume.iscsi?.lun, 0, 255, `${at}.lun`, out);
      return;
    case 'gcePersistentDisk':
      if (fields.partition !== undefined) inRange(fields.partition as number, 0, 255, `${at}.partition`, out);
      return;
    case 'fc':
      validateFibreChannel(volume.fc, at, out);
      return;
    case 'flocker':
      if (!fields.datasetName && !fields.datasetUUID)
        out.push(causes.required(at, 'one of datasetName and datasetUUID is required'));
      return;
    case 'azureDisk':
      optionalOneOf(volume.azureDisk?.cachingMode, ['None', 'ReadOnly', 'ReadWrite'], `${at}.cachingMode`, out);
      optionalOneOf(volume.azureDisk?.kind, ['Dedicated', 'Managed', 'Shared'], `${at}.kind`, out);
      return;
    case 'ephemeral':
      validateEphemeral(volume, at, out, podName);
      return;
    case 'csi':
      if (volume.csi?.driver) driverName(volume.csi.driver, `${at}.driver`, out);
      if (volume.csi?.nodePublishSecretRef)
        required(volume.csi.nodePublishSecretRef.name, `${at}.nodePublishSecretRef.name`, out);
      return;
    case 'image':
      oneOf(volume.image?.pullPolicy, ['Always', 'IfNotPresent', 'Never'], `${at}.pullPolicy`, out);
  }
}

/** A CSI driver's name: a DNS subdomain of at most 63 characters, in any case. */
export function driverName(name: string, at: string, out: Causes): void {
  if (name.length > 63) out.push(causes.tooLong(at, 63));
  dnsSubdomain(name.toLowerCase(), at, out);
}

function validateFibreChannel(fc: Volume['fc'], at: string, out: Causes): void {
  const named = Boolean(fc?.targetWWNs?.length);
  const worldWide = Boolean(fc?.wwids?.length);
  if (!named && !worldWide)
    out.push(causes.required(`${at}.targetWWNs`, 'must specify either targetWWNs or wwids, but not both'));
  if (named && worldWide)
    out.push(
      causes.invalid(`${at}.targetWWNs`, fc?.targetWWNs, 'targetWWNs and wwids can not be specified simultaneously'),
    );
  if (!named) return;
  if (fc?.lun === undefined) out.push(causes.required(`${at}.lun`, 'lun is required if targetWWNs is specified'));
  else inRange(fc.lun, 0, 255, `${at}.lun`, out);
}

function validateEphemeral(volume: Volume, at: string, out: Causes, podName: string): void {
  const template = volume.ephemeral?.volumeClaimTemplate;
  if (!template) {
    out.push(causes.required(`${at}.volumeClaimTemplate`));
    return;
  }
  templateMetadata(template.metadata, `${at}.volumeClaimTemplate.metadata`, out);
  validateClaimSpec(template.spec, `${at}.volumeClaimTemplate.spec`, out);
  const claim = `${podName}-${volume.name}`;
  if (podName && claim.length > 253)
    out.push(
      causes.invalid(
        `${at.slice(0, at.lastIndexOf('.'))}.name`,
        volume.name,
        `PVC name "${claim}": must be no more than 253 characters`,
      ),
    );
}

interface Item {
  readonly key?: string;
  readonly path: string;
  readonly mode?: number;
}

function validateItems(items: readonly Item[] | undefined, at: string, out: Causes): void {
  for (const [i, item] of (items ?? []).entries()) {
    if (required(item.key, `${at}[${i}].key`, out)) dataKey(item.key ?? '', `${at}[${i}].key`, out);
    if (required(item.path, `${at}[${i}].path`, out)) localPath(item.path, `${at}[${i}].path`, out);
    fileMode(item.mode, `${at}[${i}].mode`, out);
  }
}

function fileMode(mode: number | undefined, at: string, out: Causes): void {
  if (mode !== undefined && (mode < 0 || mode > 0o777))
    out.push(causes.invalid(at, mode, 'must be a number between 0 and 0777 (octal), both inclusive'));
}

type DownwardItems = NonNullable<Volume['downwardAPI']>['items'];

const downwardFiles = [
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
];

function validateDownward(items: DownwardItems, at: string, out: Causes): void {
  for (const [i, item] of (items ?? []).entries()) {
    const path = `${at}[${i}]`;
    if (required(item.path, `${path}.path`, out)) localPath(item.path, `${path}.path`, out);
    if (item.fieldRef) {
      validateFieldRef(item.fieldRef, downwardFiles, `${path}.fieldRef`, out);
      if (item.resourceFieldRef)
        out.push(causes.invalid(path, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously'));
    } else if (item.resourceFieldRef) downwardResource(item.resourceFieldRef, `${path}.resourceFieldRef`, out, true);
    else out.push(causes.required(path, 'one of fieldRef and resourceFieldRef is required'));
    fileMode(item.mode, `${path}.mode`, out);
  }
}

function validateProjected(projected: Volume['projected'], at: string, out: Causes): void {
  fileMode(projected?.defaultMode, `${at}.defaultMode`, out);
  const paths: string[] = [];
  for (const [i, source] of (projected?.sources ?? []).entries()) {
    const path = `${at}.sources[${i}]`;
    const given = Object.keys(source).filter((key) => source[key as keyof typeof source] !== undefined);
    if (given.length === 0)
      out.push(
        causes.required(
          path,
          'must specify one of: `secret`, `configMap`, `downwardAPI`, `serviceAccountToken`, `clusterTrustBundle` or `podCertificate`',
        ),
      );
    for (const extra of given.slice(1))
      out.push(causes.forbidden(`${path}.${extra}`, 'may not specify more than 1 volume type'));
    for (const kind of ['secret', 'configMap'] as const)
      if (source[kind]) {
        required(source[kind].name, `${path}.${kind}.name`, out);
        validateItems(source[kind].items, `${path}.${kind}.items`, out);
        paths.push(...(source[kind].items ?? []).map((item) => item.path));
      }
    validateDownward(source.downwardAPI?.items, `${path}.downwardAPI.items`, out);
    paths.push(...(source.downwardAPI?.items ?? []).map((item) => item.path));
    const bundle = source.clusterTrustBundle;
    if (bundle) {
      if (bundle.name && bundle.signerName)
        out.push(causes.invalid(`${path}.clusterTrustBundle`, bundle, 'only one of name and signerName may be used'));
      else if (!bundle.name && !bundle.signerName)
        out.push(causes.required(`${path}.clusterTrustBundle`, 'either name or signerName must be specified'));
      if (required(bundle.path, `${path}.clusterTrustBundle.path`, out)) {
        localPath(bundle.path, `${path}.clusterTrustBundle.path`, out);
        paths.push(bundle.path);
      }
    }
    const token = source.serviceAccountToken;
    if (!token) continue;
    const seconds = token.expirationSeconds;
    if (seconds !== undefined && seconds < 600)
      out.push(
        causes.invalid(
          `${path}.serviceAccountToken.expirationSeconds`,
          seconds,
          'may not specify a duration less than 10 minutes',
        ),
      );
    if (seconds !== undefined && seconds > 2 ** 32)
      out.push(
        causes.invalid(
          `${path}.serviceAccountToken.expirationSeconds`,
          seconds,
          'may not specify a duration larger than 2^32 seconds',
        ),
      );
    if (required(token.path, `${path}.serviceAccountToken.path`, out)) {
      localPath(token.path, `${path}.serviceAccountToken.path`, out);
      paths.push(token.path);
    }
  }
  unique(
    paths,
    (p) => p,
    () => `${at}.sources`,
    out,
    'conflicting duplicate paths',
  );
}
