import type { Clock, Random } from '@trimtab/machinery';
import type { AdmissionPlugin, ObjectReader } from '../contracts.js';
import { persistentVolumeClaimResize } from './claim-resize.js';
import { limitRanger } from './limit-ranger.js';
import { namespaceLifecycle } from './namespace-lifecycle.js';
import { nodeRestriction } from './node-restriction.js';
import {
  defaultIngressClass,
  defaultStorageClass,
  defaultTolerationSeconds,
  priority,
  runtimeClass,
  taintNodesByCondition,
} from './pod-defaulting.js';
import { podSecurity } from './pod-security.js';
import type { Follow } from './quota-ledger.js';
import { resourceQuota } from './resource-quota.js';
import { serviceAccountPlugin } from './service-account.js';

export interface AdmissionOptions {
  readonly reader: ObjectReader;
  readonly clock: Clock;
  readonly random: Random;
  readonly follow: Follow;
  /** Run after the built-in mutating plugins and before ResourceQuota: webhooks, policies, the RBAC escalation check. */
  readonly extra?: readonly AdmissionPlugin[];
  /** Names of built-in plugins to leave out. */
  readonly disabled?: readonly string[];
}

/** The admission plugins that Kubernetes runs by default, in its order; ResourceQuota, which charges, comes last. */
export function builtinAdmission(options: AdmissionOptions): readonly AdmissionPlugin[] {
  const { reader, clock, random, follow, extra = [], disabled = [] } = options;
  const all = [
    namespaceLifecycle(reader),
    limitRanger(reader),
    serviceAccountPlugin(reader, clock, random),
    nodeRestriction(reader),
    taintNodesByCondition,
    podSecurity(reader),
    priority(reader),
    defaultTolerationSeconds,
    defaultStorageClass(reader),
    persistentVolumeClaimResize(reader),
    runtimeClass(reader),
    defaultIngressClass(reader),
    ...extra,
    resourceQuota(reader, clock, follow),
  ];
  return all.filter((plugin) => !disabled.includes(plugin.name));
}
