import { causes, type Volume } from '@trimtab/machinery';
import { type Causes, dnsLabel, localPath, optionalOneOf, quantity, required, unique } from './checks.js';

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

/** The volumes of a pod; gives their names. */
export function validateVolumes(volumes: readonly Volume[] | undefined, at: string, out: Causes): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [i, volume] of (volumes ?? []).entries()) {
    const path = `${at}[${i}]`;
    if (required(volume.name, `${path}.name`, out)) dnsLabel(volume.name, `${path}.name`, out);
    names.add(volume.name);
    const sources = Object.keys(volume).filter((key) => key !== 'name' && volume[key as keyof Volume] !== undefined);
    if (sources.length === 0) out.push(causes.required(path, 'must specify a volume type'));
    for (const extra of sources.slice(1))
      out.push(causes.forbidden(`${path}.${extra}`, 'may not specify more than 1 volume type'));
    validateSource(volume, path, out);
  }
  unique(
    volumes,
    (v) => v.name,
    (i) => `${at}[${i}].name`,
    out,
  );
  return names;
}

interface Item {
  readonly key?: string;
  readonly path: string;
  readonly mode?: number;
}

function validateItems(items: readonly Item[] | undefined, at: string, out: Causes, keyed = true): void {
  for (const [i, item] of (items ?? []).entries()) {
    if (keyed) required(item.key, `${at}[${i}].key`, out);
    if (required(item.path, `${at}[${i}].path`, out)) localPath(item.path, `${at}[${i}].path`, out);
    fileMode(item.mode, `${at}[${i}].mode`, out);
  }
}

function fileMode(mode: number | undefined, at: string, out: Causes): void {
  if (mode !== undefined && (mode < 0 || mode > 0o777))
    out.push(causes.invalid(at, mode, 'must be a number between 0 and 0777 (octal), both inclusive'));
}

function validateSource(volume: Volume, at: string, out: Causes): void {
  const { hostPath, emptyDir, secret, configMap, downwardAPI, projected, persistentVolumeClaim, nfs, csi } = volume;
  if (hostPath) {
    if (required(hostPath.path, `${at}.hostPath.path`, out) && hostPath.path.split('/').includes('..'))
      out.push(causes.invalid(`${at}.hostPath.path`, hostPath.path, "must not contain '..'"));
    optionalOneOf(hostPath.type, hostPathTypes, `${at}.hostPath.type`, out);
  }
  if (emptyDir?.sizeLimit !== undefined) quantity(emptyDir.sizeLimit, `${at}.emptyDir.sizeLimit`, out);
  if (secret) {
    required(secret.secretName, `${at}.secret.secretName`, out);
    fileMode(secret.defaultMode, `${at}.secret.defaultMode`, out);
    validateItems(secret.items, `${at}.secret.items`, out);
  }
  if (configMap) {
    required(configMap.name, `${at}.configMap.name`, out);
    fileMode(configMap.defaultMode, `${at}.configMap.defaultMode`, out);
    validateItems(configMap.items, `${at}.configMap.items`, out);
  }
  if (downwardAPI) validateItems(downwardAPI.items, `${at}.downwardAPI.items`, out, false);
  if (persistentVolumeClaim) required(persistentVolumeClaim.claimName, `${at}.persistentVolumeClaim.claimName`, out);
  if (nfs) {
    required(nfs.server, `${at}.nfs.server`, out);
    required(nfs.path, `${at}.nfs.path`, out);
  }
  if (csi) required(csi.driver, `${at}.csi.driver`, out);
  fileMode(projected?.defaultMode, `${at}.projected.defaultMode`, out);
  for (const [i, source] of (projected?.sources ?? []).entries()) {
    const path = `${at}.projected.sources[${i}]`;
    if (source.secret) required(source.secret.name, `${path}.secret.name`, out);
    if (source.configMap) required(source.configMap.name, `${path}.configMap.name`, out);
    validateItems(source.secret?.items, `${path}.secret.items`, out);
    validateItems(source.configMap?.items, `${path}.configMap.items`, out);
    validateItems(source.downwardAPI?.items, `${path}.downwardAPI.items`, out, false);
    const token = source.serviceAccountToken;
    if (!token) continue;
    required(token.path, `${path}.serviceAccountToken.path`, out);
    if (token.expirationSeconds !== undefined && token.expirationSeconds < 600)
      out.push(
        causes.invalid(
          `${path}.serviceAccountToken.expirationSeconds`,
          token.expirationSeconds,
          'may not specify a duration less than 10 minutes',
        ),
      );
  }
}
