import {
  causes,
  type DeviceClass,
  equalJson,
  type ResourceClaim,
  type ResourceClaimTemplate,
  type ResourceSlice,
} from '@trimtab/machinery';
import {
  type Causes,
  dnsLabel,
  dnsSubdomain,
  immutable,
  inRange,
  oneOf,
  required,
  templateMetadata,
  unique,
} from './checks.js';
import type { KindRules } from './typed.js';
import { driverName } from './volume-validation.js';

/** resource.k8s.io (kubernetes: pkg/apis/resource/validation). */

type ClaimSpec = ResourceClaim['spec'];
const most = 32;

function validateClaim(spec: ClaimSpec | undefined, at: string, out: Causes): void {
  const requests = spec?.devices?.requests ?? [];
  if (requests.length > most) out.push(causes.tooMany(`${at}.devices.requests`, requests.length, most));
  for (const [i, request] of requests.entries()) {
    const path = `${at}.devices.requests[${i}]`;
    if (required(request.name, `${path}.name`, out)) dnsLabel(request.name, `${path}.name`, out);
    if (request.exactly && request.firstAvailable?.length)
      out.push(causes.invalid(path, null, 'exactly one of `exactly` or `firstAvailable` must be specified'));
    else if (!request.exactly && !request.firstAvailable?.length)
      out.push(causes.required(path, 'exactly one of `exactly` or `firstAvailable` is required'));
    if (request.exactly) validateRequest(request.exactly, `${path}.exactly`, out);
    for (const [j, sub] of (request.firstAvailable ?? []).entries()) {
      if (required(sub.name, `${path}.firstAvailable[${j}].name`, out))
        dnsLabel(sub.name, `${path}.firstAvailable[${j}].name`, out);
      validateRequest(sub, `${path}.firstAvailable[${j}]`, out);
    }
  }
  unique(
    requests,
    (r) => r.name,
    (i) => `${at}.devices.requests[${i}].name`,
    out,
  );
  const names = new Set(
    requests.flatMap((r) => [r.name, ...(r.firstAvailable ?? []).map((sub) => `${r.name}/${sub.name}`)]),
  );
  const refer = (list: readonly string[] | undefined, path: string) => {
    for (const [i, name] of (list ?? []).entries())
      if (!names.has(name))
        out.push(
          causes.invalid(
            `${path}[${i}]`,
            name,
            "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'",
          ),
        );
  };
  for (const [i, c] of (spec?.devices?.constraints ?? []).entries())
    refer(c.requests, `${at}.devices.constraints[${i}].requests`);
  for (const [i, c] of (spec?.devices?.config ?? []).entries()) {
    refer(c.requests, `${at}.devices.config[${i}].requests`);
    if (!c.opaque) out.push(causes.required(`${at}.devices.config[${i}].opaque`));
    else if (required(c.opaque.driver, `${at}.devices.config[${i}].opaque.driver`, out))
      driverName(c.opaque.driver, `${at}.devices.config[${i}].opaque.driver`, out);
  }
}

interface Request {
  readonly deviceClassName: string;
  readonly allocationMode?: string;
  readonly count?: number;
}

function validateRequest({ deviceClassName, allocationMode, count }: Request, at: string, out: Causes): void {
  if (required(deviceClassName, `${at}.deviceClassName`, out))
    dnsSubdomain(deviceClassName, `${at}.deviceClassName`, out);
  oneOf(allocationMode, ['All', 'ExactCount'], `${at}.allocationMode`, out);
  if (allocationMode === 'All' && count)
    out.push(causes.invalid(`${at}.count`, count, "must not be specified when allocationMode is 'All'"));
  if (allocationMode === 'ExactCount' && (count ?? 0) <= 0)
    out.push(causes.invalid(`${at}.count`, count ?? 0, 'must be greater than zero'));
}

export const resourceClaim: KindRules<ResourceClaim> = {
  prepareForCreate: (object) => ({ ...object, status: {} }),
  validate: ({ spec }, out) => validateClaim(spec, 'spec', out),
  validateChange: (now, old, out) => void immutable(now.spec, old.spec, equalJson, 'spec', out),
};

export const resourceClaimTemplate: KindRules<ResourceClaimTemplate> = {
  validate({ spec }, out) {
    templateMetadata(spec?.metadata, 'spec.metadata', out);
    validateClaim(spec?.spec, 'spec.spec', out);
  },
  validateChange: (now, old, out) => void immutable(now.spec, old.spec, equalJson, 'spec', out),
};

export const deviceClass: KindRules<DeviceClass> = {
  validate({ spec }, out) {
    const selectors = spec?.selectors ?? [];
    if (selectors.length > most) out.push(causes.tooMany('spec.selectors', selectors.length, most));
    for (const [i, s] of selectors.entries()) required(s.cel?.expression, `spec.selectors[${i}].cel`, out);
  },
};

export const resourceSlice: KindRules<ResourceSlice> = {
  validate({ spec }, out) {
    const places = [
      spec?.nodeName,
      spec?.nodeSelector,
      spec?.allNodes || undefined,
      spec?.perDeviceNodeSelection,
    ].filter((p) => p !== undefined && p !== '');
    if (places.length === 0)
      out.push(
        causes.required(
          'spec',
          'exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required',
        ),
      );
    else if (places.length > 1)
      out.push(
        causes.invalid(
          'spec',
          null,
          'exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required',
        ),
      );
    if (spec?.nodeName) dnsSubdomain(spec.nodeName, 'spec.nodeName', out);
    if (required(spec?.driver, 'spec.driver', out)) driverName(spec?.driver ?? '', 'spec.driver', out);
    if (required(spec?.pool?.name, 'spec.pool.name', out))
      for (const part of (spec?.pool.name ?? '').split('/')) dnsSubdomain(part, 'spec.pool.name', out);
    if ((spec?.pool?.resourceSliceCount ?? 0) <= 0)
      out.push(
        causes.invalid(
          'spec.pool.resourceSliceCount',
          spec?.pool?.resourceSliceCount ?? 0,
          'must be greater than zero',
        ),
      );
    inRange(spec?.pool?.generation, 0, Number.MAX_SAFE_INTEGER, 'spec.pool.generation', out);
    const devices = spec?.devices ?? [];
    if (devices.length > 128) out.push(causes.tooMany('spec.devices', devices.length, 128));
    for (const [i, device] of devices.entries())
      if (required(device.name, `spec.devices[${i}].name`, out)) dnsLabel(device.name, `spec.devices[${i}].name`, out);
    unique(
      devices,
      (d) => d.name,
      (i) => `spec.devices[${i}].name`,
      out,
    );
  },
  validateChange(now, old, out) {
    immutable(now.spec?.driver, old.spec?.driver, equalJson, 'spec.driver', out);
    immutable(now.spec?.pool?.name, old.spec?.pool?.name, equalJson, 'spec.pool.name', out);
    immutable(now.spec?.nodeName, old.spec?.nodeName, equalJson, 'spec.nodeName', out);
  },
};
