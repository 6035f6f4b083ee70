import {
  type CronJob,
  causes,
  equalJson,
  type Job,
  type JobSpec,
  matchesLabels,
  type PodTemplateSpec,
  SelectorError,
  selectorFromObject,
} from '@trimtab/machinery';
import { nameProblems } from '../names.js';
import { type Causes, domainPrefixedPath, immutable, nonNegative, oneOf, optionalOneOf, required } from './checks.js';
import { scheduleProblem } from './cron-schedule.js';
import { validateFailurePolicy, validateSuccessPolicy } from './job-policies.js';
import { validatePodTemplate } from './pod-validation.js';
import { jobWarnings, nameWarnings, podWarnings } from './pod-warnings.js';
import { validateLabelSelector } from './selector-validation.js';
import type { KindRules } from './typed.js';
import { validateSelected } from './workloads.js';

/** Jobs and what makes them (kubernetes: pkg/apis/batch/validation). */

const controllerUid = 'batch.kubernetes.io/controller-uid';
const jobName = 'batch.kubernetes.io/job-name';

/** A Job finds its pods by its own uid, unless its author has taken that over. */
export const job: KindRules<Job> = {
  judged: ({ spec }) => spec,
  warnings: jobWarnings,
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
  validate(object, out) {
    const { spec, metadata } = object;
    validateGeneratedSelector(object, out);
    validateJobSpec(spec, 'spec', out);
    if (!spec?.selector) out.push(causes.required('spec.selector'));
    else validateLabelSelector(spec.selector, 'spec.selector', out);
    validateSelected(spec?.selector, spec?.template, 'spec.template', out);
    if (spec?.completionMode !== 'Indexed' || !spec.completions) return;
    // Each of its pods has the name of the Job and its index for a host name.
    const host = `${metadata.name}-${spec.completions - 1}`;
    if (nameProblems(host, 'label').length > 0)
      out.push(
        causes.invalid('metadata.name', metadata.name, `will not able to create pod with invalid DNS label: ${host}`),
      );
  },
  validateChange(now, old, out) {
    const a = now.spec;
    const b = old.spec;
    if (a?.completionMode !== 'Indexed') immutable(a?.completions, b?.completions, equalJson, 'spec.completions', out);
    else if (!equalJson(a.completions, b?.completions) && a.completions !== a.parallelism)
      out.push(
        causes.invalid(
          'spec.completions',
          a.completions ?? null,
          'can only be modified in tandem with spec.parallelism',
        ),
      );
    immutable(a?.selector, b?.selector, equalJson, 'spec.selector', out);
    const unstarted = b?.suspend === true && old.status?.startTime === undefined;
    const same = unstarted
      ? equalJson(withoutScheduling(a?.template), withoutScheduling(b?.template))
      : equalJson(a?.template, b?.template);
    if (!same) out.push(causes.invalid('spec.template', a?.template ?? null, 'field is immutable'));
    for (const field of fixed) immutable(a?.[field], b?.[field], equalJson, `spec.${field}`, out);
  },
};

const fixed = [
  'completionMode',
  'podFailurePolicy',
  'backoffLimitPerIndex',
  'managedBy',
  'successPolicy',
] as const satisfies readonly (keyof JobSpec)[];

/** What of a template is the affair of those who let Jobs start (KEP-2926): they may change it until then. */
function withoutScheduling(template: PodTemplateSpec | undefined): unknown {
  const { labels, annotations, ...metadata } = template?.metadata ?? {};
  const { nodeSelector, tolerations, schedulingGates, affinity, ...spec } = template?.spec ?? {};
  const { nodeAffinity, ...others } = affinity ?? {};
  return { ...template, metadata, spec: { ...spec, affinity: others } };
}

function validateGeneratedSelector({ metadata, spec }: Job, out: Causes): void {
  if (!spec?.selector || spec.manualSelector === true) return;
  const uid = metadata.uid ?? '';
  const own = {
    [controllerUid]: uid,
    [jobName]: metadata.name ?? '',
    'controller-uid': uid,
    'job-name': metadata.name ?? '',
  };
  try {
    if (matchesLabels(selectorFromObject(spec.selector), own)) return;
  } catch (error) {
    if (error instanceof SelectorError) return;
    throw error;
  }
  out.push(causes.invalid('spec.selector', spec.selector, '`selector` not auto-generated'));
}

const counts = [
  'parallelism',
  'completions',
  'activeDeadlineSeconds',
  'backoffLimit',
  'ttlSecondsAfterFinished',
  'backoffLimitPerIndex',
  'maxFailedIndexes',
] as const;
const manyIndexes = 100_000;
const fewIndexes = 10_000;

