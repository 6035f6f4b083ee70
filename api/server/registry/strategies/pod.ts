import { type Container, causes, equalJson, type Pod, type PodSpec, remembering } from '@trimtab/machinery';
import { nameProblems } from '../names.js';
import { type Causes, positive } from './checks.js';
import { compileDefaults } from './defaults.js';
import { podDefaults } from './pod-defaults.js';
import { validatePodSpec } from './pod-validation.js';
import { nameWarnings, podWarnings } from './pod-warnings.js';
import { type KindRules, strategyFor } from './typed.js';

const fillDefaults = compileDefaults(podDefaults);

/** A pod's requests follow its limits wherever only a limit is given; a template's do not, so that it shows what was said. */
function withRequests(container: Container): Container {
  const { limits, requests } = container.resources ?? {};
  const lacking = Object.entries(limits ?? {}).filter(([name]) => requests?.[name] === undefined);
  if (lacking.length === 0) return container;
  return {
    ...container,
    resources: { ...container.resources, requests: { ...requests, ...Object.fromEntries(lacking) } },
  };
}

function fillRequests(pod: Pod): Pod {
  const { spec } = pod;
  if (!spec) return pod;
  const all = [...(spec.containers ?? []), ...(spec.initContainers ?? [])];
  if (all.every((container) => withRequests(container) === container)) return pod;
  const initContainers = spec.initContainers?.map(withRequests);
  return {
    ...pod,
    spec: { ...spec, containers: spec.containers.map(withRequests), ...(initContainers ? { initContainers } : {}) },
  };
}

/** Guaranteed, Burstable or BestEffort (kubernetes: «Pod Quality of Service Classes»). */
export function qosClass(spec: PodSpec): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  const computed = ['cpu', 'memory'] as const;
  const all = [...spec.containers, ...(spec.initContainers ?? [])];
  const set = (container: Container, kind: 'limits' | 'requests', name: (typeof computed)[number]) => {
    const value = container.resources?.[kind]?.[name];
    return value === undefined || value === '0' ? undefined : value;
  };
  const none = all.every((c) => computed.every((name) => !set(c, 'limits', name) && !set(c, 'requests', name)));
  if (none) return 'BestEffort';
  const full = all.every((c) =>
    computed.every((name) => {
      const limit = set(c, 'limits', name);
      return limit !== undefined && (set(c, 'requests', name) ?? limit) === limit;
    }),
  );
  return full ? 'Guaranteed' : 'Burstable';
}

const withImages = (now: readonly Container[] | undefined, old: readonly Container[] | undefined) =>
  now?.map((container, i) => ({ ...container, image: old?.[i]?.image }));

/** The new spec with everything that may change put back; differing from the old one then, it changes what it may not. */
function mutableFieldsReset(now: PodSpec, old: PodSpec): PodSpec {
  return {
    ...now,
    containers: withImages(now.containers, old.containers) ?? [],
    ...(now.initContainers ? { initContainers: withImages(now.initContainers, old.initContainers) } : {}),
    activeDeadlineSeconds: old.activeDeadlineSeconds,
    tolerations: old.tolerations,
    terminationGracePeriodSeconds:
      old.terminationGracePeriodSeconds !== undefined && old.terminationGracePeriodSeconds < 0
        ? old.terminationGracePeriodSeconds
        : now.terminationGracePeriodSeconds,
    schedulingGates: old.schedulingGates,
    ...(old.schedulingGates?.length ? { nodeSelector: old.nodeSelector, affinity: old.affinity } : {}),
  };
}

const mutableFields =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

function validateChange(pod: Pod, before: Pod, out: Causes, subresource: string): void {
  const now = pod.spec;
  const old = before.spec;
  if (!now || !old) return;
  if (subresource === 'ephemeralcontainers') validateEphemeralChange(now, old, out);
  else if (subresource === 'resize') validateResize(now, old, out);
  else if (subresource !== 'binding') validateSpecChange(now, old, out);
}

function validateSpecChange(now: PodSpec, old: PodSpec, out: Causes): void {
  if (
    (now.containers?.length ?? 0) !== (old.containers?.length ?? 0) ||
    (now.initContainers?.length ?? 0) !== (old.initContainers?.length ?? 0)
  ) {
    out.push(causes.forbidden('spec.containers', 'pod updates may not add or remove containers'));
    return;
  }
  validateDeadline(now.activeDeadlineSeconds, old.activeDeadlineSeconds, out);
  validateTolerations(now, old, out);
  for (const gate of now.schedulingGates ?? [])
    if (!old.schedulingGates?.some((g) => g.name === gate.name))
      out.push(
        causes.forbidden(
          'spec.schedulingGates',
          `only deletion is allowed, but found new scheduling gate '${gate.name}'`,
        ),
      );
  if (!equalJson(mutableFieldsReset(now, old), old)) out.push(causes.forbidden('spec', mutableFields));
}

