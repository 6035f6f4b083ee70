import { type CustomResourceConversion, causes, type FieldPath, type StatusCause } from '@trimtab/machinery';
import { validateClientConfig } from '@trimtab/server';

/** The ConversionReview versions this server speaks. */
export const REVIEW_VERSIONS: readonly string[] = ['v1'];
const STRATEGIES = ['None', 'Webhook'];

/** What makes a conversion unusable (apiextensions validation). */
export function validateConversion(
  conversion: CustomResourceConversion | undefined,
  at: FieldPath,
): readonly StatusCause[] {
  if (conversion === undefined) return [];
  const { strategy, webhook } = conversion;
  if (!strategy) return [causes.required(at.child('strategy'))];
  if (!STRATEGIES.includes(strategy)) return [causes.notSupported(at.child('strategy'), strategy, STRATEGIES)];
  if (strategy === 'None')
    return webhook === undefined
      ? []
      : [causes.forbidden(at.child('webhook'), 'should not be set when strategy is not set to Webhook')];
  if (webhook?.clientConfig === undefined)
    return [
      causes.required(at.child('webhookClientConfig'), 'required when strategy is set to Webhook'),
      ...(webhook?.conversionReviewVersions?.length ? [] : [causes.required(at.child('conversionReviewVersions'))]),
    ];
  const found = [...validateClientConfig(String(at.child('webhookClientConfig')), webhook.clientConfig)];
  const versions = webhook.conversionReviewVersions ?? [];
  const where = at.child('conversionReviewVersions');
  if (versions.length === 0) found.push(causes.required(where));
  else if (!versions.some((version) => REVIEW_VERSIONS.includes(version)))
    found.push(causes.invalid(where, versions, `must include at least one of ${REVIEW_VERSIONS.join(', ')}`));
  return found;
}
