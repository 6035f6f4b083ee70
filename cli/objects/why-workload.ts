import type {
  DaemonSet,
  Deployment,
  Event,
  Job,
  KubeObject,
  PersistentVolumeClaim,
  Pod,
  StatefulSet,
} from '@trimtab/machinery';
import { isReady } from './pod-ready.js';
import { oneLine } from './why-exits.js';
import { countOf, troubleLines } from './why-pods.js';
import { type AroundService, serviceLines } from './why-service.js';

/** What is known of an object that stands for pods, or that they need. */
export interface Around extends AroundService {
  /** About the object itself, oldest first. */
  readonly events: readonly Event[];
}

type Account = (title: string, object: never, around: Around) => readonly string[];

/** By resource and group, as {@link accountOf} asks. */
const accounts: Readonly<Record<string, Account>> = {
  'deployments.apps': deploymentLines,
  'replicasets.apps': replicaLines,
  replicationcontrollers: replicaLines,
  'statefulsets.apps': statefulSetLines,
  'daemonsets.apps': daemonSetLines,
  'jobs.batch': jobLines,
  services: serviceLines,
  persistentvolumeclaims: claimLines,
};

/** Says in words how far an object is from what it is to be, and which of its pods keep it. Only of what {@link hasAccount}. Pure. */
export function accountOf(resource: string, title: string, object: KubeObject, around: Around): readonly string[] {
  const account = accounts[resource]!;
  return [...account(title, object as never, around), ...troubleLines(around.pods), ...warnings(around.events)];
}

export const hasAccount = (resource: string): boolean => Object.hasOwn(accounts, resource);

function deploymentLines(title: string, deployment: Deployment, around: Around): readonly string[] {
  const { spec, status } = deployment;
  const updated = status?.updatedReplicas ?? 0;
  const wanted = spec?.replicas ?? 1;
  return [
    ...replicaLines(title, deployment, around),
    ...(updated < wanted ? [`  ${updated} of them are of its newest template.`] : []),
    ...(spec?.paused ? [`  It is paused: its template is not rolled out until kubectl rollout resume ${title}.`] : []),
  ];
}

function replicaLines(title: string, { spec, status }: Deployment, { pods }: Around): readonly string[] {
  const conditions = (status?.conditions ?? []).filter(({ type, status: is }) =>
    type === 'ReplicaFailure' ? is === 'True' : type === 'Progressing' && is === 'False',
  );
  return [
    readyText(title, spec?.replicas ?? 1, pods),
    ...conditions.map(({ reason, message }) => `  ${reason}: ${oneLine(message ?? '')}`),
  ];
}

function statefulSetLines(title: string, { spec, status }: StatefulSet, { pods }: Around): readonly string[] {
  const wanted = spec?.replicas ?? 1;
  const waits = spec?.podManagementPolicy !== 'Parallel' && (status?.replicas ?? 0) < wanted;
  return [
    readyText(title, wanted, pods),
    ...(waits ? ['  It makes them one after another: the next one follows once those before it are ready.'] : []),
  ];
}

function daemonSetLines(title: string, { status }: DaemonSet, { pods }: Around): readonly string[] {
  const wanted = status?.desiredNumberScheduled ?? 0;
  if (wanted === 0) return [`${title} fits no node: see its nodeSelector, affinity and tolerations.`];
  return [readyText(title, wanted, pods)];
}

function readyText(title: string, wanted: number, pods: readonly Pod[]): string {
  const ready = pods.filter(isReady).length;
  if (wanted === 0) return `${title} wants no pods${pods.length > 0 ? `; there are ${pods.length} still` : ''}.`;
  const all = ready >= wanted;
  return `${title} wants ${countOf(wanted, 'pod')}: ${all ? 'all of them are' : `${ready} of them ${ready === 1 ? 'is' : 'are'}`} ready.`;
}

function jobLines(title: string, { spec, status }: Job): readonly string[] {
  const ended = status?.conditions?.find(({ type, status: is }) => is === 'True' && /Complete|Failed/.test(type));
  const counts = [
    `${status?.succeeded ?? 0} of ${spec?.completions ?? spec?.parallelism ?? 1} succeeded`,
    ...(status?.failed ? [`${status.failed} failed (backoffLimit ${spec?.backoffLimit ?? 6})`] : []),
    ...(status?.active ? [`${countOf(status.active, 'pod')} under way`] : []),
  ].join(', ');
  if (ended?.type === 'Complete') return [`${title} is complete: ${counts}.`];
  if (ended) return [`${title} has failed: ${counts}.`, `  ${ended.reason}: ${oneLine(ended.message ?? '')}`];
  if (spec?.suspend) return [`${title} is suspended: it makes no pods until spec.suspend is false.`];
  return [`${title} is not done: ${counts}.`];
}

function claimLines(title: string, { spec, status }: PersistentVolumeClaim, { pods }: Around): readonly string[] {
  const users = pods.map(({ metadata }) => `pod/${metadata.name}`).join(', ');
  const used = users ? `Used by ${users}.` : 'No pod uses it.';
  if (status?.phase === 'Bound') return [`${title} is bound to volume ${spec?.volumeName}. ${used}`];
  const how = spec?.storageClassName ? ` from storage class ${spec.storageClassName}` : '';
  return [`${title} is ${status?.phase ?? 'Pending'}: it waits for a volume${how}. ${used}`];
}

/** The last that went wrong with the object itself, each kind of it once. */
function warnings(events: readonly Event[]): readonly string[] {
  const last = new Map<string, Event>();
  for (const event of events) {
    const tells = event.type === 'Warning' || event.reason === 'WaitForFirstConsumer';
    if (tells) last.set(event.reason ?? '', event);
  }
  return [...last.values()].slice(-3).map(({ reason, message, count = 1 }) => {
    const often = count > 1 ? ` (${count} times)` : '';
    return `  ${reason}${often}: ${oneLine(message ?? '')}`;
  });
}