function validateDeadline(now: number | undefined, old: number | undefined, out: Causes): void {
  const at = 'spec.activeDeadlineSeconds';
  if (now === undefined) {
    if (old !== undefined) out.push(causes.invalid(at, null, 'must not update from a positive integer to nil value'));
    return;
  }
  positive(now, at, out);
  if (old !== undefined && now > old) out.push(causes.invalid(at, now, `must be less than or equal to previous value`));
}

function validateTolerations(now: PodSpec, old: PodSpec, out: Causes): void {
  const kept = (old.tolerations ?? []).every((t) =>
    now.tolerations?.some((n) =>
      equalJson({ ...n, tolerationSeconds: undefined }, { ...t, tolerationSeconds: undefined }),
    ),
  );
  if (!kept)
    out.push(
      causes.forbidden('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds'),
    );
}

function validateEphemeralChange(now: PodSpec, old: PodSpec, out: Causes): void {
  for (const [i, container] of (old.ephemeralContainers ?? []).entries()) {
    const still = now.ephemeralContainers?.find((c) => c.name === container.name);
    const at = `spec.ephemeralContainers[${i}]`;
    if (!still)
      out.push(
        causes.forbidden(
          'spec.ephemeralContainers',
          `existing ephemeral containers "${container.name}" may not be removed`,
        ),
      );
    else if (!equalJson(still, container))
      out.push(
        causes.forbidden(
          'spec.ephemeralContainers',
          `existing ephemeral containers "${container.name}" may not be changed (${at})`,
        ),
      );
  }
  if (!equalJson({ ...now, ephemeralContainers: undefined }, { ...old, ephemeralContainers: undefined }))
    out.push(
      causes.forbidden(
        'spec',
        'only spec.ephemeralContainers may be changed through the ephemeralcontainers subresource',
      ),
    );
}

function validateResize(now: PodSpec, old: PodSpec, out: Causes): void {
  const back = (
    list: readonly Container[] | undefined,
    before: readonly Container[] | undefined,
    which = (_: Container) => true,
  ) =>
    list?.map((c, i) =>
      which(c) ? { ...c, resources: before?.[i]?.resources, resizePolicy: before?.[i]?.resizePolicy } : c,
    );
  // Of init containers only those that go on can be resized.
  const initContainers = back(now.initContainers, old.initContainers, (c) => c.restartPolicy === 'Always');
  const reset = {
    ...now,
    containers: back(now.containers, old.containers),
    ...(initContainers ? { initContainers } : {}),
  };
  if (!equalJson(reset, old)) out.push(causes.forbidden('spec', 'only cpu and memory resources are mutable'));
  if (qosClass(now) !== qosClass(old))
    out.push(causes.invalid('spec', now, 'Pod QOS Class may not change as a result of resizing'));
}

/** Pods made from one template have the very same spec, of which all this is worked out once. */
const filled = remembering((spec: PodSpec): PodSpec => fillRequests(fillDefaults({ metadata: {}, spec } as Pod)).spec!);
const classOf = remembering(qosClass);
const warningsOf = remembering((spec: PodSpec) => podWarnings(spec, 'spec'));
const isFlawless = remembering((spec: PodSpec): boolean => {
  const out: Causes = [];
  validatePodSpec(spec, 'spec', out);
  return out.length === 0;
});

/** Claims of ephemeral volumes are named after the pod: its spec alone does not say whether it is right. */
const isNamed = ({ volumes }: PodSpec): boolean => volumes?.some(({ ephemeral }) => ephemeral !== undefined) ?? false;

function withDefaults(pod: Pod): Pod {
  if (!pod.spec) return fillDefaults(pod);
  const spec = filled(pod.spec);
  return spec === pod.spec ? pod : { ...pod, spec };
}

function isOnlyPlaced(now: PodSpec | undefined, old: PodSpec | undefined): boolean {
  if (!now?.nodeName || !old || old.nodeName || old.schedulingGates?.length) return false;
  for (const field of Object.keys(now) as (keyof PodSpec)[])
    if (field !== 'nodeName' && now[field] !== old[field]) return false;
  return Object.keys(old).every((field) => field in now) && nameProblems(now.nodeName, 'subdomain').length === 0;
}

const rules: KindRules<Pod> = {
  judged: ({ spec }) => spec,
  placed: (pod, old) => isOnlyPlaced(pod.spec, old.spec),
  default: withDefaults,
  prepareForCreate: (pod) => ({
    ...pod,
    status: { phase: 'Pending', ...(pod.spec?.containers ? { qosClass: classOf(pod.spec) } : {}) },
  }),
  validate: (pod, out) => {
    if (!pod.spec) out.push(causes.required('spec.containers'));
    else if (isNamed(pod.spec) || !isFlawless(pod.spec)) validatePodSpec(pod.spec, 'spec', out, pod.metadata.name);
  },
  validateChange,
  warnings: (pod) => [...nameWarnings(pod), ...(pod.spec ? warningsOf(pod.spec) : [])],
};

export const podStrategy = strategyFor(rules);
