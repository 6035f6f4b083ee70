import type { Json } from '@trimtab/machinery';
import { type DefaultTable, type Fields, nested, orZero } from './defaults.js';

/** Defaults of pods and pod templates (kubernetes: pkg/apis/core/v1/defaults.go). */

const isObject = (value: Json | undefined): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** `latest`, given or implied, is always pulled; any other tag and every digest only when missing. */
export function pullPolicyFor(image: string): 'Always' | 'IfNotPresent' {
  if (image.includes('@')) return 'IfNotPresent';
  const tag = /:([^/:]+)$/.exec(image)?.[1] ?? 'latest';
  return tag === 'latest' ? 'Always' : 'IfNotPresent';
}

const handler: DefaultTable = { 'httpGet.path': '/', 'httpGet.scheme': 'HTTP' };

const probe: DefaultTable = {
  ...handler,
  'grpc.service': () => '',
  timeoutSeconds: orZero(1),
  periodSeconds: orZero(10),
  successThreshold: orZero(1),
  failureThreshold: orZero(3),
};

const hostNetwork = (pod: Fields): boolean => {
  const spec = isObject(pod.spec) ? pod.spec : undefined;
  const template = isObject(spec?.template) && isObject(spec.template.spec) ? spec.template.spec : spec;
  return template?.hostNetwork === true;
};

const container: DefaultTable = {
  imagePullPolicy: (c) => pullPolicyFor(String(c.image ?? '')),
  resources: {},
  terminationMessagePath: '/dev/termination-log',
  terminationMessagePolicy: 'File',
  'ports[].protocol': 'TCP',
  'ports[].hostPort': (port, pod) => (hostNetwork(pod) ? port.containerPort : undefined),
  'env[].valueFrom.fieldRef.apiVersion': 'v1',
  ...nested('livenessProbe', probe),
  ...nested('readinessProbe', probe),
  ...nested('startupProbe', probe),
  ...nested('lifecycle.postStart', handler),
  ...nested('lifecycle.preStop', handler),
};

const fileMode = 0o644;

const volume: DefaultTable = {
  emptyDir: (v) => (Object.keys(v).some((key) => key !== 'name') ? undefined : {}),
  'secret.defaultMode': fileMode,
  'configMap.defaultMode': fileMode,
  'downwardAPI.defaultMode': fileMode,
  'downwardAPI.items[].fieldRef.apiVersion': 'v1',
  'projected.defaultMode': fileMode,
  'projected.sources[].serviceAccountToken.expirationSeconds': 3600,
  'projected.sources[].downwardAPI.items[].fieldRef.apiVersion': 'v1',
  'hostPath.type': () => '',
  'image.pullPolicy': (source) => pullPolicyFor(String(source.reference ?? '')),
  'iscsi.iscsiInterface': 'default',
  'rbd.pool': 'rbd',
  'rbd.user': 'admin',
  'rbd.keyring': '/etc/ceph/keyring',
  'ephemeral.volumeClaimTemplate.spec.volumeMode': 'Filesystem',
};

/** The spec of a pod template. */
export const podSpecDefaults: DefaultTable = {
  // What follows may walk them; that there must be some is said by validation.
  containers: [],
  dnsPolicy: 'ClusterFirst',
  restartPolicy: 'Always',
  schedulerName: 'default-scheduler',
  securityContext: {},
  terminationGracePeriodSeconds: 30,
  serviceAccountName: (spec) => spec.serviceAccount || undefined,
  serviceAccount: (spec) => spec.serviceAccountName || undefined,
  ...nested('containers[]', container),
  ...nested('initContainers[]', container),
  ...nested('ephemeralContainers[]', container),
  ...nested('volumes[]', volume),
};

/** A pod itself has a few defaults that its template does not show. */
export const podDefaults: DefaultTable = nested('spec', {
  enableServiceLinks: true,
  ...podSpecDefaults,
});
