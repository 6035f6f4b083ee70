import {
  causes,
  compareQuantities,
  equalJson,
  type LimitRange,
  parseQuantity,
  type ResourceQuota,
} from '@trimtab/machinery';
import { type Causes, immutable, qualifiedName, quantity, required } from './checks.js';
import type { KindRules } from './typed.js';

/** What a namespace may use (kubernetes: pkg/apis/core/validation, ValidateResourceQuotaSpec and ValidateLimitRange). */

type Amounts = Readonly<Record<string, string>>;

const computed = ['cpu', 'memory', 'ephemeral-storage'];
const counted = [
  'pods',
  'services',
  'replicationcontrollers',
  'resourcequotas',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
  'services.nodeports',
  'services.loadbalancers',
];
const quotaResources = new Set([
  ...computed,
  ...computed.flatMap((name) => [`requests.${name}`, `limits.${name}`]),
  'requests.storage',
  ...counted,
]);
const standardResources = new Set([...quotaResources, 'storage']);
const containerResources = new Set(computed);
/** Those that a scope of pods can be asked of. */
const podResources = new Set([
  'pods',
  'cpu',
  'memory',
  'limits.cpu',
  'limits.memory',
  'requests.cpu',
  'requests.memory',
]);
const isHuge = (name: string): boolean => /^(requests\.)?hugepages-/.test(name);
const wholeNumbers = (name: string): boolean =>
  counted.includes(name) || (name.includes('/') && !name.includes('kubernetes.io/'));

function validateName(name: string, known: ReadonlySet<string>, why: string, at: string, out: Causes): void {
  qualifiedName(name, at, out);
  if (name.includes('/') || isHuge(name)) return;
  if (!standardResources.has(name))
    out.push(causes.invalid(at, name, 'must be a standard resource type or fully qualified'));
  if (!known.has(name)) out.push(causes.invalid(at, name, why));
}

function validateAmount(name: string, value: string, at: string, out: Causes): void {
  if (quantity(value, at, out) && wholeNumbers(name) && parseQuantity(value).nano % 1_000_000_000n !== 0n)
    out.push(causes.invalid(at, value, 'must be an integer'));
}

const scopes = [
  'BestEffort',
  'CrossNamespacePodAffinity',
  'NotBestEffort',
  'NotTerminating',
  'PriorityClass',
  'Terminating',
  'VolumeAttributesClass',
];
const contradictions = [
  ['BestEffort', 'NotBestEffort'],
  ['Terminating', 'NotTerminating'],
] as const;

/** Whether a scope can tell which of a resource count; of resources it knows nothing of nobody asks. */
function scopeFits(scope: string, resource: string): boolean {
  if (!quotaResources.has(resource) && !isHuge(resource)) return true;
  if (scope === 'BestEffort') return resource === 'pods';
  if (scope === 'VolumeAttributesClass')
    return resource === 'persistentvolumeclaims' || resource === 'requests.storage';
  return podResources.has(resource);
}

function validateScopes(spec: NonNullable<ResourceQuota['spec']>, out: Causes): void {
  const hard = Object.keys(spec.hard ?? {});
  const judge = (names: readonly string[], at: string, value: unknown, where: (i: number) => string) => {
    for (const [i, scope] of names.entries()) {
      if (!scopes.includes(scope)) out.push(causes.invalid(where(i), value, 'unsupported scope'));
      else
        for (const name of hard)
          if (!scopeFits(scope, name)) out.push(causes.invalid(at, value, 'unsupported scope applied to resource'));
    }
    for (const pair of contradictions)
      if (pair.every((scope) => names.includes(scope))) out.push(causes.invalid(at, value, 'conflicting scopes'));
  };
  judge(spec.scopes ?? [], 'spec.scopes', spec.scopes, () => 'spec.scopes');
  const at = 'spec.scopeSelector.matchExpressions';
  const expressions = spec.scopeSelector?.matchExpressions ?? [];
  for (const { scopeName, operator, values } of expressions) {
    if (
      scopeName !== 'PriorityClass' &&
      scopeName !== 'VolumeAttributesClass' &&
      scopes.includes(scopeName) &&
      operator !== 'Exists'
    )
      out.push(
        causes.invalid(
          `${at}.operator`,
          operator,
          "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
        ),
      );
    if (operator === 'In' || operator === 'NotIn')
      required(
        values,
        `${at}.values`,
        out,
        "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
      );
    else if (operator === 'Exists' || operator === 'DoesNotExist') {
      if (values?.length)
        out.push(
          causes.invalid(
            `${at}.values`,
            values,
            "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
          ),
        );
    } else out.push(causes.invalid(`${at}.operator`, operator, 'not a valid selector operator'));
  }
  judge(
    expressions.map((e) => e.scopeName),
    at,
    spec.scopeSelector,
    () => `${at}.scopeName`,
  );
}

