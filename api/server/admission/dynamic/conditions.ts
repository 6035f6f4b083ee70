import type { MatchCondition } from '@trimtab/machinery';
import type { AdmissionView, FullAttributes } from './view.js';

/** Whether all match conditions hold; `error` where that cannot be told. */
export interface ConditionOutcome {
  readonly matches: boolean;
  readonly error?: string;
}

export interface ConditionMatcher {
  match(
    conditions: readonly MatchCondition[],
    attributes: FullAttributes,
    view: AdmissionView,
  ): Promise<ConditionOutcome> | ConditionOutcome;
}
