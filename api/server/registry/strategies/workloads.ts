import {
  causes,
  type DaemonSet,
  type Deployment,
  equalJson,
  type LabelSelector,
  matchesLabels,
  type PodTemplateSpec,
  type ReplicaSet,
  type ReplicationController,
  SelectorError,
  type StatefulSet,
  selectorFromObject,
} from '@trimtab/machinery';
import { type Causes, countOrPercent, immutable, nonNegative, optionalOneOf, required } from './checks.js';
import { validatePodTemplate } from './pod-validation.js';
import { templateWarnings } from './pod-warnings.js';
import { validateOwnSelector } from './selector-validation.js';
import type { KindRules } from './typed.js';

const always = ['Always'];

/** A selector that cannot be read is told of where it stands; one that is not there selects nothing. */
export function validateSelected(
  selector: LabelSelector | undefined,
  template: PodTemplateSpec | undefined,
  at: string,
  out: Causes,
): void {
  const labels = template?.metadata?.labels;
  try {
    if (selector && matchesLabels(selectorFromObject(selector), labels)) return;
  } catch (error) {
    if (error instanceof SelectorError) return;
    throw error;
  }
  out.push(causes.invalid(`${at}.metadata.labels`, labels ?? null, '`selector` does not match template `labels`'));
}

/** The template of what keeps pods running: they start anew for ever. `kind` as upstream names it in refusals. */
function validateRunning(
  selector: LabelSelector | undefined,
  template: PodTemplateSpec | undefined,
  kind: string,
  out: Causes,
): void {
  const everything = selector && !Object.keys(selector.matchLabels ?? {}).length && !selector.matchExpressions?.length;
  if (!everything) validateSelected(selector, template, 'spec.template', out);
  validatePodTemplate(template, always, 'spec.template', out);
  if (template?.spec?.activeDeadlineSeconds !== undefined)
    out.push(
      causes.forbidden('spec.template.spec.activeDeadlineSeconds', `activeDeadlineSeconds in ${kind} is not Supported`),
    );
}

const selectorIsFixed = (now: LabelSelector | undefined, old: LabelSelector | undefined, out: Causes): boolean =>
  immutable(now, old, equalJson, 'spec.selector', out);

export const deployment: KindRules<Deployment> = {
  judged: ({ spec }) => spec,
  warnings: templateWarnings,
  validate({ spec }, out) {
    nonNegative(spec?.replicas, 'spec.replicas', out);
    validateOwnSelector(spec?.selector, 'deployment', 'spec.selector', out);
    validateRunning(spec?.selector, spec?.template, 'ReplicaSet', out);
    validateRollout(spec?.strategy, out);
    nonNegative(spec?.minReadySeconds, 'spec.minReadySeconds', out);
    nonNegative(spec?.revisionHistoryLimit, 'spec.revisionHistoryLimit', out);
    const deadline = spec?.progressDeadlineSeconds;
    nonNegative(deadline, 'spec.progressDeadlineSeconds', out);
    if (deadline !== undefined && deadline <= (spec?.minReadySeconds ?? 0))
      out.push(causes.invalid('spec.progressDeadlineSeconds', deadline, 'must be greater than minReadySeconds'));
  },
  validateChange: (now, old, out) => void selectorIsFixed(now.spec?.selector, old.spec?.selector, out),
};

function validateRollout(strategy: NonNullable<Deployment['spec']>['strategy'], out: Causes): void {
  const at = 'spec.strategy';
  optionalOneOf(strategy?.type, ['Recreate', 'RollingUpdate'], `${at}.type`, out);
  const rolling = strategy?.rollingUpdate;
  if (!rolling) return;
  if (strategy?.type === 'Recreate') {
    out.push(causes.forbidden(`${at}.rollingUpdate`, "may not be specified when strategy `type` is 'Recreate'"));
    return;
  }
  countOrPercent(rolling.maxUnavailable, `${at}.rollingUpdate.maxUnavailable`, out, 100);
  countOrPercent(rolling.maxSurge, `${at}.rollingUpdate.maxSurge`, out);
  if (amountOf(rolling.maxUnavailable) === 0 && amountOf(rolling.maxSurge) === 0)
    out.push(
      causes.invalid(`${at}.rollingUpdate.maxUnavailable`, rolling.maxUnavailable, 'may not be 0 when `maxSurge` is 0'),
    );
}

