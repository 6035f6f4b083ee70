import type { KubeObject, Pod, PodSpec, PodTemplateSpec } from '@trimtab/machinery';
import { causes, invalid } from '@trimtab/machinery';
import type { AdmissionAttributes, AdmissionPlugin, ObjectReader } from '../contracts.js';
import { concerns, refuse } from './attributes.js';
import { checksOf, type PodSecurityLevel } from './pod-security-checks.js';

const prefix = 'pod-security.kubernetes.io/';
const levels = ['privileged', 'baseline', 'restricted'] as const;
const isLevel = (text: string | undefined): text is PodSecurityLevel =>
  text !== undefined && (levels as readonly string[]).includes(text);
const modes = ['enforce', 'audit', 'warn'] as const;

/** `level:version`, as messages name it. */
interface Policy {
  readonly level: PodSecurityLevel;
  readonly version: string;
}

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
 * The namespace's labels `pod-security.kubernetes.io/enforce`, `audit` and `warn` name a level of the Pod Security Standards,
 * and with `-version` beside them which year's: a pod below the first is refused, a pod or workload below the second is
 * told of in the audit log, below the third in a warning. Without a label a namespace is `privileged`.
 */
export function podSecurity(reader: ObjectReader): AdmissionPlugin {
  return {
    name: 'PodSecurity',
    validate(attributes) {
      if (concerns(attributes, '/namespaces', 'CREATE', 'UPDATE')) {
        checkLabels(attributes);
        warnOfPods(attributes, reader);
        return;
      }
      const subject = subjectOf(attributes);
      if (!subject) return;
      const labels = reader.get('/namespaces', '', attributes.namespace)?.metadata.labels;
      const annotate = (name: string, value: string) => attributes.request?.annotate(`${prefix}${name}`, value);
      if (subject.enforced) {
        const enforce = policyOf(labels, 'enforce');
        annotate('enforce-policy', textOf(enforce));
        const problems = violations(enforce, subject.pod);
        if (problems.length > 0)
          throw refuse(attributes, `violates PodSecurity ${JSON.stringify(textOf(enforce))}: ${problems.join(', ')}`);
      }
      const would = (mode: 'audit' | 'warn', tell: (text: string) => void) => {
        const policy = policyOf(labels, mode);
        const remarks = violations(policy, subject.pod);
        if (remarks.length > 0)
          tell(`would violate PodSecurity ${JSON.stringify(textOf(policy))}: ${remarks.join(', ')}`);
      };
      would('audit', (text) => annotate('audit-violations', text));
      would('warn', (text) => attributes.warn(text));
    },
  };
}

type Labels = Readonly<Record<string, string>> | undefined;

/** A level that is not known was refused when the label was written; one that came otherwise is held to the strictest. */
function policyOf(labels: Labels, mode: (typeof modes)[number]): Policy {
  const level = labels?.[`${prefix}${mode}`] ?? 'privileged';
  const version = labels?.[`${prefix}${mode}-version`] ?? 'latest';
  return isLevel(level) ? { level, version } : { level: 'restricted', version: 'latest' };
}

const textOf = ({ level, version }: Policy): string => `${level}:${version}`;

const violations = ({ level, version }: Policy, pod: Pick<Pod, 'metadata' | 'spec'>): readonly string[] =>
  checksOf(level, minorOf(version)).flatMap((check) => check(pod) ?? []);

function minorOf(version: string): number {
  return Math.min(newestMinor, Number(/^v1\.(\d+)$/.exec(version)?.[1] ?? newestMinor));
}

/** Checks have not changed since. */
const newestMinor = 32;
/** Enough to know, and soon enough an answer. */
const mostPods = 3000;

/** A namespace held to more than before says which of its pods would not be let in any more. */
function warnOfPods(attributes: AdmissionAttributes, reader: ObjectReader): void {
  const { operation, object, oldObject, name } = attributes;
  if (operation !== 'UPDATE') return;
  const [now, before] = [object, oldObject].map((each) => policyOf(each?.metadata.labels, 'enforce')) as [
    Policy,
    Policy,
  ];
  const sameVersion = now.version === before.version;
  if (sameVersion && levels.indexOf(now.level) <= levels.indexOf(before.level)) return;
  const found = new Map<string, string[]>();
  let left = mostPods;
  for (const pod of reader.list('/pods', name)) {
    if (left-- === 0) break;
    const problems = violations(now, pod as Pod);
    if (problems.length === 0) continue;
    const reasons = problems.map((text) => text.replace(/ \(.*$/s, '')).join(', ');
    found.set(reasons, [...(found.get(reasons) ?? []), pod.metadata.name ?? '']);
  }
  if (found.size === 0) return;
  attributes.warn(
    `existing pods in namespace ${JSON.stringify(name)} violate the new PodSecurity enforce level ${JSON.stringify(textOf(now))}`,
  );
  const lines = [...found].map(([reasons, [first = '', ...others]]) => {
    const more = others.length === 0 ? '' : ` (and ${others.length} other pod${others.length === 1 ? '' : 's'})`;
    return `${first}${more}: ${reasons}`;
  });
  for (const line of lines.sort()) attributes.warn(line);
}

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
  const wrong = modes.filter((mode) => {
    const level = labels[`${prefix}${mode}`];
    return level !== undefined && !isLevel(level);
  });
  const versions = modes.filter((mode) => {
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
