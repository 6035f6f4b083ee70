import type { Authorizer, ObjectReader } from '../../contracts.js';
import type { ConditionMatcher } from '../dynamic/conditions.js';

export function celConditions(_parts: {
  readonly reader: ObjectReader;
  readonly authorizer: Authorizer;
}): ConditionMatcher {
  return { match: () => ({ matches: false, error: 'match conditions cannot be evaluated by this server' }) };
}
