import type { Container } from '@trimtab/machinery';
import type { ContainerKind } from '../container/restart.js';
import { byContainers, type ContainerParts } from './by-containers.js';

/** The containers of a pod in the order they start, and what the pod's statechart knows of each. */
export interface PlannedContainer {
  readonly name: string;
  readonly kind: ContainerKind;
}

export interface ContainerFacts {
  /** `waiting`: it may go and is on its way (pulling, backing off); `finished`: it will not run again. */
  readonly state: 'blocked' | 'waiting' | 'running' | 'finished';
  /** Its startup probe (or, without one, its postStart hook) has passed. */
  readonly started: boolean;
  readonly exitCode?: number;
}

export type FactsByName = Readonly<Record<string, ContainerFacts>>;

export const planOf = byContainers((spec): readonly PlannedContainer[] => [
  ...(spec.initContainers ?? []).map((c) => ({
    name: c.name,
    kind: c.restartPolicy === 'Always' ? ('sidecar' as const) : ('init' as const),
  })),
  ...spec.containers.map((c) => ({ name: c.name, kind: 'main' as const })),
  ...(spec.ephemeralContainers ?? []).map((c) => ({ name: c.name, kind: 'ephemeral' as const })),
]);

export function containersOf(spec: ContainerParts): readonly Container[] {
  if (!spec.initContainers && !spec.ephemeralContainers) return spec.containers;
  return [...(spec.initContainers ?? []), ...spec.containers, ...(spec.ephemeralContainers ?? [])];
}

const factsOf = (facts: FactsByName, name: string): ContainerFacts =>
  facts[name] ?? { state: 'blocked', started: false };

/** An init container that has done its part: ended well, or for a sidecar, started. */
function passed(c: PlannedContainer, facts: FactsByName): boolean {
  const f = factsOf(facts, c.name);
  return c.kind === 'sidecar' ? f.started : f.state === 'finished' && f.exitCode === 0;
}

/** All init containers have done their part. Once a main container has started this stays true. */
export function isInitialized(plan: readonly PlannedContainer[], facts: FactsByName): boolean {
  if (plan.some((c) => c.kind === 'main' && factsOf(facts, c.name).state !== 'blocked')) return true;
  return plan.every((c) => (c.kind !== 'init' && c.kind !== 'sidecar') || passed(c, facts));
}

/** The containers still blocked whose turn it is now. */
export function nextToStart(plan: readonly PlannedContainer[], facts: FactsByName): readonly string[] {
  const ready: PlannedContainer[] = plan.filter((c) => c.kind === 'ephemeral');
  const initialized = isInitialized(plan, facts);
  for (const c of plan) {
    if (c.kind === 'ephemeral') continue;
    if (c.kind === 'main') {
      if (initialized) ready.push(c);
      continue;
    }
    if (initialized && c.kind === 'init') continue;
    ready.push(c);
    if (!initialized && !passed(c, facts)) break;
  }
  return ready.filter((c) => factsOf(facts, c.name).state === 'blocked').map((c) => c.name);
}

/** A regular init container has failed and will not be retried. */
export function initFailed(plan: readonly PlannedContainer[], facts: FactsByName): boolean {
  return plan.some((c) => {
    const f = factsOf(facts, c.name);
    return c.kind === 'init' && f.state === 'finished' && f.exitCode !== 0;
  });
}

/** Nothing more will happen by itself: all main containers have finished, or initialization has failed. */
export function hasRunItsCourse(plan: readonly PlannedContainer[], facts: FactsByName): boolean {
  if (initFailed(plan, facts)) return true;
  return plan.every((c) => c.kind !== 'main' || factsOf(facts, c.name).state === 'finished');
}

export function allStopped(plan: readonly PlannedContainer[], facts: FactsByName): boolean {
  return plan.every((c) => ['finished', 'blocked'].includes(factsOf(facts, c.name).state));
}

/**
 * While the pod terminates: the sidecar whose turn it is to be signalled, in reverse start order and one at a time, once the
 * last main container is gone.
 */
export function sidecarToRelease(plan: readonly PlannedContainer[], facts: FactsByName): string | undefined {
  const alive = (c: PlannedContainer) => !['finished', 'blocked'].includes(factsOf(facts, c.name).state);
  if (plan.some((c) => c.kind !== 'sidecar' && alive(c))) return undefined;
  return plan.filter((c) => c.kind === 'sidecar' && alive(c)).at(-1)?.name;
}
