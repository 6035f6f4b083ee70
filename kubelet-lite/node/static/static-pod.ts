import { createHash } from 'node:crypto';
import {
  decodeTyped,
  type KubeObject,
  type PodSpec,
  Pods,
  parseYamlDocuments,
  schemaFor,
  timestamp,
  type Volume,
} from '@trimtab/machinery';
import type { Pod } from '../../pod/api.js';

/** Annotations by which everybody knows static pods and their mirrors (kubernetes: pkg/kubelet/types). */
export const CONFIG = {
  source: 'kubernetes.io/config.source',
  hash: 'kubernetes.io/config.hash',
  seen: 'kubernetes.io/config.seen',
  mirror: 'kubernetes.io/config.mirror',
} as const;

export const isStatic = ({ metadata }: KubeObject): boolean => metadata.annotations?.[CONFIG.source] === 'file';

/**
 * The pod that a manifest describes on this node. Its UID is a hash of the manifest, so a changed manifest is another pod; its name
 * ends in the node's.
 *
 * @throws Error that says what is wrong with the manifest.
 */
export function staticPod(text: string, path: string, nodeName: string, now: number): Pod {
  const [document, more] = parseYamlDocuments(text);
  if (document === undefined) throw new Error('there is nothing in it');
  if (more !== undefined) throw new Error('there is more than one object in it');
  const given = document.value as KubeObject | null;
  if (given?.kind !== 'Pod' || given.apiVersion !== 'v1') throw new Error('it is no Pod of v1');
  const { value, unknown, errors } = decodeTyped<Pod>(schemaFor({ group: '', version: 'v1', kind: 'Pod' })!, given);
  const wrong = [...errors.map((error) => JSON.stringify(error)), ...unknown];
  if (wrong.length > 0) throw new Error(wrong.join('; '));
  if (!value.metadata?.name) throw new Error('metadata.name: Required value');
  if (!value.spec?.containers?.length) throw new Error('spec.containers: Required value');
  const forbidden = apiReference(value.spec);
  if (forbidden) throw new Error(`static pods cannot use ${forbidden}: they start before there is an API`);
  const uid = createHash('sha256').update(`${nodeName}\n${path}\n${text}`).digest('hex').slice(0, 32);
  const { metadata, spec } = value;
  return {
    apiVersion: 'v1',
    kind: Pods.kind,
    metadata: {
      ...metadata,
      name: `${metadata.name}-${nodeName}`,
      namespace: metadata.namespace ?? 'default',
      uid,
      creationTimestamp: timestamp(now),
      annotations: {
        ...metadata.annotations,
        [CONFIG.source]: 'file',
        [CONFIG.hash]: uid,
        [CONFIG.seen]: timestamp(now),
      },
    },
    spec: {
      ...spec,
      nodeName,
      restartPolicy: spec.restartPolicy ?? 'Always',
      terminationGracePeriodSeconds: spec.terminationGracePeriodSeconds ?? 30,
      dnsPolicy: spec.dnsPolicy ?? 'ClusterFirst',
      enableServiceLinks: spec.enableServiceLinks ?? true,
      tolerations: [...(spec.tolerations ?? []), { operator: 'Exists', effect: 'NoExecute' }],
    },
  };
}

/** What the pod takes from the API, in words. */
function apiReference(spec: PodSpec): string | undefined {
  if (spec.serviceAccountName) return 'a service account';
  if (spec.resourceClaims?.length) return 'resource claims';
  if (spec.imagePullSecrets?.length) return 'image pull secrets';
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    if (container.envFrom?.some((from) => from.secretRef)) return 'secrets';
    if (container.envFrom?.some((from) => from.configMapRef)) return 'config maps';
    for (const { valueFrom } of container.env ?? []) {
      if (valueFrom?.secretKeyRef) return 'secrets';
      if (valueFrom?.configMapKeyRef) return 'config maps';
    }
  }
  return spec.volumes?.map(volumeReference).find((found) => found !== undefined);
}

function volumeReference({
  secret,
  configMap,
  projected,
  persistentVolumeClaim,
  ephemeral,
  csi,
}: Volume): string | undefined {
  if (secret || projected?.sources?.some((source) => source.secret)) return 'secrets';
  if (configMap || projected?.sources?.some((source) => source.configMap)) return 'config maps';
  if (projected?.sources?.some((source) => source.serviceAccountToken)) return 'service account tokens';
  if (persistentVolumeClaim || ephemeral) return 'persistent volume claims';
  return csi ? 'CSI volumes' : undefined;
}

/** The object that shows a static pod in the API; the API makes its UID. */
export function mirrorOf(pod: Pod, nodeUid: string | undefined): Pod {
  const { name, namespace, labels, annotations, uid } = pod.metadata;
  const owner = { apiVersion: 'v1', kind: 'Node', name: pod.spec.nodeName ?? '', uid: nodeUid ?? '', controller: true };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: name ?? '',
      namespace: namespace ?? '',
      ...(labels ? { labels } : {}),
      annotations: { ...annotations, [CONFIG.mirror]: uid ?? '' },
      ...(nodeUid ? { ownerReferences: [owner] } : {}),
    },
    spec: pod.spec,
  };
}

export const mirrorHash = ({ metadata }: KubeObject): string | undefined => metadata.annotations?.[CONFIG.mirror];
