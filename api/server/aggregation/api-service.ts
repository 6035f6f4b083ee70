import type { APIService, APIServiceCondition, Service } from '@trimtab/machinery';
import { timestamp } from '@trimtab/machinery';
import type { ObjectReader } from '../contracts.js';

/** What an APIService says, and how it stands (kubernetes: kube-aggregator, availability controllers). Pure. */

export const apiServices = 'apiregistration.k8s.io/apiservices';

/** An APIService that another server answers. */
export interface RemoteService {
  readonly name: string;
  readonly group: string;
  readonly version: string;
  readonly groupPriority: number;
  readonly versionPriority: number;
  readonly service: { readonly namespace: string; readonly name: string; readonly port: number };
  /** PEM; undefined: the machine's own authorities. */
  readonly ca: string | undefined;
  readonly insecure: boolean;
}

/** Undefined where the server itself answers. */
export function remoteOf(object: APIService): RemoteService | undefined {
  const { spec, metadata } = object;
  if (!spec?.service?.name) return undefined;
  return {
    name: metadata.name ?? '',
    group: spec.group ?? '',
    version: spec.version ?? '',
    groupPriority: spec.groupPriorityMinimum,
    versionPriority: spec.versionPriority,
    service: { namespace: spec.service.namespace ?? '', name: spec.service.name, port: spec.service.port ?? 443 },
    ca: spec.caBundle ? Buffer.from(spec.caBundle, 'base64').toString('utf8') : undefined,
    insecure: spec.insecureSkipTLSVerify ?? false,
  };
}

export interface Standing {
  readonly available: boolean;
  readonly reason: string;
  readonly message: string;
}

/** What can be told without asking the server: undefined when it is to be asked. */
export function standingOf(remote: RemoteService, reader: ObjectReader): Standing | undefined {
  const { namespace, name, port } = remote.service;
  const where = `service/${name} in "${namespace}"`;
  const no = (reason: string, message: string): Standing => ({ available: false, reason, message });
  const service = reader.get('/services', namespace, name) as Service | undefined;
  if (!service) return no('ServiceNotFound', `${where} is not present`);
  if (service.spec?.type === 'ExternalName') return undefined;
  const portName = service.spec?.ports?.find((p) => p.port === port)?.name ?? '';
  if (!service.spec?.ports?.some((p) => p.port === port))
    return no('ServicePortError', `${where} is not listening on port ${port}`);
  const slices = [...reader.list('discovery.k8s.io/endpointslices', namespace)].filter(
    (slice) => slice.metadata.labels?.['kubernetes.io/service-name'] === name,
  ) as readonly {
    readonly ports?: readonly { readonly name?: string }[];
    readonly endpoints?: readonly { readonly conditions?: { readonly ready?: boolean } }[];
  }[];
  if (slices.length === 0) return no('EndpointsNotFound', `cannot find endpointslices for ${where}`);
  const reachable = slices.some(
    ({ ports, endpoints }) =>
      ports?.some((p) => (p.name ?? '') === portName) && endpoints?.some((e) => e.conditions?.ready !== false),
  );
  return reachable
    ? undefined
    : no('MissingEndpoints', `endpointslices for ${where} have no addresses with port name "${portName}"`);
}

export const local: Standing = { available: true, reason: 'Local', message: 'Local APIServices are always available' };
export const passed: Standing = { available: true, reason: 'Passed', message: 'all checks passed' };

/** The object with this standing as its condition `Available`; itself where it has it. */
export function withStanding(object: APIService, { available, reason, message }: Standing, now: number): APIService {
  const conditions = object.status?.conditions ?? [];
  const old = conditions.find((c) => c.type === 'Available');
  const status = available ? 'True' : 'False';
  if (old?.status === status && old.reason === reason && old.message === message) return object;
  const condition: APIServiceCondition = {
    type: 'Available',
    status,
    lastTransitionTime: old?.status === status && old.lastTransitionTime ? old.lastTransitionTime : timestamp(now),
    reason,
    message,
  };
  return {
    ...object,
    status: { ...object.status, conditions: [...conditions.filter((c) => c.type !== 'Available'), condition] },
  };
}

/** Kubernetes' own groups come first, in the order users know; others after them (kubernetes: controlplane apiservices). */
const groupPriorities: Readonly<Record<string, number>> = {
  '': 18000,
  'events.k8s.io': 17750,
  apps: 17800,
  'authentication.k8s.io': 17700,
  'authorization.k8s.io': 17600,
  autoscaling: 17500,
  batch: 17400,
  'certificates.k8s.io': 17300,
  'networking.k8s.io': 17200,
  policy: 17100,
  'rbac.authorization.k8s.io': 17000,
  'storage.k8s.io': 16800,
  'apiextensions.k8s.io': 16700,
  'admissionregistration.k8s.io': 16700,
  'scheduling.k8s.io': 16600,
  'coordination.k8s.io': 16500,
  'node.k8s.io': 16300,
  'discovery.k8s.io': 16200,
  'flowcontrol.apiserver.k8s.io': 16100,
  'resource.k8s.io': 15900,
};

/** The APIService of a group-version that this server answers itself. */
export function localApiService(group: string, version: string, custom: boolean): APIService {
  const beta = /(alpha|beta)(\d*)$/.exec(version);
  const stable = /^v(\d+)$/.exec(version);
  const versionPriority = custom ? 100 : stable ? 15 : beta?.[1] === 'beta' ? 9 : 1;
  return {
    apiVersion: 'apiregistration.k8s.io/v1',
    kind: 'APIService',
    metadata: {
      name: `${version}.${group}`,
      labels: { 'kube-aggregator.kubernetes.io/automanaged': custom ? 'true' : 'onstart' },
    },
    spec: {
      ...(group === '' ? {} : { group }),
      version,
      groupPriorityMinimum: custom ? 1000 : (groupPriorities[group] ?? 15000),
      versionPriority: group === '' ? 1 : versionPriority,
    },
  };
}
