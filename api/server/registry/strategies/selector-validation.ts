import { causes, type LabelSelector } from '@trimtab/machinery';
import { labelValueProblems } from '../names.js';
import { type Causes, labels, qualifiedName } from './checks.js';

/** A `metav1.LabelSelector` that can be evaluated. */
export function validateLabelSelector(selector: LabelSelector | undefined, at: string, out: Causes): void {
  if (!selector) return;
  labels(selector.matchLabels, `${at}.matchLabels`, out);
  for (const [i, { key, operator, values }] of (selector.matchExpressions ?? []).entries()) {
    const path = `${at}.matchExpressions[${i}]`;
    if (operator === 'In' || operator === 'NotIn') {
      if (!values?.length)
        out.push(causes.required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
    } else if (operator === 'Exists' || operator === 'DoesNotExist') {
      if (values?.length)
        out.push(
          causes.forbidden(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
        );
    } else out.push(causes.invalid(`${path}.operator`, operator, 'not a valid selector operator'));
    qualifiedName(key, `${path}.key`, out);
    for (const [v, value] of (values ?? []).entries())
      for (const problem of labelValueProblems(value)) out.push(causes.invalid(`${path}.values[${v}]`, value, problem));
  }
}

/** A selector that a controller lives by: it must be there and may not select everything. */
export function validateOwnSelector(selector: LabelSelector | undefined, kind: string, at: string, out: Causes): void {
  if (!selector) {
    out.push(causes.required(at));
    return;
  }
  validateLabelSelector(selector, at, out);
  const empty = !Object.keys(selector.matchLabels ?? {}).length && !selector.matchExpressions?.length;
  if (empty) out.push(causes.invalid(at, selector, `empty selector is invalid for ${kind}`));
}