export const replicaSet: KindRules<ReplicaSet> = {
  judged: ({ spec }) => spec,
  warnings: templateWarnings,
  validate({ spec }, out) {
    nonNegative(spec?.replicas, 'spec.replicas', out);
    nonNegative(spec?.minReadySeconds, 'spec.minReadySeconds', out);
    validateOwnSelector(spec?.selector, 'deployment', 'spec.selector', out);
    validateRunning(spec?.selector, spec?.template, 'ReplicaSet', out);
  },
  validateChange: (now, old, out) => void selectorIsFixed(now.spec?.selector, old.spec?.selector, out),
};

export const replicationController: KindRules<ReplicationController> = {
  judged: ({ spec }) => spec,
  warnings: templateWarnings,
  validate({ spec }, out) {
    nonNegative(spec?.minReadySeconds, 'spec.minReadySeconds', out);
    required(Object.keys(spec?.selector ?? {}), 'spec.selector', out);
    nonNegative(spec?.replicas, 'spec.replicas', out);
    if (!spec?.template) out.push(causes.required('spec.template'));
    else validateRunning({ matchLabels: spec.selector ?? {} }, spec.template, 'ReplicationController', out);
  },
};

const statefulSetMutable = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
] as const;

export const statefulSet: KindRules<StatefulSet> = {
  judged: ({ spec }) => spec,
  warnings: templateWarnings,
  validate({ spec }, out) {
    const management = spec?.podManagementPolicy;
    if (
      required(management, 'spec.podManagementPolicy', out) &&
      !['OrderedReady', 'Parallel'].includes(management ?? '')
    )
      out.push(causes.invalid('spec.podManagementPolicy', management, "must be 'OrderedReady' or 'Parallel'"));
    validateSetUpdate(spec?.updateStrategy, out);
    for (const when of ['whenDeleted', 'whenScaled'] as const)
      optionalOneOf(
        spec?.persistentVolumeClaimRetentionPolicy?.[when],
        ['Delete', 'Retain'],
        `spec.persistentVolumeClaimRetentionPolicy.${when}`,
        out,
      );
    nonNegative(spec?.replicas, 'spec.replicas', out);
    nonNegative(spec?.minReadySeconds, 'spec.minReadySeconds', out);
    nonNegative(spec?.ordinals?.start, 'spec.ordinals.start', out);
    validateOwnSelector(spec?.selector, 'statefulset', 'spec.selector', out);
    validateRunning(spec?.selector, withClaims(spec), 'StatefulSet', out);
  },
  validateChange(now, old, out) {
    const reset: Record<string, unknown> = { ...now.spec };
    for (const field of statefulSetMutable) reset[field] = old.spec?.[field];
    if (!equalJson(reset, old.spec))
      out.push(
        causes.forbidden(
          'spec',
          "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ),
      );
  },
};

function validateSetUpdate(strategy: NonNullable<StatefulSet['spec']>['updateStrategy'], out: Causes): void {
  const at = 'spec.updateStrategy';
  const rolling = strategy?.rollingUpdate;
  if (!strategy?.type) out.push(causes.required(at));
  else if (strategy.type === 'OnDelete') {
    if (rolling)
      out.push(causes.invalid(`${at}.rollingUpdate`, rolling, "only allowed for updateStrategy 'RollingUpdate'"));
  } else if (strategy.type !== 'RollingUpdate')
    out.push(causes.invalid(at, strategy, "must be 'RollingUpdate' or 'OnDelete'"));
  else if (rolling) {
    nonNegative(rolling.partition, `${at}.rollingUpdate.partition`, out);
    if (rolling.maxUnavailable === undefined) return;
    countOrPercent(rolling.maxUnavailable, `${at}.rollingUpdate.maxUnavailable`, out, 100);
    if (amountOf(rolling.maxUnavailable) === 0)
      out.push(causes.invalid(`${at}.rollingUpdate.maxUnavailable`, rolling.maxUnavailable, 'cannot be 0'));
  }
}

const amountOf = (value: number | string | undefined): number => Number.parseInt(String(value ?? 0), 10);

/** The template as its pods will be: a claim template is a volume of its name. */
function withClaims(spec: StatefulSet['spec']): PodTemplateSpec | undefined {
  const podSpec = spec?.template?.spec;
  if (!podSpec) return spec?.template;
  const own = new Set((podSpec.volumes ?? []).map((v) => v.name));
  const claims = (spec.volumeClaimTemplates ?? [])
    .map((claim) => claim.metadata?.name ?? '')
    .filter((name) => name !== '' && !own.has(name))
    .map((name) => ({ name, persistentVolumeClaim: { claimName: name } }));
  return { ...spec.template, spec: { ...podSpec, volumes: [...(podSpec.volumes ?? []), ...claims] } };
}

export const daemonSet: KindRules<DaemonSet> = {
  judged: ({ spec }) => spec,
  warnings: templateWarnings,
  validate({ spec }, out) {
    validateOwnSelector(spec?.selector, 'daemonset', 'spec.selector', out);
    validateRunning(spec?.selector, spec?.template, 'DaemonSet', out);
    for (const [i, { gcePersistentDisk: disk }] of (spec?.template?.spec?.volumes ?? []).entries())
      if (disk && !disk.readOnly)
        out.push(
          causes.invalid(
            `spec.template.spec.volumes[${i}].gcePersistentDisk.readOnly`,
            false,
            'must be true for replicated pods > 1; GCE PD can only be mounted on multiple machines if it is read-only',
          ),
        );
    nonNegative(spec?.minReadySeconds, 'spec.minReadySeconds', out);
    validateDaemonUpdate(spec?.updateStrategy, out);
    nonNegative(spec?.revisionHistoryLimit, 'spec.revisionHistoryLimit', out);
  },
  validateChange: (now, old, out) => void selectorIsFixed(now.spec?.selector, old.spec?.selector, out),
};

function validateDaemonUpdate(strategy: NonNullable<DaemonSet['spec']>['updateStrategy'], out: Causes): void {
  const at = 'spec.updateStrategy';
  if (strategy?.type === 'OnDelete') return;
  if (strategy?.type !== 'RollingUpdate') {
    out.push(causes.notSupported(`${at}.type`, strategy?.type ?? '', ['OnDelete', 'RollingUpdate']));
    return;
  }
  const rolling = strategy.rollingUpdate;
  if (!rolling) {
    out.push(causes.required(`${at}.rollingUpdate`));
    return;
  }
  countOrPercent(rolling.maxUnavailable, `${at}.rollingUpdate.maxUnavailable`, out, 100);
  countOrPercent(rolling.maxSurge, `${at}.rollingUpdate.maxSurge`, out, 100);
  const unavailable = amountOf(rolling.maxUnavailable) !== 0;
  const surge = amountOf(rolling.maxSurge) !== 0;
  if (unavailable && surge)
    out.push(
      causes.invalid(
        `${at}.rollingUpdate.maxSurge`,
        rolling.maxSurge,
        'may not be set when `maxUnavailable` is non-zero',
      ),
    );
  else if (!unavailable && !surge)
    out.push(causes.required(`${at}.rollingUpdate.maxUnavailable`, 'cannot be 0 when `maxSurge` is 0'));
}
