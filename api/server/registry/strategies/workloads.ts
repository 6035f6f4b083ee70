import {
  type CronJob,
  causes,
  type DaemonSet,
  type Deployment,
  equalJson,
  type Job,
  type JobSpec,
  type LabelSelector,
  matchesLabels,
  type PodTemplateSpec,
  type ReplicaSet,
  type ReplicationController,
  SelectorError,
  type StatefulSet,
  selectorFromObject,
} from '@trimtab/machinery';
import { type Causes, countOrPercent, immutable, nonNegative, oneOf, optionalOneOf, required } from './checks.js';
import { scheduleProblem } from './cron-schedule.js';
import { validatePodTemplate } from './pod-validation.js';
import { nameWarnings, podWarnings, templateWarnings } from './pod-warnings.js';
import { validateLabelSelector, validateOwnSelector } from './selector-validation.js';
import type { KindRules } from './typed.js';

const always = ['Always'];

/** A selector that cannot be read selects nothing. */
function selects(selector: LabelSelector, labels: Readonly<Record<string, string>> | undefined): boolean {
  try {
    return matchesLabels(selectorFromObject(selector), labels);
  } catch (error) {
    if (error instanceof SelectorError) return false;
    throw error;
  }
}

/** A workload's template must be what its selector selects. */
function validateSelected(
  selector: LabelSelector | undefined,
  template: PodTemplateSpec | undefined,
  out: Causes,
): void {
  if (!selector || out.some((c) => c.field?.startsWith('spec.selector'))) return;
  const labels = template?.metadata?.labels;
  if (!selects(selector, labels))
    out.push(
      causes.invalid('spec.template.metadata.labels', labels ?? null, '`selector` does not match template `labels`'),
    );
}

const selectorIsFixed = (now: LabelSelector | undefined, old: LabelSelector | undefined, out: Causes): boolean =>
  immutable(now, old, equalJson, 'spec.selector', out);