function validateJobSpec(spec: JobSpec | undefined, at: string, out: Causes): void {
  for (const field of counts) nonNegative(spec?.[field], `${at}.${field}`, out);
  if (spec?.maxFailedIndexes !== undefined && spec.backoffLimitPerIndex === undefined)
    out.push(causes.required(`${at}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified'));
  if (spec?.managedBy !== undefined) {
    domainPrefixedPath(spec.managedBy, `${at}.managedBy`, out);
    if (spec.managedBy.length > 63) out.push(causes.tooLong(`${at}.managedBy`, 63));
  }
  optionalOneOf(spec?.completionMode, ['Indexed', 'NonIndexed'], `${at}.completionMode`, out);
  if (spec?.completionMode === 'Indexed') validateIndexes(spec, at, out);
  else
    for (const field of ['backoffLimitPerIndex', 'maxFailedIndexes'] as const)
      if (spec?.[field] !== undefined)
        out.push(causes.invalid(`${at}.${field}`, spec[field], 'requires indexed completion mode'));
  if (spec?.podFailurePolicy) validateFailurePolicy(spec, at, out);
  if (spec?.successPolicy) validateSuccessPolicy(spec, at, out);
  const replacement = spec?.podFailurePolicy ? ['Failed'] : ['Failed', 'TerminatingOrFailed'];
  optionalOneOf(spec?.podReplacementPolicy, replacement, `${at}.podReplacementPolicy`, out);
  validatePodTemplate(spec?.template, ['Always', 'Never', 'OnFailure'], `${at}.template`, out);
  const policy = spec?.template?.spec?.restartPolicy;
  if (!policy || policy === 'Always')
    out.push(causes.required(`${at}.template.spec.restartPolicy`, 'valid values: "OnFailure", "Never"'));
  else if (spec?.podFailurePolicy && policy !== 'Never')
    out.push(
      causes.invalid(
        `${at}.template.spec.restartPolicy`,
        policy,
        'only "Never" is supported when podFailurePolicy is specified',
      ),
    );
}

/** How many indexes a Job may have: its status lists them. */
function validateIndexes(spec: JobSpec, at: string, out: Causes): void {
  const { completions, parallelism, maxFailedIndexes: failed } = spec;
  if (completions === undefined) out.push(causes.required(`${at}.completions`, 'when completion mode is Indexed'));
  const most = (field: 'parallelism' | 'maxFailedIndexes', limit: number, when = '') => {
    const value = spec[field];
    if (value !== undefined && value > limit)
      out.push(causes.invalid(`${at}.${field}`, value, `must be less than or equal to ${limit}${when}`));
  };
  most('parallelism', manyIndexes, ' when completion mode is Indexed');
  if (completions !== undefined && failed !== undefined && failed > completions)
    out.push(causes.invalid(`${at}.maxFailedIndexes`, failed, 'must be less than or equal to completions'));
  most('maxFailedIndexes', manyIndexes);
  if (spec.backoffLimitPerIndex === undefined || (completions ?? 0) <= manyIndexes) return;
  if (failed === undefined)
    out.push(causes.required(`${at}.maxFailedIndexes`, `must be specified when completions is above ${manyIndexes}`));
  const when = ` when completions are above ${manyIndexes} and used with backoff limit per index`;
  if ((parallelism ?? 0) <= manyIndexes) most('parallelism', fewIndexes, when);
  if ((failed ?? 0) <= manyIndexes) most('maxFailedIndexes', fewIndexes, when);
}

/** 63 less the 11 characters that the name of a Job adds. */
const maxCronJobName = 52;

export const cronJob: KindRules<CronJob> = {
  judged: ({ spec }) => spec,
  warnings: (object) => [
    ...nameWarnings(object),
    ...podWarnings(object.spec?.jobTemplate?.spec?.template?.spec, 'spec.jobTemplate.spec.template.spec'),
  ],
  validate(object, out) {
    const { spec, metadata } = object;
    if ((metadata.name ?? '').length > maxCronJobName)
      out.push(causes.invalid('metadata.name', metadata.name, `must be no more than ${maxCronJobName} characters`));
    validateSchedule(spec, out);
    nonNegative(spec?.startingDeadlineSeconds, 'spec.startingDeadlineSeconds', out);
    validateTimeZone(spec?.timeZone, out);
    oneOf(spec?.concurrencyPolicy, ['Allow', 'Forbid', 'Replace'], 'spec.concurrencyPolicy', out);
    const template = spec?.jobTemplate?.spec;
    const at = 'spec.jobTemplate.spec';
    validateJobSpec(template, at, out);
    if (template?.selector)
      out.push(causes.invalid(`${at}.selector`, template.selector, '`selector` will be auto-generated'));
    if (template?.manualSelector)
      out.push(causes.notSupported(`${at}.manualSelector`, template.manualSelector, ['nil', 'false']));
    nonNegative(spec?.successfulJobsHistoryLimit, 'spec.successfulJobsHistoryLimit', out);
    nonNegative(spec?.failedJobsHistoryLimit, 'spec.failedJobsHistoryLimit', out);
  },
};

function validateSchedule(spec: CronJob['spec'], out: Causes): void {
  const at = 'spec.schedule';
  const schedule = spec?.schedule ?? '';
  if (!required(schedule, at, out)) return;
  const problem = scheduleProblem(schedule);
  if (schedule.includes('TZ') && spec?.timeZone !== undefined)
    out.push(causes.invalid(at, schedule, 'cannot use both timeZone field and TZ or CRON_TZ in schedule'));
  else if (problem) out.push(causes.invalid(at, schedule, problem));
}

function validateTimeZone(zone: string | undefined, out: Causes): void {
  const at = 'spec.timeZone';
  if (zone === undefined) return;
  if (zone === '') out.push(causes.invalid(at, zone, 'timeZone must be nil or non-empty string'));
  else if (zone.toLowerCase() === 'local')
    out.push(
      causes.invalid(at, zone, 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones'),
    );
  else if (!isTimeZone(zone)) out.push(causes.invalid(at, zone, `unknown time zone ${zone}`));
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