export const resourceQuota: KindRules<ResourceQuota> = {
  validate({ spec }, out) {
    for (const [name, value] of Object.entries(spec?.hard ?? {})) {
      const at = `spec.hard[${name}]`;
      validateName(name, quotaResources, 'must be a standard resource for quota', at, out);
      validateAmount(name, value, at, out);
    }
    if (spec) validateScopes(spec, out);
  },
  validateChange: (now, old, out) =>
    void immutable(now.spec?.scopes ?? [], old.spec?.scopes ?? [], equalJson, 'spec.scopes', out),
};

type Limit = NonNullable<LimitRange['spec']>['limits'][number];
const bounds = ['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio'] as const;
const limitTypes = ['Container', 'PersistentVolumeClaim', 'Pod'];

export const limitRange: KindRules<LimitRange> = {
  validate({ spec }, out) {
    const seen = new Set<string>();
    for (const [i, item] of (spec?.limits ?? []).entries()) {
      const at = `spec.limits[${i}]`;
      qualifiedName(item.type, `${at}.type`, out);
      if (item.type && !item.type.includes('/') && !limitTypes.includes(item.type))
        out.push(causes.invalid(`${at}.type`, item.type, 'must be a standard limit type or fully qualified'));
      if (seen.has(item.type)) out.push(causes.duplicate(`${at}.type`, item.type));
      seen.add(item.type);
      validateLimit(item, at, out);
    }
  },
};

function validateLimit(item: Limit, at: string, out: Causes): void {
  const before = out.length;
  const ofPods = item.type === 'Pod' || item.type === 'Container';
  const [known, why] = ofPods
    ? [containerResources, 'must be a standard resource for containers']
    : [standardResources, 'must be a standard resource type or fully qualified'];
  for (const field of bounds) {
    if (item.type === 'Pod' && (field === 'default' || field === 'defaultRequest')) {
      if (Object.keys(item[field] ?? {}).length > 0)
        out.push(causes.forbidden(`${at}.${field}`, "may not be specified when `type` is 'Pod'"));
      continue;
    }
    for (const [name, value] of Object.entries((item[field] ?? {}) as Amounts)) {
      validateName(name, known, why, `${at}.${field}[${name}]`, out);
      quantity(value, `${at}.${field}[${name}]`, out);
    }
  }
  if (item.type === 'PersistentVolumeClaim' && !item.min?.storage && !item.max?.storage)
    out.push(
      causes.required(`${at}.limits`, 'either minimum or maximum storage value is required, but neither was provided'),
    );
  if (out.length === before) compareBounds(item, at, out);
}

const shown = {
  min: 'min',
  max: 'max',
  default: 'default',
  defaultRequest: 'default request',
} as const;

function compareBounds(item: Limit, at: string, out: Causes): void {
  const names = new Set(bounds.flatMap((field) => Object.keys(item[field] ?? {})));
  for (const name of names) {
    const of = (field: (typeof bounds)[number]): string | undefined => item[field]?.[name];
    const notAbove = (
      low: keyof typeof shown,
      high: keyof typeof shown,
      at_: keyof typeof shown,
      highShown: string = shown[high],
    ) => {
      const a = of(low);
      const b = of(high);
      if (a !== undefined && b !== undefined && compareQuantities(parseQuantity(a), parseQuantity(b)) > 0)
        out.push(
          causes.invalid(
            `${at}.${at_}[${name}]`,
            at_ === low ? a : b,
            `${shown[low]} value ${a} is greater than ${highShown} value ${b}`,
          ),
        );
    };
    notAbove('min', 'max', 'min');
    notAbove('min', 'defaultRequest', 'defaultRequest');
    notAbove('defaultRequest', 'max', 'defaultRequest');
    notAbove('defaultRequest', 'default', 'defaultRequest', 'default limit');
    notAbove('min', 'default', 'default');
    notAbove('default', 'max', 'default');
    validateRatio(of('maxLimitRequestRatio'), of('min'), of('max'), `${at}.maxLimitRequestRatio[${name}]`, out);
    const [limit, request] = [of('default'), of('defaultRequest')];
    const fixed = isHuge(name) || (name.includes('/') && !name.includes('kubernetes.io/'));
    if (fixed && limit !== undefined && request !== undefined && limit !== request)
      out.push(
        causes.invalid(
          `${at}.defaultRequest[${name}]`,
          request,
          `default value ${limit} must equal to defaultRequest value ${request} in ${name}`,
        ),
      );
  }
}

function validateRatio(
  ratio: string | undefined,
  min: string | undefined,
  max: string | undefined,
  at: string,
  out: Causes,
): void {
  if (ratio === undefined) return;
  if (compareQuantities(parseQuantity(ratio), parseQuantity('1')) < 0)
    out.push(causes.invalid(at, ratio, `ratio ${ratio} is less than 1`));
  if (min === undefined || max === undefined || parseQuantity(min).nano === 0n) return;
  const most = Number(parseQuantity(max).nano) / Number(parseQuantity(min).nano);
  if (Number(parseQuantity(ratio).nano) / 1e9 > most)
    out.push(causes.invalid(at, ratio, `ratio ${ratio} is greater than max/min = ${most.toFixed(6)}`));
}
