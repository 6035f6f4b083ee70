import type {
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
} from '@trimtab/machinery';
import type { AdmissionPlugin, Authorizer, ObjectReader } from '../../contracts.js';
import { isExempt } from '../dynamic/rules.js';
import type { FullAttributes } from '../dynamic/view.js';
import type { FollowAll } from '../webhooks/plugins.js';
import { PolicyIndex } from './policy-index.js';

export interface PolicyAdmissionOptions {
  readonly reader: ObjectReader;
  readonly authorizer: Authorizer;
  readonly followAll: FollowAll;
}

const group = 'admissionregistration.k8s.io';

/** Nothing of what evaluates policies is loaded before one is bound. */
export function policyAdmission({ reader, authorizer, followAll }: PolicyAdmissionOptions): {
  readonly mutating: AdmissionPlugin;
  readonly validating: AdmissionPlugin;
} {
  const mutating = new PolicyIndex<MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding>();
  const validating = new PolicyIndex<ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding>();
  followAll(`${group}/mutatingadmissionpolicies`, (change) => mutating.applyPolicy(change));
  followAll(`${group}/mutatingadmissionpolicybindings`, (change) => mutating.applyBinding(change));
  followAll(`${group}/validatingadmissionpolicies`, (change) => validating.applyPolicy(change));
  followAll(`${group}/validatingadmissionpolicybindings`, (change) => validating.applyBinding(change));
  const parts = { reader, authorizer };
  return {
    mutating: {
      name: 'MutatingAdmissionPolicy',
      mutate(attributes) {
        const { bound } = mutating;
        const { operation, object, type, request } = attributes;
        if (bound.length === 0 || operation === 'DELETE' || isExempt(type) || !request) return object;
        return import('./mutating.js').then(({ mutateByPolicies }) =>
          mutateByPolicies(bound, attributes as FullAttributes, parts),
        );
      },
    },
    validating: {
      name: 'ValidatingAdmissionPolicy',
      validate(attributes) {
        const { bound } = validating;
        if (bound.length === 0 || isExempt(attributes.type) || !attributes.request) return undefined;
        return import('./validating.js').then(({ validateByPolicies }) =>
          validateByPolicies(bound, attributes as FullAttributes, parts),
        );
      },
    },
  };
}
