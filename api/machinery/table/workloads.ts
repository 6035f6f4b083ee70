import type {
  Container,
  ControllerRevision,
  CronJob,
  DaemonSet,
  Deployment,
  Job,
  LabelSelector,
  PodDisruptionBudget,
  PodTemplate,
  PodTemplateSpec,
  ReplicaSet,
  ReplicationController,
  Scale,
  StatefulSet,
} from '../generated/types.js';
import type { KubeObject } from '../object.js';
import { formatLabelSelector, selectorFromObject } from '../selector/labels.js';
import {
  ageColumn,
  boolean,
  boolText,
  type Column,
  column,
  integer,
  labelsText,
  nameColumn,
  type Printer,
  wide,
} from './column.js';
import { betweenText, sinceText } from './duration.js';

/** `<none>` where nothing is selected on, `<error>` where the selector cannot be read. */
export function selectorText(selector: LabelSelector | undefined): string {
  try {
    return formatLabelSelector(selectorFromObject(selector)) || '<none>';
  } catch {
    return '<error>';
  }
}

const containersOf = (template: PodTemplateSpec | undefined): readonly Container[] => template?.spec?.containers ?? [];

/** The two wide columns every workload ends with. */
function containerColumns<T extends KubeObject>(
  templateOf: (object: T) => PodTemplateSpec | undefined,
): readonly Column<T>[] {
  const joined = (object: T, read: (container: Container) => string): string =>
    containersOf(templateOf(object)).map(read).join(',');
  return [
    column(
      'Containers',
      'Names of the containers in the template.',
      (object: T) => joined(object, (c) => c.name),
      wide,
    ),
    column(
      'Images',
      'Images of the containers in the template.',
      (object: T) => joined(object, (c) => c.image ?? ''),
      wide,
    ),
  ];
}

const selectorColumn = <T extends KubeObject>(read: (object: T) => string): Column<T> =>
  column('Selector', 'Pods that belong to the object.', read, wide);

export const deploymentPrinter: Printer<Deployment> = {
  columns: [
    nameColumn,
    column(
      'Ready',
      'Pods that are ready, of those wanted.',
      (d: Deployment) => `${d.status?.readyReplicas ?? 0}/${d.spec?.replicas ?? 0}`,
    ),
    column('Up-to-date', 'Pods made from the current template.', (d: Deployment) => d.status?.updatedReplicas ?? 0),
    column(
      'Available',
      'Pods ready for at least minReadySeconds.',
      (d: Deployment) => d.status?.availableReplicas ?? 0,
    ),
    ageColumn,
    ...containerColumns((d: Deployment) => d.spec?.template),
    selectorColumn((d: Deployment) => selectorText(d.spec?.selector)),
  ],
};

type Replicated = ReplicaSet | ReplicationController;

const replicaColumns: readonly Column<Replicated>[] = [
  nameColumn,
  column('Desired', 'Pods wanted.', (r: Replicated) => r.spec?.replicas ?? 0, integer),
  column('Current', 'Pods there are.', (r: Replicated) => r.status?.replicas ?? 0, integer),
  column('Ready', 'Pods that are ready.', (r: Replicated) => r.status?.readyReplicas ?? 0, integer),
  ageColumn,
  ...containerColumns((r: Replicated) => r.spec?.template),
];

export const replicaSetPrinter: Printer<ReplicaSet> = {
  columns: [...replicaColumns, selectorColumn((r: ReplicaSet) => selectorText(r.spec?.selector))],
};

export const replicationControllerPrinter: Printer<ReplicationController> = {
  columns: [...replicaColumns, selectorColumn((r: ReplicationController) => labelsText(r.spec?.selector))],
};

export const daemonSetPrinter: Printer<DaemonSet> = {
  columns: [
    nameColumn,
    column(
      'Desired',
      'Nodes that should run the pod.',
      (d: DaemonSet) => d.status?.desiredNumberScheduled ?? 0,
      integer,
    ),
    column(
      'Current',
      'Nodes that run the pod and should.',
      (d: DaemonSet) => d.status?.currentNumberScheduled ?? 0,
      integer,
    ),
    column('Ready', 'Nodes whose pod is ready.', (d: DaemonSet) => d.status?.numberReady ?? 0, integer),
    column(
      'Up-to-date',
      'Nodes with a pod of the current template.',
      (d: DaemonSet) => d.status?.updatedNumberScheduled ?? 0,
      integer,
    ),
    column('Available', 'Nodes whose pod is available.', (d: DaemonSet) => d.status?.numberAvailable ?? 0, integer),
    column('Node Selector', 'Nodes the pods may run on.', (d: DaemonSet) =>
      labelsText(d.spec?.template?.spec?.nodeSelector),
    ),
    ageColumn,
    ...containerColumns((d: DaemonSet) => d.spec?.template),
    selectorColumn((d: DaemonSet) => selectorText(d.spec?.selector)),
  ],
};

