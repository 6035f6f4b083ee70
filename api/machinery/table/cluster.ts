import type {
  APIService,
  ComponentStatus,
  ConfigMap,
  Event,
  EventEventsV1,
  Lease,
  LeaseCandidate,
  Namespace,
  Node,
  PriorityClass,
  ResourceQuota,
  RuntimeClass,
  Secret,
  ServiceAccount,
} from '../generated/types.js';
import { ageColumn, boolean, column, integer, nameColumn, type Printer, wide } from './column.js';
import { sinceText } from './duration.js';

const ROLE_PREFIX = 'node-role.kubernetes.io/';

/** Roles come from labels: `node-role.kubernetes.io/<role>` and `kubernetes.io/role=<role>`. */
function nodeRoles({ metadata }: Node): string {
  const roles = Object.entries(metadata.labels ?? {}).flatMap(([key, value]) => {
    if (key.startsWith(ROLE_PREFIX)) return [key.slice(ROLE_PREFIX.length)];
    return key === 'kubernetes.io/role' ? [value] : [];
  });
  return [...new Set(roles.filter(Boolean))].sort().join(',') || '<none>';
}

function nodeStatus({ spec, status }: Node): string {
  const ready = status?.conditions?.find((condition) => condition.type === 'Ready');
  const state = !ready ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady';
  return spec?.unschedulable ? `${state},SchedulingDisabled` : state;
}

const nodeAddress = ({ status }: Node, type: string): string =>
  status?.addresses?.find((address) => address.type === type)?.address ?? '<none>';

export const nodePrinter: Printer<Node> = {
  columns: [
    nameColumn,
    column('Status', 'Whether the node is ready and takes pods.', nodeStatus),
    column('Roles', 'Roles of the node.', nodeRoles),
    ageColumn,
    column('Version', 'Version of the kubelet.', (n: Node) => n.status?.nodeInfo?.kubeletVersion ?? ''),
    column('Internal-IP', 'Address within the cluster.', (n: Node) => nodeAddress(n, 'InternalIP'), wide),
    column('External-IP', 'Address from outside.', (n: Node) => nodeAddress(n, 'ExternalIP'), wide),
    column('OS-Image', 'Operating system.', (n: Node) => n.status?.nodeInfo?.osImage || '<unknown>', wide),
    column(
      'Kernel-Version',
      'Version of the kernel.',
      (n: Node) => n.status?.nodeInfo?.kernelVersion || '<unknown>',
      wide,
    ),
    column(
      'Container-Runtime',
      'Container runtime and its version.',
      (n: Node) => n.status?.nodeInfo?.containerRuntimeVersion || '<unknown>',
      wide,
    ),
  ],
};

export const namespacePrinter: Printer<Namespace> = {
  columns: [
    nameColumn,
    column('Status', 'Whether the namespace is in use or going away.', (n: Namespace) => n.status?.phase ?? ''),
    ageColumn,
  ],
};

type AnyEvent = Event | EventEventsV1;

/** Both groups show the same events; this is what they have in common. */
interface EventFacts {
  readonly object: { readonly kind?: string; readonly name?: string; readonly fieldPath?: string };
  readonly message: string;
  readonly source: string;
  readonly first?: string;
  readonly last?: string;
  readonly count: number;
}

function factsOf(event: AnyEvent): EventFacts {
  const core = 'involvedObject' in event ? event : undefined;
  const modern = core ? undefined : (event as EventEventsV1);
  const source = core?.source ?? modern?.deprecatedSource;
  const component = source?.component || core?.reportingComponent || modern?.reportingController || '';
  const instance = source?.host || event.reportingInstance || '';
  const first = core?.firstTimestamp ?? modern?.deprecatedFirstTimestamp ?? event.eventTime;
  const last = event.series?.lastObservedTime ?? core?.lastTimestamp ?? modern?.deprecatedLastTimestamp ?? first;
  return {
    object: core?.involvedObject ?? modern?.regarding ?? {},
    message: (core?.message ?? modern?.note ?? '').trim(),
    source: instance ? `${component}, ${instance}` : component,
    ...(first ? { first } : {}),
    ...(last ? { last } : {}),
    count: event.series?.count || core?.count || modern?.deprecatedCount || 1,
  };
}

export const eventPrinter: Printer<AnyEvent> = {
  columns: [
    column('Last Seen', 'Time since the event was last seen.', (e: AnyEvent, now) => sinceText(factsOf(e).last, now)),
    column('Type', 'Normal or Warning.', (e: AnyEvent) => e.type ?? ''),
    column('Reason', 'Why the event came about, in one word.', (e: AnyEvent) => e.reason ?? ''),
    column('Object', 'Object the event is about.', (e: AnyEvent) => {
      const { kind = '', name } = factsOf(e).object;
      return name ? `${kind.toLowerCase()}/${name}` : kind.toLowerCase();
    }),
    column(
      'Subobject',
      'Part of the object the event is about.',
      (e: AnyEvent) => factsOf(e).object.fieldPath ?? '',
      wide,
    ),
    column('Source', 'Component that reported the event.', (e: AnyEvent) => factsOf(e).source, wide),
    column('Message', 'What happened.', (e: AnyEvent) => factsOf(e).message),
    column(
      'First Seen',
      'Time since the event was first seen.',
      (e: AnyEvent, now) => sinceText(factsOf(e).first, now),
      wide,
    ),
    column('Count', 'How often the event was seen.', (e: AnyEvent) => factsOf(e).count, wide),
    { ...nameColumn, ...wide },
  ],
};

