import {
  causes,
  compareQuantities,
  equalJson,
  type HorizontalPodAutoscaler,
  type Ingress,
  isQuantity,
  type LimitRange,
  type NetworkPolicy,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type PodDisruptionBudget,
  parseQuantity,
  type ResourceQuota,
  type StorageClass,
} from '@trimtab/machinery';
import {
  type Causes,
  countOrPercent,
  dnsSubdomain,
  immutable,
  nonNegative,
  oneOf,
  optionalOneOf,
  port,
  portName,
  portOrName,
  positive,
  quantity,
  required,
} from './checks.js';
import { validateAccessModes, validateClaimSpec } from './claim-validation.js';
import { validateLabelSelector } from './selector-validation.js';
import type { KindRules } from './typed.js';

export const persistentVolumeClaim: KindRules<PersistentVolumeClaim> = {
  prepareForCreate: (object) => ({ ...object, status: { phase: 'Pending' } }),
  validate({ spec }, out) {
    validateClaimSpec(spec, 'spec', out);
  },
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
    if (compareQuantities(parseQuantity(requested), parseQuantity(before)) < 0)
      out.push(causes.forbidden('spec.resources.requests.storage', 'field can not be less than previous value'));
    else if (old.status?.phase !== 'Bound')
      out.push(causes.forbidden('spec.resources.requests.storage', 'only bound claims can be expanded'));
  },
};

export const persistentVolume: KindRules<PersistentVolume> = {
  prepareForCreate: (object) => ({ ...object, status: { phase: 'Pending' } }),
  validate({ spec }, out) {
    validateAccessModes(spec?.accessModes, 'spec.accessModes', out);
    const storage = spec?.capacity?.storage;
    if (storage === undefined) out.push(causes.required('spec.capacity'));
    else quantity(storage, 'spec.capacity[storage]', out);
    oneOf(
      spec?.persistentVolumeReclaimPolicy,
      ['Delete', 'Recycle', 'Retain'],
      'spec.persistentVolumeReclaimPolicy',
      out,
    );
    optionalOneOf(spec?.volumeMode, ['Block', 'Filesystem'], 'spec.volumeMode', out);
    const sources = [
      'awsElasticBlockStore',
      'azureDisk',
      'azureFile',
      'cephfs',
      'cinder',
      'csi',
      'fc',
      'flexVolume',
      'flocker',
      'gcePersistentDisk',
      'glusterfs',
      'hostPath',
      'iscsi',
      'local',
      'nfs',
      'photonPersistentDisk',
      'portworxVolume',
      'quobyte',
      'rbd',
      'scaleIO',
      'storageos',
      'vsphereVolume',
    ] as const;
    const given = sources.filter((source) => spec?.[source as keyof typeof spec] !== undefined);
    if (given.length === 0) out.push(causes.required('spec', 'must specify a volume type'));
    for (const extra of given.slice(1))
      out.push(causes.forbidden(`spec.${extra}`, 'may not specify more than 1 volume type'));
    if (spec?.local && !spec.nodeAffinity)
      out.push(causes.required('spec.nodeAffinity', 'Local volume requires node affinity'));
  },
};

type Amounts = Readonly<Record<string, string>>;

function validateAmounts(amounts: Amounts | undefined, at: string, out: Causes): void {
  for (const [name, value] of Object.entries(amounts ?? {})) quantity(value, `${at}[${name}]`, out);
}

export const resourceQuota: KindRules<ResourceQuota> = {
  validate: ({ spec }, out) => validateAmounts(spec?.hard, 'spec.hard', out),
  validateChange: (now, old, out) =>
    void immutable(now.spec?.scopes ?? [], old.spec?.scopes ?? [], equalJson, 'spec.scopes', out),
};

export const limitRange: KindRules<LimitRange> = {
  validate({ spec }, out) {
    for (const [i, item] of (spec?.limits ?? []).entries()) {
      const at = `spec.limits[${i}]`;
      const before = out.length;
      oneOf(item.type, ['Container', 'PersistentVolumeClaim', 'Pod'], `${at}.type`, out);
      for (const field of ['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio'] as const)
        validateAmounts(item[field], `${at}.${field}`, out);
      if (item.type === 'Pod')
        for (const field of ['default', 'defaultRequest'] as const)
          if (item[field]) out.push(causes.forbidden(`${at}.${field}`, "may not be specified when `type` is 'Pod'"));
      if (out.length > before) continue;
      const notAbove = (low: 'min' | 'default' | 'defaultRequest', high: 'max' | 'default' | 'defaultRequest') => {
        for (const [name, value] of Object.entries(item[low] ?? {})) {
          const bound = item[high]?.[name];
          if (bound !== undefined && compareQuantities(parseQuantity(value), parseQuantity(bound)) > 0)
            out.push(
              causes.invalid(
                `${at}.${low}[${name}]`,
                value,
                `${low} value ${value} is greater than ${high} value ${bound}`,
              ),
            );
        }
      };
      notAbove('min', 'max');
      notAbove('min', 'defaultRequest');
      notAbove('defaultRequest', 'max');
      notAbove('defaultRequest', 'default');
      notAbove('min', 'default');
      notAbove('default', 'max');
    }
  },
};

export const storageClass: KindRules<StorageClass> = {
  validate({ provisioner, reclaimPolicy, volumeBindingMode }, out) {
    required(provisioner, 'provisioner', out);
    optionalOneOf(reclaimPolicy, ['Delete', 'Retain'], 'reclaimPolicy', out);
    oneOf(volumeBindingMode, ['Immediate', 'WaitForFirstConsumer'], 'volumeBindingMode', out);
  },
  validateChange(now, old, out) {
    for (const field of ['parameters', 'provisioner', 'reclaimPolicy', 'volumeBindingMode'] as const)
      if (!equalJson(now[field], old[field])) out.push(causes.forbidden(field, `updates to ${field} are forbidden.`));
  },
};

