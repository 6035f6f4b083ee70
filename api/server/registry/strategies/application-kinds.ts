import { causes, type PodDisruptionBudget } from '@trimtab/machinery';
import { countOrPercent, optionalOneOf } from './checks.js';
import { validateLabelSelector } from './selector-validation.js';
import type { KindRules } from './typed.js';

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
