import type { Clock, Random } from '@trimtab/machinery';
import type { AdmissionPlugin, Authorizer, ObjectReader, Strategy } from '../contracts.js';
import type { WebhookCaller } from '../webhook/caller.js';
import {
  certificateApproval,
  certificateSigning,
  certificateSubjectRestriction,
  clusterTrustBundleAttest,
} from './certificates.js';
import { persistentVolumeClaimResize } from './claim-resize.js';
import { limitRanger } from './limit-ranger.js';
import { namespaceLifecycle } from './namespace-lifecycle.js';
import { nodeRestriction } from './node-restriction.js';
import { storageObjectInUseProtection } from './object-protection.js';
import {
  alwaysPullImages,
  denyServiceExternalIPs,
  extendedResourceToleration,
  ownerReferencesPermissionEnforcement,
} from './optional-plugins.js';
import {
  defaultIngressClass,
  defaultStorageClass,
  defaultTolerationSeconds,
  priority,
  runtimeClass,
  taintNodesByCondition,
} from './pod-defaulting.js';
import { podSecurity } from './pod-security.js';
import { celConditions, conditionProblem } from './policies/match-conditions.js';
import { policyAdmission } from './policies/plugins.js';
import { bindingStrategy } from './policies/validate-binding.js';
import { mutatingPolicyStrategy, validatingPolicyStrategy } from './policies/validate-policy.js';
import type { Follow } from './quota-ledger.js';
import { resourceQuota } from './resource-quota.js';
import { serviceAccountPlugin } from './service-account.js';
import { type FollowAll, webhookAdmission } from './webhooks/plugins.js';
import { webhookConfigurationStrategy } from './webhooks/validate-configuration.js';

export interface AdmissionOptions {
  readonly reader: ObjectReader;
  readonly clock: Clock;
  readonly random: Random;
  readonly follow: Follow;
  readonly followAll: FollowAll;
  readonly authorizer: Authorizer;
  readonly webhooks: WebhookCaller;
  /** Run after the built-in mutating plugins and before policies and webhooks: the RBAC escalation check. */
  readonly extra?: readonly AdmissionPlugin[];
  /** Names of plugins to leave out. */
  readonly disabled?: readonly string[];
  /** Whether other servers write to the same store. */
  readonly sharedStore?: boolean;
  /** Names of plugins to run that are off by default. */
  readonly enabled?: readonly string[];
}

/**
 * The admission plugins that Kubernetes runs by default, in its order (kubernetes: kubeapiserver/options
 * AllOrderedPlugins). Every one of them mutates before any of them validates; ResourceQuota, which charges, comes last.
 */
export function builtinAdmission(options: AdmissionOptions): readonly AdmissionPlugin[] {
  const { reader, clock, random, authorizer, extra = [], disabled = [], enabled = [] } = options;
  const webhooks = webhookAdmission({
    ...options,
    caller: options.webhooks,
    conditions: celConditions(authorizer),
  });
  const policies = policyAdmission(options);
  const [on, off] = [true, false];
  const order: readonly (readonly [plugin: AdmissionPlugin, byDefault: boolean])[] = [
    [namespaceLifecycle(reader), on],
    [limitRanger(reader), on],
    [serviceAccountPlugin(reader, clock, random), on],
    [nodeRestriction(reader), on],
    [taintNodesByCondition, on],
    [alwaysPullImages, off],
    [podSecurity(reader), on],
    [priority(reader), on],
    [defaultTolerationSeconds, on],
    [extendedResourceToleration, off],
    [defaultStorageClass(reader), on],
    [storageObjectInUseProtection, on],
    [ownerReferencesPermissionEnforcement(authorizer), off],
    [persistentVolumeClaimResize(reader), on],
    [runtimeClass(reader), on],
    [certificateApproval(authorizer), on],
    [certificateSigning(authorizer), on],
    [clusterTrustBundleAttest(authorizer), on],
    [certificateSubjectRestriction, on],
    [defaultIngressClass(reader), on],
    [denyServiceExternalIPs, off],
    ...extra.map((plugin) => [plugin, on] as const),
    [policies.mutating, on],
    [webhooks.mutating, on],
    [policies.validating, on],
    [webhooks.validating, on],
    [resourceQuota(options), on],
  ];
  return order
    .filter(([{ name }, byDefault]) => (byDefault ? !disabled.includes(name) : enabled.includes(name)))
    .map(([plugin]) => plugin);
}

type Strategies = Readonly<Record<string, Strategy>>;

/** The rules of the kinds that configure admission, over those of all kinds. */
export function admissionStrategies(strategies: Strategies): Strategies {
  const webhooks = webhookConfigurationStrategy(conditionProblem);
  const own: Strategies = {
    mutatingwebhookconfigurations: webhooks,
    validatingwebhookconfigurations: webhooks,
    mutatingadmissionpolicies: mutatingPolicyStrategy,
    mutatingadmissionpolicybindings: bindingStrategy(false),
    validatingadmissionpolicies: validatingPolicyStrategy,
    validatingadmissionpolicybindings: bindingStrategy(true),
  };
  return {
    ...strategies,
    ...Object.fromEntries(
      Object.entries(own).map(([plural, rules]) => {
        const name = `admissionregistration.k8s.io/${plural}`;
        return [name, { ...strategies[name], ...rules }];
      }),
    ),
  };
}
