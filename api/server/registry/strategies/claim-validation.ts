import { causes, type PersistentVolumeClaim, parseQuantity } from '@trimtab/machinery';
import { type Causes, dnsSubdomain, optionalOneOf, quantity, required } from './checks.js';
import { validateLabelSelector } from './selector-validation.js';

const accessModes = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];

export function validateAccessModes(modes: readonly string[] | undefined, at: string, out: Causes): void {
  if (!required(modes, at, out, 'at least 1 access mode is required')) return;
  for (const mode of modes ?? []) if (!accessModes.includes(mode)) out.push(causes.notSupported(at, mode, accessModes));
  if (modes?.includes('ReadWriteOncePod') && modes.length > 1)
    out.push(causes.forbidden(at, 'may not use ReadWriteOncePod with other access modes'));
}

/** What a claim asks for, also as the template of an ephemeral volume or of a StatefulSet. */
export function validateClaimSpec(spec: PersistentVolumeClaim['spec'], at: string, out: Causes): void {
  validateAccessModes(spec?.accessModes, `${at}.accessModes`, out);
  validateLabelSelector(spec?.selector, `${at}.selector`, out);
  const storage = spec?.resources?.requests?.storage;
  if (storage === undefined) out.push(causes.required(`${at}.resources[storage]`));
  else if (quantity(storage, `${at}.resources[storage]`, out) && parseQuantity(storage).nano === 0n)
    out.push(causes.invalid(`${at}.resources[storage]`, storage, 'must be greater than zero'));
  if (spec?.storageClassName) dnsSubdomain(spec.storageClassName, `${at}.storageClassName`, out);
  optionalOneOf(spec?.volumeMode, ['Block', 'Filesystem'], `${at}.volumeMode`, out);
  validateDataSources(spec, at, out);
  if (spec?.volumeAttributesClassName)
    dnsSubdomain(spec.volumeAttributesClassName, `${at}.volumeAttributesClassName`, out);
}

function validateDataSources(spec: PersistentVolumeClaim['spec'], at: string, out: Causes): void {
  for (const field of ['dataSource', 'dataSourceRef'] as const) {
    const source = spec?.[field];
    if (!source) continue;
    required(source.name, `${at}.${field}.name`, out);
    required(source.kind, `${at}.${field}.kind`, out);
    if (!source.apiGroup && source.kind && source.kind !== 'PersistentVolumeClaim')
      out.push(causes.invalid(`${at}.${field}`, source.kind, ''));
  }
  const { dataSource: a, dataSourceRef: b } = spec ?? {};
  if (a && b && (a.name !== b.name || a.kind !== b.kind || (a.apiGroup ?? '') !== (b.apiGroup ?? '')))
    out.push(causes.invalid(at, a, 'must match dataSourceRef'));
}
