import { type Container, matchesLabels, type Selector } from '@trimtab/machinery';
import type { Pod } from '../pod/api.js';

/** What the processes of one container seem to do. All times in milliseconds; absent ones never happen. */
export interface Lifecycle {
  /** Until the container has started. */
  readonly startDelay?: number;
  /** From its start until it ends by itself, in every attempt. */
  readonly exitAfter?: number;
  /** Default 0, or 137 with `oomKilled`. */
  readonly exitCode?: number;
  readonly oomKilled?: boolean;
  /** From its start until readiness probes succeed. */
  readonly readyAfter?: number;
  /** Once ready, it fails readiness probes each time so much has passed … */
  readonly unreadyEvery?: number;
  /** … for so long; default 10 s. */
  readonly unreadyFor?: number;
}

/** Which pods a lifecycle is for; absent fields mean any. */
export interface LifecycleRule {
  readonly namespaces?: readonly string[];
  readonly selector?: Selector;
  readonly containers?: readonly string[];
  readonly lifecycle: Lifecycle;
}

/** When the kubelets of some nodes fall silent, as if the network to the API server were cut; their pods run on. */
export interface NodeFailureRule {
  /** A `*` stands for anything. */
  readonly names: readonly string[];
  /** Milliseconds after the node was started. */
  readonly failAfter: number;
  /** Default: for good. */
  readonly failFor?: number;
}

/** The first rule that matches counts; annotations of the pod count more, field by field. */
export interface Lifecycles {
  readonly pods: readonly LifecycleRule[];
  readonly nodes: readonly NodeFailureRule[];
}

export const NO_LIFECYCLES: Lifecycles = { pods: [], nodes: [] };

/** Prefix of the annotations that script a pod; `simulated.trimtab.dev/<container>.exit-after` is for one container only. */
export const LIFECYCLE_PREFIX = 'simulated.trimtab.dev/';

/** `false` on a Node: its kubelet is silent until the annotation goes or says otherwise. */
export const HEARTBEATS = `${LIFECYCLE_PREFIX}heartbeats`;

type Reader = (text: string) => number | boolean | undefined;

const wholeNumber: Reader = (text) => (/^\d{1,3}$/.test(text) && Number(text) < 256 ? Number(text) : undefined);
const yesOrNo: Reader = (text) => (text === 'true' ? true : text === 'false' ? false : undefined);

/** Every field with the name it has in annotations, and how its text is read. */
export const LIFECYCLE_FIELDS: Readonly<Record<keyof Lifecycle, readonly [string, Reader]>> = {
  startDelay: ['start-delay', duration],
  exitAfter: ['exit-after', duration],
  exitCode: ['exit-code', wholeNumber],
  oomKilled: ['oom-killed', yesOrNo],
  readyAfter: ['ready-after', duration],
  unreadyEvery: ['unready-every', duration],
  unreadyFor: ['unready-for', duration],
};

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Milliseconds of `500ms`, `1.5s`, `1m30s`; undefined for what is no duration. */
export function duration(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return undefined;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * UNITS[unit!]!, 0);
}

/** Undefined where nothing is scripted. An annotation that cannot be read is as if it were not there. */
export function lifecycleOf(pod: Pod, { name }: Container, { pods }: Lifecycles): Lifecycle | undefined {
  const rule = pods.find(
    ({ namespaces, selector, containers }) =>
      (namespaces?.includes(pod.metadata.namespace ?? '') ?? true) &&
      (selector === undefined || matchesLabels(selector, pod.metadata.labels)) &&
      (containers?.includes(name) ?? true),
  );
  const said = annotated(pod, name);
  if (!said) return rule?.lifecycle;
  return { ...rule?.lifecycle, ...said };
}

function annotated(pod: Pod, container: string): Lifecycle | undefined {
  const { annotations } = pod.metadata;
  if (!annotations || !Object.keys(annotations).some((key) => key.startsWith(LIFECYCLE_PREFIX))) return undefined;
  const found: Record<string, number | boolean> = {};
  for (const [field, [key, read]] of Object.entries(LIFECYCLE_FIELDS)) {
    const text = annotations[`${LIFECYCLE_PREFIX}${container}.${key}`] ?? annotations[`${LIFECYCLE_PREFIX}${key}`];
    const value = text === undefined ? undefined : read(text);
    if (value !== undefined) found[field] = value;
  }
  return found;
}

const FLAP_MS = 10_000;

/** Whether a readiness probe succeeds so long after the container's start. */
export function isReadyAt(
  { readyAfter = 0, unreadyEvery, unreadyFor = FLAP_MS }: Lifecycle,
  sinceStartMs: number,
): boolean {
  const since = sinceStartMs - readyAfter;
  if (since < 0) return false;
  return !unreadyEvery || since % (unreadyEvery + unreadyFor) < unreadyEvery;
}

const POLL = { exec: { command: ['simulated'] }, periodSeconds: 1, failureThreshold: 1 };

/**
 * The pod as the kubelet is to see it: a container whose readiness is scripted has a readiness probe, for without one a
 * kubelet takes a running container for ready.
 */
export function scripted(pod: Pod, lifecycles: Lifecycles): Pod {
  const scripts = pod.spec.containers.map((container) => lifecycleOf(pod, container, lifecycles));
  if (!scripts.some((script) => script?.readyAfter || script?.unreadyEvery)) return pod;
  const containers = pod.spec.containers.map((container, i) => {
    const flaps = scripts[i]?.readyAfter || scripts[i]?.unreadyEvery;
    return flaps && !container.readinessProbe ? { ...container, readinessProbe: POLL } : container;
  });
  return { ...pod, spec: { ...pod.spec, containers } };
}

/** Whether a name is meant by a pattern in which `*` stands for anything. */
export const namesMatch = (patterns: readonly string[], name: string): boolean =>
  patterns.some((pattern) => {
    const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
    return new RegExp(`^${parts.join('.*')}$`).test(name);
  });
