import type { KubeObject, StatusCause } from '@trimtab/machinery';
import type { Strategy, StrategyContext } from '../../contracts.js';
import { builtinStrategies } from './index.js';

/** What the tests of strategies share: the registry's calls in their order, and objects to begin with. */

const context: StrategyContext = { now: 0, user: { name: 'u', groups: [] } };
export const at = (group: string, resource: string): Strategy => builtinStrategies(group, resource)!;
export const make = (rest: object, name = 'x'): KubeObject => ({ metadata: { name, namespace: 'default' }, ...rest });

/** What the registry does on create, as far as strategies go. */
export function create(strategy: Strategy, given: KubeObject): { object: KubeObject; causes: readonly StatusCause[] } {
  let object = strategy.default?.(given) ?? given;
  object = strategy.prepareForCreate?.(object, context) ?? object;
  object = strategy.default?.(object) ?? object;
  return { object, causes: strategy.validate?.(object) ?? [] };
}
export function update(strategy: Strategy, given: KubeObject, old: KubeObject, subresource = '') {
  let object = strategy.default?.(given) ?? given;
  object = strategy.prepareForUpdate?.(object, old, subresource) ?? object;
  object = strategy.default?.(object) ?? object;
  return { object, causes: strategy.validateUpdate?.(object, old, subresource) ?? [] };
}
export const texts = (causes: readonly StatusCause[]): string[] => causes.map((c) => `${c.field}: ${c.message}`);

export const container = { name: 'web', image: 'nginx:1.27' };
export const podSpec = { containers: [container] };
export const labels = { app: 'web' };
export const workload = (more: object = {}, spec: object = podSpec) =>
  make({ spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec }, ...more } });
