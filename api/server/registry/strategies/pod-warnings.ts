import {
  type Container,
  isQuantity,
  type KubeObject,
  type PodSpec,
  type PodTemplateSpec,
  parseQuantity,
} from '@trimtab/machinery';
import { nameProblems } from '../names.js';

/** What Kubernetes takes of a pod and warns of (kubernetes: pkg/api/pod/warnings.go), in its words. */

const replacedLabels: Readonly<Record<string, string>> = {
  'beta.kubernetes.io/arch': 'deprecated since v1.14; use "kubernetes.io/arch" instead',
  'beta.kubernetes.io/os': 'deprecated since v1.14; use "kubernetes.io/os" instead',
  'failure-domain.beta.kubernetes.io/region': 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  'failure-domain.beta.kubernetes.io/zone': 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  'beta.kubernetes.io/instance-type': 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
};

const oldVolumes: Readonly<Record<string, string>> = {
  cephfs: 'deprecated in v1.28, non-functional in v1.31+',
  flocker: 'deprecated in v1.22, non-functional in v1.25+',
  gitRepo: 'deprecated in v1.11, and disabled by default in v1.33+',
  glusterfs: 'deprecated in v1.25, non-functional in v1.26+',
  photonPersistentDisk: 'deprecated in v1.11, non-functional in v1.16+',
  quobyte: 'deprecated in v1.22, non-functional in v1.25+',
  rbd: 'deprecated in v1.28, non-functional in v1.31+',
  scaleIO: 'deprecated in v1.16, non-functional in v1.22+',
  storageos: 'deprecated in v1.22, non-functional in v1.25+',
};

export function podWarnings(spec: PodSpec | undefined, at: string): readonly string[] {
  if (!spec) return [];
  const out: string[] = [];
  for (const key of Object.keys(spec.nodeSelector ?? {})) {
    const why = replacedLabels[key];
    if (why) out.push(`${at}.nodeSelector[${key}]: ${why}`);
  }
  for (const [i, { topologyKey }] of (spec.topologySpreadConstraints ?? []).entries()) {
    const why = replacedLabels[topologyKey];
    if (why) out.push(`${at}.topologySpreadConstraints[${i}].topologyKey: ${topologyKey} is ${why}`);
  }
  for (const [i, { name }] of (spec.imagePullSecrets ?? []).entries())
    if (!name) out.push(`${at}.imagePullSecrets[${i}].name: invalid empty name ""`);
  for (const [i, volume] of (spec.volumes ?? []).entries())
    for (const source of Object.keys(volume)) {
      const why = oldVolumes[source];
      if (why) out.push(`${at}.volumes[${i}].${source}: ${why}`);
    }
  for (const list of ['initContainers', 'containers'] as const)
    for (const [i, container] of (spec[list] ?? []).entries()) containerWarnings(container, `${at}.${list}[${i}]`, out);
  if ((spec.terminationGracePeriodSeconds ?? 0) < 0)
    out.push(`${at}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`);
  return out;
}

function containerWarnings(container: Container, at: string, out: string[]): void {
  const variables = new Set<string>();
  for (const [i, { name, value }] of (container.env ?? []).entries()) {
    if (variables.has(name) && !value?.includes(`$(${name})`))
      out.push(`${at}.env[${i}]: hides previous definition of "${name}", which may be dropped when using apply`);
    variables.add(name);
  }
  const ports = new Map<string, number>();
  for (const [i, p] of (container.ports ?? []).entries()) {
    const id = `${p.containerPort}/${p.protocol}/${p.hostPort ?? 0}/${p.hostIP ?? ''}`;
    const first = ports.get(id);
    if (first === undefined) ports.set(id, i);
    else out.push(`${at}.ports[${i}]: duplicate port definition with ${at}.ports[${first}]`);
  }
  for (const kind of ['limits', 'requests'] as const)
    for (const name of ['memory', 'ephemeral-storage'] as const) {
      const amount = container.resources?.[kind]?.[name];
      if (amount !== undefined && isQuantity(amount) && parseQuantity(amount).nano % 1_000_000_000n !== 0n)
        out.push(`${at}.resources.${kind}[${name}]: fractional byte value "${amount}" is invalid, must be an integer`);
    }
}

/** Names that pods are made of should be labels. */
export function nameWarnings({ metadata }: KubeObject): readonly string[] {
  const { name = '' } = metadata;
  return nameProblems(name, 'subdomain').length > 0
    ? []
    : nameProblems(name, 'label').map(
        (why) =>
          `metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [${why}]`,
      );
}

interface Templated extends KubeObject {
  readonly spec?: { readonly template?: PodTemplateSpec };
}

/** Of a workload, for its template. */
export const templateWarnings = (object: Templated): readonly string[] => [
  ...nameWarnings(object),
  ...podWarnings(object.spec?.template?.spec, 'spec.template.spec'),
];

/** Of a Job, whose indexed pods carry its name and index for a host name. */
export const jobWarnings = (
  object: Templated & {
    readonly spec?: {
      readonly completionMode?: string;
      readonly completions?: number;
      readonly parallelism?: number;
      readonly backoffLimitPerIndex?: number;
    };
  },
): readonly string[] => {
  const { completionMode, completions = 0, parallelism = 0, backoffLimitPerIndex } = object.spec ?? {};
  const many =
    completions > 100_000 && parallelism > 10_000 && completionMode === 'Indexed' && backoffLimitPerIndex === undefined;
  return [
    ...templateWarnings(object),
    ...(many
      ? [
          'In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail',
        ]
      : []),
  ];
};
