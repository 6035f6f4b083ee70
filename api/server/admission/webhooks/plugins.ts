import type { Random } from '@trimtab/machinery';
import type { ObjectChange } from '../../authorization/store-feed.js';
import type { AdmissionPlugin, Authorizer, ObjectReader } from '../../contracts.js';
import type { WebhookCaller } from '../../webhook/caller.js';
import type { ConditionMatcher } from '../dynamic/conditions.js';
import { isExempt } from '../dynamic/rules.js';
import type { FullAttributes } from '../dynamic/view.js';
import { HookIndex } from './hook-index.js';

/** Tells of what there is of a resource and of every change from now on. */
export type FollowAll = (resource: string, apply: (change: ObjectChange) => void) => void;

export interface WebhookAdmissionOptions {
  readonly reader: ObjectReader;
  readonly random: Random;
  readonly authorizer: Authorizer;
  readonly followAll: FollowAll;
  readonly caller: WebhookCaller;
  readonly conditions: ConditionMatcher;
}

const group = 'admissionregistration.k8s.io';

/** Nothing of what calls webhooks is loaded before there is one. */
export function webhookAdmission(options: WebhookAdmissionOptions): {
  readonly mutating: AdmissionPlugin;
  readonly validating: AdmissionPlugin;
} {
  const { reader, random, authorizer, followAll, caller, conditions } = options;
  const index = (resource: string) => {
    const hooks = new HookIndex();
    followAll(`${group}/${resource}`, (change) => hooks.apply(change));
    return hooks;
  };
  const mutating = index('mutatingwebhookconfigurations');
  const validating = index('validatingwebhookconfigurations');
  const dispatch = { reader, random, authorizer, caller };
  return {
    mutating: {
      name: 'MutatingAdmissionWebhook',
      mutate(attributes) {
        const { hooks } = mutating;
        if (hooks.length === 0 || isExempt(attributes.type) || !attributes.request) return attributes.object;
        return import('./mutating.js').then(({ callMutating }) =>
          callMutating(hooks, attributes as FullAttributes, dispatch, conditions),
        );
      },
    },
    validating: {
      name: 'ValidatingAdmissionWebhook',
      validate(attributes) {
        const { hooks } = validating;
        if (hooks.length === 0 || isExempt(attributes.type) || !attributes.request) return undefined;
        return import('./validating.js').then(({ callValidating }) =>
          callValidating(hooks, attributes as FullAttributes, dispatch, conditions),
        );
      },
    },
  };
}
