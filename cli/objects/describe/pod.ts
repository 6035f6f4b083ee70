import { type Event, type Pod, summarizePod, type Toleration, type Volume } from '@trimtab/machinery';
import { type Block, type Entry, optional, pairs, timeText, value } from './block.js';
import { containersEntry } from './containers.js';
import { eventsEntry } from './events.js';
import { annotations, controlledBy, deletion, identity, labels } from './metadata.js';

export function describePod(pod: Pod, events: readonly Event[], now: number): Block {
  const { spec, status = {} } = pod;
  const init = spec?.initContainers ?? [];
  return [
    ...identity(pod),
    ...optional('Priority', spec?.priority),
    ...optional('Priority Class Name', spec?.priorityClassName),
    ...optional('Runtime Class Name', spec?.runtimeClassName),
    value('Service Account', spec?.serviceAccountName ?? 'default'),
    value('Node', spec?.nodeName ? [spec.nodeName, status.hostIP].filter(Boolean).join('/') : '<none>'),
    ...(status.startTime ? [value('Start Time', timeText(status.startTime))] : []),
    ...labels(pod),
    ...annotations(pod),
    value('Status', pod.metadata.deletionTimestamp ? 'Terminating' : (status.phase ?? summarizePod(pod).status)),
    ...deletion(pod),
    ...optional('Reason', status.reason),
    ...optional('Message', status.message),
    value('IP', status.podIP ?? ''),
    value(
      'IPs',
      (status.podIPs ?? []).map(({ ip }) => ip),
    ),
    ...controlledBy(pod),
    ...(init.length > 0 ? [containersEntry('Init Containers', init, status.initContainerStatuses)] : []),
    containersEntry('Containers', spec?.containers ?? [], status.containerStatuses),
    conditionsEntry(status.conditions ?? []),
    volumesEntry(spec?.volumes ?? []),
    value('QoS Class', status.qosClass ?? 'BestEffort'),
    value('Node-Selectors', pairs(spec?.nodeSelector)),
    value('Tolerations', (spec?.tolerations ?? []).map(tolerationText)),
    eventsEntry(events, now),
  ];
}

/** Why a condition is not met belongs beside it. */
function conditionsEntry(
  conditions: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason?: string;
    readonly message?: string;
  }[],
): Entry {
  const rows = conditions.map(({ type, status, reason, message }) => [
    type,
    status,
    ...(status === 'True' ? [] : [[reason, message].filter(Boolean).join(': ')]),
  ]);
  return { label: 'Conditions', table: { header: ['Type', 'Status'], rows } };
}

const WORDS: Readonly<Record<string, string>> = {
  emptyDir: 'EmptyDir (a temporary directory that shares the life of the pod)',
  hostPath: 'HostPath (a file or directory of the node)',
  configMap: 'ConfigMap (a volume filled from a ConfigMap)',
  secret: 'Secret (a volume filled from a Secret)',
  projected: 'Projected (several sources in one directory)',
  downwardAPI: 'DownwardAPI (facts about the pod itself)',
  persistentVolumeClaim: 'PersistentVolumeClaim (a claim in the same namespace)',
};

export function volumesEntry(volumes: readonly Volume[]): Entry {
  const inner = volumes.map((volume) => {
    const { name, ...source } = volume;
    const [kind = 'emptyDir', details] = Object.entries(source)[0] ?? [];
    return { label: name, inner: [value('Type', WORDS[kind] ?? kind), ...sourceBlock(volume, details)] };
  });
  return { label: 'Volumes', inner };
}

function sourceBlock(volume: Volume, details: unknown): Block {
  const { hostPath, configMap, secret, projected, persistentVolumeClaim, emptyDir } = volume;
  if (emptyDir) return [...optional('Medium', emptyDir.medium), value('SizeLimit', emptyDir.sizeLimit ?? '<unset>')];
  if (hostPath) return [value('Path', hostPath.path), ...optional('HostPathType', hostPath.type)];
  if (configMap) return [value('Name', configMap.name ?? ''), value('Optional', Boolean(configMap.optional))];
  if (secret) return [value('SecretName', secret.secretName ?? ''), value('Optional', Boolean(secret.optional))];
  if (persistentVolumeClaim) return [value('ClaimName', persistentVolumeClaim.claimName)];
  if (projected) return [value('Sources', (projected.sources ?? []).map(projectedText))];
  return details === undefined ? [] : [value('Source', JSON.stringify(details))];
}

function projectedText(source: object): string {
  const [kind, details] = Object.entries(source)[0] ?? ['', undefined];
  const { name } = (details ?? {}) as { readonly name?: string };
  return name ? `${kind} ${name}` : kind;
}

function tolerationText({ key, operator, value: wanted, effect, tolerationSeconds }: Toleration): string {
  const what = `${key ?? ''}${wanted ? `=${wanted}` : ''}${effect ? `:${effect}` : ''}`;
  const how = operator === 'Exists' ? ' op=Exists' : '';
  return `${what}${how}${tolerationSeconds === undefined ? '' : ` for ${tolerationSeconds}s`}`.trim();
}
