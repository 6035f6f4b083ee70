import {
  causes,
  compareQuantities,
  equalJson,
  type LimitRange,
  type PodDisruptionBudget,
  parseQuantity,
  type ResourceQuota,
} from '@trimtab/machinery';
import { type Causes, countOrPercent, immutable, oneOf, optionalOneOf, quantity } from './checks.js';
import { validateLabelSelector } from './selector-validation.js';
import type { KindRules } from './typed.js';

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
