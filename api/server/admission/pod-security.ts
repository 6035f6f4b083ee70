import type { KubeObject, Pod, PodSpec, PodTemplateSpec } from '@trimtab/machinery';
import { causes, invalid } from '@trimtab/machinery';
import type { AdmissionAttributes, AdmissionPlugin, ObjectReader } from '../contracts.js';
import { concerns, refuse } from './attributes.js';
import { baseline, type PodCheck, restricted } from './pod-security-checks.js';

const prefix = 'pod-security.kubernetes.io/';
const levels: ReadonlyMap<string, readonly PodCheck[]> = new Map([
  ['privileged', []],
  ['baseline', baseline],
  ['restricted', restricted],
]);

/** Where the pod template of a workload lies. */
const templates: Readonly<Record<string, (object: KubeObject) => PodTemplateSpec | undefined>> = {
  '/replicationcontrollers': templateOf,
  '/podtemplates': (object) => (object as { readonly template?: PodTemplateSpec }).template,
  'apps/daemonsets': templateOf,
  'apps/deployments': templateOf,
  'apps/replicasets': templateOf,
  'apps/statefulsets': templateOf,
  'batch/jobs': templateOf,
  'batch/cronjobs': (object) =>
    (
      object as {
        readonly spec?: { readonly jobTemplate?: { readonly spec?: { readonly template?: PodTemplateSpec } } };
      }
    ).spec?.jobTemplate?.spec?.template,
};

function templateOf(object: KubeObject): PodTemplateSpec | undefined {
  return (object as { readonly spec?: { readonly template?: PodTemplateSpec } }).spec?.template;
}

/**
 * The namespace's labels `pod-security.kubernetes.io/enforce` and `warn` name a level of the Pod Security Standards: a pod
 * below the first is refused, a pod or workload below the second is warned of. The newest version of the standards counts,
 * whatever `-version` label stands beside it; without a label a namespace is `privileged`.
 */
export function podSecurity(reader: ObjectReader): AdmissionPlugin {
  return {
    name: 'PodSecurity',
    validate(attributes) {
      if (concerns(attributes, '/namespaces', 'CREATE', 'UPDATE')) {
        checkLabels(attributes);
        return;
      }
      const subject = subjectOf(attributes);
      if (!subject) return;
      const labels = reader.get('/namespaces', '', attributes.namespace)?.metadata.labels;
      const level = (mode: string) => labels?.[`${prefix}${mode}`] ?? 'privileged';
      if (subject.enforced) {
        const problems = violations(level('enforce'), subject.pod);
        if (problems.length > 0)
          throw refuse(attributes, `violates PodSecurity "${level('enforce')}:latest": ${problems.join(', ')}`);
      }
      const remarks = violations(level('warn'), subject.pod);
      if (remarks.length > 0)
        attributes.warn(`would violate PodSecurity "${level('warn')}:latest": ${remarks.join(', ')}`);
    },
  };
}

const violations = (level: string, pod: Pick<Pod, 'metadata' | 'spec'>): readonly string[] =>
  // A level that is not known was refused when the label was written; one that came otherwise is held to the strictest.
  (levels.get(level) ?? restricted).flatMap((check) => check(pod) ?? []);

function subjectOf(
  attributes: AdmissionAttributes,
): { readonly pod: Pick<Pod, 'metadata' | 'spec'>; readonly enforced: boolean } | undefined {
  const { type, subresource, operation, object } = attributes;
  if (!object || (operation !== 'CREATE' && operation !== 'UPDATE')) return undefined;
  if (type.group === '' && type.resource === 'pods') {
    if (subresource !== '' && subresource !== 'ephemeralcontainers') return undefined;
    const pod = object as Pod;
    return operation === 'UPDATE' && !changesPods(pod, attributes.oldObject as Pod)
      ? undefined
      : { pod, enforced: true };
  }
  const template = subresource === '' ? templates[`${type.group}/${type.resource}`]?.(object) : undefined;
  if (!template?.spec) return undefined;
  return { pod: { metadata: template.metadata ?? {}, spec: template.spec }, enforced: false };
}

/** An update that only changes images or metadata cannot make a pod less secure. */
function changesPods(pod: Pod, old: Pod | undefined): boolean {
  const containers = (spec: PodSpec | undefined) =>
    (spec?.ephemeralContainers?.length ?? 0) + (spec?.containers.length ?? 0);
  return containers(pod.spec) !== containers(old?.spec);
}

function checkLabels(attributes: AdmissionAttributes): void {
  const labels = attributes.object?.metadata.labels ?? {};
  const wrong = ['enforce', 'audit', 'warn'].filter((mode) => {
    const level = labels[`${prefix}${mode}`];
    return level !== undefined && !levels.has(level);
  });
  const versions = ['enforce', 'audit', 'warn'].filter((mode) => {
    const version = labels[`${prefix}${mode}-version`];
    return version !== undefined && version !== 'latest' && !/^v1\.\d+$/.test(version);
  });
  if (wrong.length + versions.length === 0) return;
  throw invalid({ group: '', kind: 'Namespace' }, attributes.name, [
    ...wrong.map((mode) =>
      causes.invalid(
        `metadata.labels[${prefix}${mode}]`,
        labels[`${prefix}${mode}`],
        'must be one of privileged, baseline, restricted',
      ),
    ),
    ...versions.map((mode) =>
      causes.invalid(
        `metadata.labels[${prefix}${mode}-version]`,
        labels[`${prefix}${mode}-version`],
        'must be "latest" or "v1.x"',
      ),
    ),
  ]);
}
