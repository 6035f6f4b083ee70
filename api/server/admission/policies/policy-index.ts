import type {
  KubeObject,
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
} from '@trimtab/machinery';
import type { ObjectChange } from '../../authorization/store-feed.js';
import { type Constraints, constraintsOf } from '../dynamic/match.js';

export type AnyPolicy = ValidatingAdmissionPolicy | MutatingAdmissionPolicy;
export type AnyBinding = ValidatingAdmissionPolicyBinding | MutatingAdmissionPolicyBinding;

export interface BoundPolicy<P extends AnyPolicy, B extends AnyBinding> {
  readonly policy: P;
  readonly constraints: Constraints;
  readonly bindings: readonly { readonly binding: B; readonly constraints: Constraints | undefined }[];
}

/** Policies that are bound, by name, each with its bindings by name: a policy that nobody binds does nothing. */
export class PolicyIndex<P extends AnyPolicy, B extends AnyBinding> {
  readonly #policies = new Map<string, P>();
  readonly #bindings = new Map<string, B>();
  #bound: readonly BoundPolicy<P, B>[] = [];

  get bound(): readonly BoundPolicy<P, B>[] {
    return this.#bound;
  }

  applyPolicy(change: Pick<ObjectChange, 'key' | 'object'>): void {
    apply(this.#policies, change);
    this.#join();
  }

  applyBinding(change: Pick<ObjectChange, 'key' | 'object'>): void {
    apply(this.#bindings, change);
    this.#join();
  }

  #join(): void {
    const bindings = sorted(this.#bindings);
    this.#bound = sorted(this.#policies).flatMap((policy) => {
      const own = bindings.filter((binding) => binding.spec?.policyName === policy.metadata.name);
      if (own.length === 0) return [];
      return [
        {
          policy,
          constraints: constraintsOf(policy.spec?.matchConstraints ?? {}),
          bindings: own.map((binding) => ({
            binding,
            constraints: binding.spec?.matchResources && constraintsOf(binding.spec.matchResources),
          })),
        },
      ];
    });
  }
}

function apply<T extends KubeObject>(map: Map<string, T>, { key, object }: Pick<ObjectChange, 'key' | 'object'>): void {
  const name = key.slice(key.indexOf('/') + 1);
  if (object) map.set(name, object as T);
  else map.delete(name);
}

const sorted = <T>(map: ReadonlyMap<string, T>): readonly T[] =>
  [...map].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