export const statefulSetPrinter: Printer<StatefulSet> = {
  columns: [
    nameColumn,
    column(
      'Ready',
      'Pods that are ready, of those wanted.',
      (s: StatefulSet) => `${s.status?.readyReplicas ?? 0}/${s.spec?.replicas ?? 0}`,
    ),
    ageColumn,
    ...containerColumns((s: StatefulSet) => s.spec?.template),
  ],
};

function jobStatus(job: Job): string {
  const has = (type: string): boolean =>
    job.status?.conditions?.some((c) => c.type === type && c.status === 'True') ?? false;
  if (has('Complete')) return 'Complete';
  if (has('Failed')) return 'Failed';
  if (job.metadata.deletionTimestamp) return 'Terminating';
  if (has('Suspended')) return 'Suspended';
  return has('FailureTarget') ? 'FailureTarget' : 'Running';
}

function jobCompletions({ spec, status }: Job): string {
  const succeeded = status?.succeeded ?? 0;
  if (spec?.completions !== undefined) return `${succeeded}/${spec.completions}`;
  const parallelism = spec?.parallelism ?? 0;
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

export const jobPrinter: Printer<Job> = {
  columns: [
    nameColumn,
    column('Status', 'Whether the job runs, is done or has failed.', jobStatus),
    column('Completions', 'Pods that succeeded, of those needed.', jobCompletions),
    column('Duration', 'Time the job took, or has taken so far.', (job: Job, now) =>
      betweenText(job.status?.startTime, job.status?.completionTime, now),
    ),
    ageColumn,
    ...containerColumns((job: Job) => job.spec?.template),
    selectorColumn((job: Job) => selectorText(job.spec?.selector)),
  ],
};

export const cronJobPrinter: Printer<CronJob> = {
  columns: [
    nameColumn,
    column('Schedule', 'When jobs are made, in cron notation.', (c: CronJob) => c.spec?.schedule ?? ''),
    column('Timezone', 'Time zone of the schedule.', (c: CronJob) => c.spec?.timeZone ?? '<none>'),
    column('Suspend', 'Whether no new jobs are made.', (c: CronJob) => boolText(c.spec?.suspend), boolean),
    column('Active', 'Jobs that are running.', (c: CronJob) => c.status?.active?.length ?? 0, integer),
    column('Last Schedule', 'Time since a job was last made.', (c: CronJob, now) =>
      c.status?.lastScheduleTime ? sinceText(c.status.lastScheduleTime, now) : '<none>',
    ),
    ageColumn,
    ...containerColumns((c: CronJob) => c.spec?.jobTemplate?.spec?.template),
    selectorColumn((c: CronJob) => selectorText(c.spec?.jobTemplate?.spec?.selector)),
  ],
};

export const podTemplatePrinter: Printer<PodTemplate> = {
  columns: [
    nameColumn,
    ...containerColumns((t: PodTemplate) => t.template).map((each) => ({ ...each, priority: 0 })),
    column('Pod Labels', 'Labels of pods made from the template.', (t: PodTemplate) =>
      labelsText(t.template?.metadata?.labels),
    ),
  ],
};

export const controllerRevisionPrinter: Printer<ControllerRevision> = {
  columns: [
    nameColumn,
    column('Controller', 'Owner of the revision.', (r: ControllerRevision) => {
      const owner = r.metadata.ownerReferences?.find((reference) => reference.controller);
      if (!owner) return '<none>';
      const group = owner.apiVersion.includes('/') ? `.${owner.apiVersion.split('/')[0]}` : '';
      return `${owner.kind}${group}`.toLowerCase().concat(`/${owner.name}`);
    }),
    column('Revision', 'Number of the revision.', (r: ControllerRevision) => r.revision ?? 0),
    ageColumn,
  ],
};

export const podDisruptionBudgetPrinter: Printer<PodDisruptionBudget> = {
  columns: [
    nameColumn,
    column('Min Available', 'Pods that must stay available.', (b: PodDisruptionBudget) =>
      String(b.spec?.minAvailable ?? 'N/A'),
    ),
    column('Max Unavailable', 'Pods that may be unavailable.', (b: PodDisruptionBudget) =>
      String(b.spec?.maxUnavailable ?? 'N/A'),
    ),
    column(
      'Allowed Disruptions',
      'Pods that may be evicted now.',
      (b: PodDisruptionBudget) => b.status?.disruptionsAllowed ?? 0,
      integer,
    ),
    ageColumn,
  ],
};

export const scalePrinter: Printer<Scale> = {
  columns: [
    { ...nameColumn, format: '' },
    column('Desired', 'Replicas wanted.', (s: Scale) => s.spec?.replicas ?? 0, integer),
    column('Available', 'Replicas there are.', (s: Scale) => s.status?.replicas ?? 0, integer),
    ageColumn,
  ],
};