const count = (map: object | undefined): number => Object.keys(map ?? {}).length;

export const configMapPrinter: Printer<ConfigMap> = {
  columns: [
    nameColumn,
    column('Data', 'Number of entries.', (c: ConfigMap) => count(c.data) + count(c.binaryData)),
    ageColumn,
  ],
};

export const secretPrinter: Printer<Secret> = {
  columns: [
    nameColumn,
    column('Type', 'What the secret is for.', (s: Secret) => s.type ?? ''),
    column('Data', 'Number of entries.', (s: Secret) => count(s.data)),
    ageColumn,
  ],
};

export const serviceAccountPrinter: Printer<ServiceAccount> = {
  columns: [
    nameColumn,
    column('Secrets', 'Number of secrets.', (a: ServiceAccount) => a.secrets?.length ?? 0),
    ageColumn,
  ],
};

export const leasePrinter: Printer<Lease> = {
  columns: [
    nameColumn,
    column('Holder', 'Who holds the lease.', (l: Lease) => l.spec?.holderIdentity ?? ''),
    ageColumn,
  ],
};

export const leaseCandidatePrinter: Printer<LeaseCandidate> = {
  columns: [
    nameColumn,
    column('LeaseName', 'Lease the candidate stands for.', (c: LeaseCandidate) => c.spec.leaseName),
    column('BinaryVersion', 'Version of the binary.', (c: LeaseCandidate) => c.spec.binaryVersion ?? ''),
    column('EmulationVersion', 'Version the binary emulates.', (c: LeaseCandidate) => c.spec.emulationVersion ?? ''),
    ageColumn,
  ],
};

/** `cpu: 1/2, pods: 3/10`, for the resources that are limits or for the others. */
function quotaText({ status }: ResourceQuota, limits: boolean): string {
  return Object.keys(status?.hard ?? {})
    .filter((resource) => resource.startsWith('limits.') === limits)
    .sort()
    .map((resource) => `${resource}: ${status?.used?.[resource] ?? '0'}/${status?.hard?.[resource]}`)
    .join(', ');
}

export const resourceQuotaPrinter: Printer<ResourceQuota> = {
  columns: [
    nameColumn,
    column('Request', 'Use and bound of requests and objects.', (q: ResourceQuota) => quotaText(q, false)),
    column('Limit', 'Use and bound of limits.', (q: ResourceQuota) => quotaText(q, true)),
    ageColumn,
  ],
};

export const priorityClassPrinter: Printer<PriorityClass> = {
  columns: [
    nameColumn,
    column('Value', 'Priority of pods of the class.', (c: PriorityClass) => c.value ?? 0, integer),
    column(
      'Global-Default',
      'Whether pods without a class get this one.',
      (c: PriorityClass) => c.globalDefault ?? false,
      boolean,
    ),
    ageColumn,
    column(
      'PreemptionPolicy',
      'Whether pods of the class may displace others.',
      (c: PriorityClass) => c.preemptionPolicy ?? '',
    ),
  ],
};

export const runtimeClassPrinter: Printer<RuntimeClass> = {
  columns: [nameColumn, column('Handler', 'Runtime that runs the pods.', (c: RuntimeClass) => c.handler), ageColumn],
};

export const componentStatusPrinter: Printer<ComponentStatus> = {
  columns: [
    nameColumn,
    ...(['Status', 'Message', 'Error'] as const).map((name) =>
      column(name, `${name} of the component.`, ({ conditions }: ComponentStatus) => {
        const healthy = conditions?.find((condition) => condition.type === 'Healthy');
        if (name === 'Message') return healthy?.message ?? '';
        if (name === 'Error') return healthy?.error ?? '';
        return !healthy ? 'Unknown' : healthy.status === 'True' ? 'Healthy' : 'Unhealthy';
      }),
    ),
  ],
};

export const apiServicePrinter: Printer<APIService> = {
  columns: [
    nameColumn,
    column('Service', 'Service that serves the group-version, or Local.', ({ spec }: APIService) =>
      spec?.service ? `${spec.service.namespace}/${spec.service.name}` : 'Local',
    ),
    column('Available', 'Whether the group-version is served.', ({ status }: APIService) => {
      const available = status?.conditions?.find((condition) => condition.type === 'Available');
      if (!available) return 'Unknown';
      return available.status === 'True' ? 'True' : `${available.status} (${available.reason ?? ''})`;
    }),
    ageColumn,
  ],
};
