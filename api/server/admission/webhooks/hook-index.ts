import type { KubeObject, MatchCondition, MutatingWebhook, MutatingWebhookConfiguration } from '@trimtab/machinery';
import type { ObjectChange } from '../../authorization/store-feed.js';
import { type Constraints, constraintsOf } from '../dynamic/match.js';

/** One webhook of one configuration; validating ones have no reinvocation policy. */
export interface Hook {
  /** Names it across all configurations: `configuration/webhook/number`. */
  readonly uid: string;
  readonly configuration: string;
  readonly webhook: MutatingWebhook;
  readonly constraints: Constraints;
  readonly matchConditions: readonly MatchCondition[];
}

/** The webhooks of all configurations of a kind: configurations in the order of their names, webhooks as they stand there. */
export class HookIndex {
  readonly #configurations = new Map<string, readonly Hook[]>();
  #hooks: readonly Hook[] = [];

  /** Empty: there is nobody to ask. */
  get hooks(): readonly Hook[] {
    return this.#hooks;
  }

  apply({ key, object }: Pick<ObjectChange, 'key' | 'object'>): void {
    const name = key.slice(key.indexOf('/') + 1);
    if (object) this.#configurations.set(name, hooksOf(name, object));
    else this.#configurations.delete(name);
    this.#hooks = [...this.#configurations].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, hooks]) => hooks);
  }
}

function hooksOf(configuration: string, object: KubeObject): readonly Hook[] {
  const count = new Map<string, number>();
  return ((object as MutatingWebhookConfiguration).webhooks ?? []).map((webhook) => {
    const n = count.get(webhook.name) ?? 0;
    count.set(webhook.name, n + 1);
    return {
      uid: `${configuration}/${webhook.name}/${n}`,
      configuration,
      webhook,
      constraints: constraintsOf(webhook),
      matchConditions: webhook.matchConditions ?? [],
    };
  });
}