export const deployment: KindRules<Deployment> = {
  warnings: templateWarnings,
  validate({ spec }, out) {
    nonNegative(spec?.replicas, 'spec.replicas', out);
    validateOwnSelector(spec?.selector, 'deployment', 'spec.selector', out);
    validatePodTemplate(spec?.template, always, 'spec.template', out);
    validateSelected(spec?.selector, spec?.template, out);
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
  if (Number.parseInt(String(rolling.maxUnavailable), 10) === 0 && Number.parseInt(String(rolling.maxSurge), 10) === 0)
    out.push(
      causes.invalid(`${at}.rollingUpdate.maxUnavailable`, rolling.maxUnavailable, 'may not be 0 when `maxSurge` is 0'),
    );
}

export const replicaSet: KindRules<ReplicaSet> = {
  warnings: templateWarnings,
  validate({ spec }, out) {
    nonNegative(spec?.replicas, 'spec.replicas', out);
    nonNegative(spec?.minReadySeconds, 'spec.minReadySeconds', out);
    validateOwnSelector(spec?.selector, 'deployment', 'spec.selector', out);
    validatePodTemplate(spec?.template, always, 'spec.template', out);
    validateSelected(spec?.selector, spec?.template, out);
  },
  validateChange: (now, old, out) => void selectorIsFixed(now.spec?.selector, old.spec?.selector, out),
};

export const replicationController: KindRules<ReplicationController> = {
  warnings: templateWarnings,
  validate({ spec }, out) {
    nonNegative(spec?.replicas, 'spec.replicas', out);
    required(Object.keys(spec?.selector ?? {}), 'spec.selector', out);
    validatePodTemplate(spec?.template, always, 'spec.template', out);
    validateSelected(spec?.selector && { matchLabels: spec.selector }, spec?.template, out);
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
  warnings: templateWarnings,
  validate({ spec }, out) {
    oneOf(spec?.podManagementPolicy, ['OrderedReady', 'Parallel'], 'spec.podManagementPolicy', out);
    oneOf(spec?.updateStrategy?.type, ['OnDelete', 'RollingUpdate'], 'spec.updateStrategy.type', out);
    nonNegative(spec?.updateStrategy?.rollingUpdate?.partition, 'spec.updateStrategy.rollingUpdate.partition', out);
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
    validatePodTemplate(withClaims(spec), always, 'spec.template', out);
    validateSelected(spec?.selector, spec?.template, out);
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
  warnings: templateWarnings,
  validate({ spec }, out) {
    validateOwnSelector(spec?.selector, 'daemonset', 'spec.selector', out);
    validatePodTemplate(spec?.template, always, 'spec.template', out);
    validateSelected(spec?.selector, spec?.template, out);
    nonNegative(spec?.minReadySeconds, 'spec.minReadySeconds', out);
    nonNegative(spec?.revisionHistoryLimit, 'spec.revisionHistoryLimit', out);
    const strategy = spec?.updateStrategy;
    oneOf(strategy?.type, ['OnDelete', 'RollingUpdate'], 'spec.updateStrategy.type', out);
    countOrPercent(
      strategy?.rollingUpdate?.maxUnavailable,
      'spec.updateStrategy.rollingUpdate.maxUnavailable',
      out,
      100,
    );
    countOrPercent(strategy?.rollingUpdate?.maxSurge, 'spec.updateStrategy.rollingUpdate.maxSurge', out);
  },
  validateChange: (now, old, out) => void selectorIsFixed(now.spec?.selector, old.spec?.selector, out),
};

const controllerUid = 'batch.kubernetes.io/controller-uid';
const jobName = 'batch.kubernetes.io/job-name';

/** A Job finds its pods by its own uid, unless its author has taken that over. */
export const job: KindRules<Job> = {
  warnings: templateWarnings,
  prepareForCreate(object) {
    const { spec } = object;
    if (!spec || spec.manualSelector === true) return object;
    const uid = object.metadata.uid ?? '';
    const name = object.metadata.name ?? '';
    const own = { [controllerUid]: uid, [jobName]: name, 'controller-uid': uid, 'job-name': name };
    return {
      ...object,
      spec: {
        ...spec,
        selector: { ...spec.selector, matchLabels: { ...spec.selector?.matchLabels, [controllerUid]: uid } },
        template: {
          ...spec.template,
          metadata: { ...spec.template?.metadata, labels: { ...spec.template?.metadata?.labels, ...own } },
        },
      },
    };
  },
  validate({ spec }, out) {
    if (!spec?.selector) out.push(causes.required('spec.selector'));
    else validateLabelSelector(spec.selector, 'spec.selector', out);
    validateJobSpec(spec, 'spec', out);
    validateSelected(spec?.selector, spec?.template, out);
  },
  validateChange(now, old, out) {
    immutable(now.spec?.completionMode, old.spec?.completionMode, equalJson, 'spec.completionMode', out);
    selectorIsFixed(now.spec?.selector, old.spec?.selector, out);
    if (now.spec?.completionMode !== 'Indexed')
      immutable(now.spec?.completions, old.spec?.completions, equalJson, 'spec.completions', out);
    const unstarted = old.spec?.suspend === true && old.status?.startTime === undefined;
    const schedulable = ['nodeSelector', 'affinity', 'tolerations', 'schedulingGates'] as const;
    const template = { ...now.spec?.template, spec: { ...now.spec?.template?.spec } as Record<string, unknown> };
    if (unstarted) for (const field of schedulable) template.spec[field] = old.spec?.template?.spec?.[field];
    immutable(template, old.spec?.template, equalJson, 'spec.template', out);
    immutable(now.spec?.podFailurePolicy, old.spec?.podFailurePolicy, equalJson, 'spec.podFailurePolicy', out);
    immutable(
      now.spec?.backoffLimitPerIndex,
      old.spec?.backoffLimitPerIndex,
      equalJson,
      'spec.backoffLimitPerIndex',
      out,
    );
  },
};

function validateJobSpec(spec: JobSpec | undefined, at: string, out: Causes): void {
  for (const field of [
    'parallelism',
    'completions',
    'activeDeadlineSeconds',
    'backoffLimit',
    'ttlSecondsAfterFinished',
    'backoffLimitPerIndex',
    'maxFailedIndexes',
  ] as const)
    nonNegative(spec?.[field], `${at}.${field}`, out);
  optionalOneOf(spec?.completionMode, ['Indexed', 'NonIndexed'], `${at}.completionMode`, out);
  if (spec?.completionMode === 'Indexed' && spec.completions === undefined)
    out.push(causes.required(`${at}.completions`, 'when completion mode is Indexed'));
  optionalOneOf(spec?.podReplacementPolicy, ['Failed', 'TerminatingOrFailed'], `${at}.podReplacementPolicy`, out);
  const policy = spec?.template?.spec?.restartPolicy;
  validatePodTemplate(spec?.template, ['OnFailure', 'Never', 'Always'], `${at}.template`, out);
  if (policy === 'Always')
    out.push(causes.required(`${at}.template.spec.restartPolicy`, 'valid values: "OnFailure", "Never"'));
  if (spec) validateJobPolicies(spec, at, out);
}

/** What says how a Job may fail or succeed only makes sense with the mode and restart policy it was made for. */
function validateJobPolicies(spec: JobSpec, at: string, out: Causes): void {
  const indexed = spec.completionMode === 'Indexed';
  if (!indexed && spec.backoffLimitPerIndex !== undefined)
    out.push(
      causes.invalid(`${at}.backoffLimitPerIndex`, spec.backoffLimitPerIndex, 'requires indexed completion mode'),
    );
  if (spec.maxFailedIndexes !== undefined && spec.backoffLimitPerIndex === undefined)
    out.push(causes.required(`${at}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified'));
  if (spec.successPolicy) {
    if (!indexed)
      out.push(causes.invalid(`${at}.successPolicy`, spec.successPolicy, 'requires indexed completion mode'));
    if (!spec.successPolicy.rules?.length)
      out.push(causes.required(`${at}.successPolicy.rules`, 'at least one rule must be specified'));
  }
  if (!spec.podFailurePolicy) return;
  if (spec.template?.spec?.restartPolicy !== 'Never')
    out.push(
      causes.invalid(
        `${at}.template.spec.restartPolicy`,
        spec.template?.spec?.restartPolicy,
        'only "Never" is supported when podFailurePolicy is specified',
      ),
    );
  for (const [i, rule] of (spec.podFailurePolicy.rules ?? []).entries()) {
    const here = `${at}.podFailurePolicy.rules[${i}]`;
    oneOf(rule.action, ['Count', 'FailIndex', 'FailJob', 'Ignore'], `${here}.action`, out);
    if (rule.action === 'FailIndex' && spec.backoffLimitPerIndex === undefined)
      out.push(causes.invalid(`${here}.action`, rule.action, 'requires the backoffLimitPerIndex to be set'));
    if (!rule.onExitCodes && !rule.onPodConditions?.length)
      out.push(causes.required(here, 'specifying one of OnExitCodes and OnPodConditions is required'));
    if (!rule.onExitCodes) continue;
    oneOf(rule.onExitCodes.operator, ['In', 'NotIn'], `${here}.onExitCodes.operator`, out);
    if (rule.onExitCodes.operator === 'In' && rule.onExitCodes.values?.includes(0))
      out.push(causes.invalid(`${here}.onExitCodes.values`, 0, 'must not be 0 for the In operator'));
  }
}

/** 63 less the 11 characters that the name of a Job adds. */
const maxCronJobName = 52;

export const cronJob: KindRules<CronJob> = {
  warnings: (object) => [
    ...nameWarnings(object),
    ...podWarnings(object.spec?.jobTemplate?.spec?.template?.spec, 'spec.jobTemplate.spec.template.spec'),
  ],
  validate(object, out) {
    const { spec, metadata } = object;
    if ((metadata.name ?? '').length > maxCronJobName)
      out.push(causes.invalid('metadata.name', metadata.name, `must be no more than ${maxCronJobName} characters`));
    if (required(spec?.schedule, 'spec.schedule', out)) {
      const problem = scheduleProblem(spec?.schedule ?? '');
      if (problem) out.push(causes.invalid('spec.schedule', spec?.schedule, problem));
    }
    nonNegative(spec?.startingDeadlineSeconds, 'spec.startingDeadlineSeconds', out);
    oneOf(spec?.concurrencyPolicy, ['Allow', 'Forbid', 'Replace'], 'spec.concurrencyPolicy', out);
    if (spec?.timeZone !== undefined && !isTimeZone(spec.timeZone))
      out.push(causes.invalid('spec.timeZone', spec.timeZone, `unknown time zone ${spec.timeZone}`));
    nonNegative(spec?.successfulJobsHistoryLimit, 'spec.successfulJobsHistoryLimit', out);
    nonNegative(spec?.failedJobsHistoryLimit, 'spec.failedJobsHistoryLimit', out);
    validateJobSpec(spec?.jobTemplate?.spec, 'spec.jobTemplate.spec', out);
  },
};

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
