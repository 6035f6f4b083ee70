import {
  type Deployment,
  type Event,
  formatLabelSelector,
  type PodTemplateSpec,
  type ReplicaSet,
  selectorFromObject,
} from '@trimtab/machinery';
import { type Block, type Entry, optional, pairs, value } from './block.js';
import { containersEntry } from './containers.js';
import { eventsEntry } from './events.js';
import { annotations, created, deletion, identity, labels } from './metadata.js';
import { volumesEntry } from './pod.js';

const REVISION = 'deployment.kubernetes.io/revision';

/** `replicaSets` are those the deployment owns. */
export function describeDeployment(
  deployment: Deployment,
  replicaSets: readonly ReplicaSet[],
  events: readonly Event[],
  now: number,
): Block {
  const { spec, status = {} } = deployment;
  const { rollingUpdate, type = 'RollingUpdate' } = spec?.strategy ?? {};
  const revision = deployment.metadata.annotations?.[REVISION];
  const isNew = ({ metadata }: ReplicaSet): boolean => metadata.annotations?.[REVISION] === revision;
  const counts = [
    `${spec?.replicas ?? 1} desired`,
    `${status.updatedReplicas ?? 0} updated`,
    `${status.replicas ?? 0} total`,
    `${status.availableReplicas ?? 0} available`,
    `${status.unavailableReplicas ?? 0} unavailable`,
  ];
  return [
    ...identity(deployment),
    ...created(deployment),
    ...deletion(deployment),
    ...labels(deployment),
    ...annotations(deployment),
    value('Selector', formatLabelSelector(selectorFromObject(spec?.selector))),
    value('Replicas', counts.join(' | ')),
    ...(spec?.paused ? [value('Paused', 'true')] : []),
    value('StrategyType', type),
    value('MinReadySeconds', spec?.minReadySeconds ?? 0),
    ...(rollingUpdate
      ? [
          value(
            'RollingUpdateStrategy',
            `${rollingUpdate.maxUnavailable ?? '25%'} max unavailable, ${rollingUpdate.maxSurge ?? '25%'} max surge`,
          ),
        ]
      : []),
    templateEntry(spec?.template),
    {
      label: 'Conditions',
      table: {
        header: ['Type', 'Status', 'Reason'],
        rows: (status.conditions ?? []).map((condition) => [condition.type, condition.status, condition.reason ?? '']),
      },
    },
    value('OldReplicaSets', setsText(replicaSets.filter((set) => !isNew(set) && (set.spec?.replicas ?? 0) > 0))),
    value('NewReplicaSet', setsText(replicaSets.filter(isNew))),
    eventsEntry(events, now),
  ];
}

function templateEntry(template: PodTemplateSpec | undefined): Entry {
  const { metadata, spec } = template ?? {};
  const init = spec?.initContainers ?? [];
  return {
    label: 'Pod Template',
    inner: [
      value('Labels', pairs(metadata?.labels)),
      ...(metadata?.annotations ? [value('Annotations', pairs(metadata.annotations, ': '))] : []),
      ...optional('Service Account', spec?.serviceAccountName),
      ...(init.length > 0 ? [containersEntry('Init Containers', init)] : []),
      containersEntry('Containers', spec?.containers ?? []),
      volumesEntry(spec?.volumes ?? []),
      value('Node-Selectors', pairs(spec?.nodeSelector)),
    ],
  };
}

const setsText = (sets: readonly ReplicaSet[]): readonly string[] =>
  sets.map(
    ({ metadata, spec, status }) =>
      `${metadata.name} (${status?.replicas ?? 0}/${spec?.replicas ?? 1} replicas created)`,
  );