export const ingress: KindRules<Ingress> = {
  prepareForCreate: (object) => ({ ...object, status: { loadBalancer: {} } }),
  validate({ spec }, out) {
    if (!spec?.rules?.length && !spec?.defaultBackend)
      out.push(causes.invalid('spec', spec?.rules ?? [], 'either `defaultBackend` or `rules` must be specified'));
    if (spec?.ingressClassName) dnsSubdomain(spec.ingressClassName, 'spec.ingressClassName', out);
    if (spec?.defaultBackend) validateBackend(spec.defaultBackend, 'spec.defaultBackend', out);
    for (const [i, rule] of (spec?.rules ?? []).entries()) {
      const at = `spec.rules[${i}]`;
      if (rule.host) dnsSubdomain(rule.host.replace(/^\*\./, ''), `${at}.host`, out);
      for (const [j, path] of (rule.http?.paths ?? []).entries()) {
        const here = `${at}.http.paths[${j}]`;
        if (!path.pathType) out.push(causes.required(`${here}.pathType`, 'pathType must be specified'));
        else optionalOneOf(path.pathType, ['Exact', 'ImplementationSpecific', 'Prefix'], `${here}.pathType`, out);
        if (path.pathType !== 'ImplementationSpecific' && !path.path?.startsWith('/'))
          out.push(causes.invalid(`${here}.path`, path.path ?? '', 'must be an absolute path'));
        validateBackend(path.backend, `${here}.backend`, out);
      }
    }
  },
};

function validateBackend(backend: NonNullable<Ingress['spec']>['defaultBackend'], at: string, out: Causes): void {
  if (backend?.resource) {
    if (backend.service) out.push(causes.invalid(at, '', 'cannot set both resource and service backends'));
    return;
  }
  if (!backend?.service) {
    out.push(causes.required(`${at}`, 'must specify a service or a resource'));
    return;
  }
  required(backend.service.name, `${at}.service.name`, out);
  const { name, number } = backend.service.port ?? {};
  if (name && number) out.push(causes.invalid(at, '', 'cannot set both port name & port number'));
  else if (name) portName(name, `${at}.service.port.name`, out);
  else if (number) port(number, `${at}.service.port.number`, out);
  else out.push(causes.required(at, 'port name or number is required'));
}

export const networkPolicy: KindRules<NetworkPolicy> = {
  validate({ spec }, out) {
    validateLabelSelector(spec?.podSelector, 'spec.podSelector', out);
    for (const [i, type] of (spec?.policyTypes ?? []).entries())
      optionalOneOf(type, ['Egress', 'Ingress'], `spec.policyTypes[${i}]`, out);
    for (const direction of ['ingress', 'egress'] as const)
      for (const [i, rule] of (spec?.[direction] ?? []).entries())
        for (const [j, p] of (rule.ports ?? []).entries()) {
          const at = `spec.${direction}[${i}].ports[${j}]`;
          optionalOneOf(p.protocol, ['SCTP', 'TCP', 'UDP'], `${at}.protocol`, out);
          if (p.port !== undefined) portOrName(p.port, `${at}.port`, out);
        }
  },
};

export const podDisruptionBudget: KindRules<PodDisruptionBudget> = {
  validate({ spec }, out) {
    if (spec?.minAvailable !== undefined && spec.maxUnavailable !== undefined)
      out.push(causes.invalid('spec', spec, 'minAvailable and maxUnavailable cannot be both set'));
    countOrPercent(spec?.minAvailable, 'spec.minAvailable', out, 100);
    countOrPercent(spec?.maxUnavailable, 'spec.maxUnavailable', out, 100);
    validateLabelSelector(spec?.selector, 'spec.selector', out);
    optionalOneOf(
      spec?.unhealthyPodEvictionPolicy,
      ['AlwaysAllow', 'IfHealthyBudget'],
      'spec.unhealthyPodEvictionPolicy',
      out,
    );
  },
};

export const horizontalPodAutoscaler: KindRules<HorizontalPodAutoscaler> = {
  validate({ spec }, out) {
    const minimum = spec?.minReplicas;
    if (minimum !== undefined && minimum < 1)
      out.push(causes.invalid('spec.minReplicas', minimum, 'must be greater than or equal to 1'));
    if ((spec?.maxReplicas ?? 0) < 1)
      out.push(causes.invalid('spec.maxReplicas', spec?.maxReplicas ?? 0, 'must be greater than 0'));
    else if (minimum !== undefined && (spec?.maxReplicas ?? 0) < minimum)
      out.push(causes.invalid('spec.maxReplicas', spec?.maxReplicas, 'must be greater than or equal to `minReplicas`'));
    required(spec?.scaleTargetRef?.kind, 'spec.scaleTargetRef.kind', out);
    required(spec?.scaleTargetRef?.name, 'spec.scaleTargetRef.name', out);
    for (const direction of ['scaleUp', 'scaleDown'] as const) {
      const at = `spec.behavior.${direction}`;
      const behaviour = spec?.behavior?.[direction];
      nonNegative(behaviour?.stabilizationWindowSeconds, `${at}.stabilizationWindowSeconds`, out);
      for (const [i, policy] of (behaviour?.policies ?? []).entries()) {
        positive(policy.value, `${at}.policies[${i}].value`, out);
        positive(policy.periodSeconds, `${at}.policies[${i}].periodSeconds`, out);
      }
    }
  },
};
