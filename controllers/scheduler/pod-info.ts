import { type Pod, type PodSpec, remembering, type TopologySpreadConstraint } from '@trimtab/machinery';
import { claimsOf } from '../storage/names.js';
import { type AffinityTerm, affinityTerm, type TermTarget, withLabelKeys } from './affinity-term.js';
import { type Amounts, nonZeroRequests, requestsOf } from './amounts.js';

/** What scheduling needs of a pod's specification, read once for pods that have the very same. */
interface SpecFacts {
  readonly requests: Amounts;
  readonly nonZero: PodInfo['nonZero'];
  readonly hostPorts: readonly HostPort[];
  /** All that the plugins read of it but its claims and its terms; and its images. */
  readonly text: string;
  readonly images: string;
}

/** What scheduling needs of a pod, read once. */
export interface PodInfo {
  readonly pod: Pod;
  readonly uid: string;
  readonly priority: number;
  readonly requests: Amounts;
  readonly nonZero: { readonly cpu: number; readonly memory: number };
  readonly hostPorts: readonly HostPort[];
  /** `namespace/name` of its persistent volume claims. */
  readonly claims: readonly string[];
  readonly terms: AffinityTerms;
  /** Names pods that are alike to every rule that looks at other pods: namespace, labels, terms, whether it is leaving. */
  readonly kin: string;
  readonly facts: SpecFacts;
}

/** The inter-pod terms of a pod. */
export interface AffinityTerms {
  readonly affinity: readonly AffinityTerm[];
  readonly antiAffinity: readonly AffinityTerm[];
  readonly preferredAffinity: readonly AffinityTerm[];
  readonly preferredAntiAffinity: readonly AffinityTerm[];
}

export interface HostPort {
  readonly protocol: string;
  readonly hostIP: string;
  readonly port: number;
}

const NO_TERMS: AffinityTerms = { affinity: [], antiAffinity: [], preferredAffinity: [], preferredAntiAffinity: [] };

export function podInfo(pod: Pod): PodInfo {
  const { metadata, spec } = pod;
  const facts = factsOf(spec ?? NO_SPEC);
  const namespace = metadata.namespace ?? '';
  const { podAffinity, podAntiAffinity } = spec?.affinity ?? {};
  const related = podAffinity !== undefined || podAntiAffinity !== undefined;
  return {
    pod,
    uid: metadata.uid ?? `${namespace}/${metadata.name}`,
    priority: spec?.priority ?? 0,
    requests: facts.requests,
    nonZero: facts.nonZero,
    hostPorts: facts.hostPorts,
    claims: claimsOf(pod).map(({ claim }) => `${namespace}/${claim}`),
    terms: related ? termsOf(pod) : NO_TERMS,
    kin: `${namespace} ${metadata.deletionTimestamp ? 1 : 0} ${labelsText(metadata.labels ?? NO_LABELS)}${
      related ? JSON.stringify([podAffinity, podAntiAffinity]) : ''
    }`,
    facts,
  };
}

const NO_SPEC: PodSpec = { containers: [] };
const NO_LABELS = {};
const labelsText = remembering((labels: Readonly<Record<string, string>>) => JSON.stringify(labels));

const factsOf = remembering((spec: PodSpec): SpecFacts => {
  const pod: Pod = { metadata: {}, spec };
  const requests = requestsOf(pod);
  const images = [...(spec.initContainers ?? []), ...(spec.containers ?? [])].map(({ image }) => image);
  return {
    requests,
    nonZero: nonZeroRequests(pod, requests),
    hostPorts: hostPortsOf(pod),
    text: specText(spec, requests),
    images: images.join(' '),
  };
});

function termsOf(pod: Pod): AffinityTerms {
  const { podAffinity, podAntiAffinity } = pod.spec!.affinity!;
  const required = (of: typeof podAffinity) =>
    (of?.requiredDuringSchedulingIgnoredDuringExecution ?? []).map((term) => affinityTerm(term, pod));
  const preferred = (of: typeof podAffinity) =>
    (of?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(({ weight, podAffinityTerm }) =>
      affinityTerm(podAffinityTerm, pod, weight),
    );
  return {
    affinity: required(podAffinity),
    antiAffinity: required(podAntiAffinity),
    preferredAffinity: preferred(podAffinity),
    preferredAntiAffinity: preferred(podAntiAffinity),
  };
}

export const targetOf = ({ pod }: PodInfo): TermTarget => ({
  namespace: pod.metadata.namespace ?? '',
  labels: pod.metadata.labels,
});

/** Host ports of containers and sidecars, which run beside each other. */
function hostPortsOf({ spec }: Pod): readonly HostPort[] {
  const sidecars = (spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  return [...(spec?.containers ?? []), ...sidecars].flatMap((container) =>
    (container.ports ?? [])
      .filter((port) => port.hostPort)
      .map((port) => ({ protocol: port.protocol ?? 'TCP', hostIP: port.hostIP ?? '', port: port.hostPort! })),
  );
}

/**
 * Names pods that every rule judges alike: where one fits nowhere, neither does the next. Everything the plugins read is in
 * it; pods with claims of their own are told apart by those.
 */
export function verdictKey({ kin, claims, facts }: PodInfo): string {
  return `${kin}\n${claims.join(' ')}\n${facts.text}`;
}

function specText(spec: PodSpec, { cpu, memory, ephemeralStorage, extended }: Amounts): string {
  return JSON.stringify([
    spec.priority ?? 0,
    [cpu, memory, ephemeralStorage, extended ? [...extended] : 0],
    spec.schedulerName,
    spec.nodeSelector,
    spec.affinity?.nodeAffinity,
    spec.tolerations,
    spec.topologySpreadConstraints,
    spec.preemptionPolicy,
    spec.resourceClaims,
    spec.containers?.map(({ ports }) => ports?.map(({ hostPort, hostIP, protocol }) => [hostPort, hostIP, protocol])),
  ]);
}

/** One spread constraint of a pod, read once. */
export interface SpreadConstraint {
  readonly topologyKey: string;
  readonly maxSkew: number;
  readonly minDomains: number;
  readonly selector: AffinityTerm['selector'];
  readonly honorAffinity: boolean;
  readonly honorTaints: boolean;
}

export function spreadConstraints(pod: Pod, whenUnsatisfiable: string): readonly SpreadConstraint[] {
  return (pod.spec?.topologySpreadConstraints ?? [])
    .filter((constraint) => constraint.whenUnsatisfiable === whenUnsatisfiable)
    .map((constraint) => spreadConstraint(constraint, pod));
}

function spreadConstraint(constraint: TopologySpreadConstraint, pod: Pod): SpreadConstraint {
  return {
    topologyKey: constraint.topologyKey,
    maxSkew: constraint.maxSkew,
    minDomains: constraint.minDomains ?? 1,
    selector: withLabelKeys(constraint.labelSelector, pod, constraint.matchLabelKeys),
    honorAffinity: (constraint.nodeAffinityPolicy ?? 'Honor') === 'Honor',
    honorTaints: constraint.nodeTaintsPolicy === 'Honor',
  };
}
