import { containerLimits, type Limits, podLimits } from '../container/cgroup.js';
import { type Allocation, changedIn, resizable, wantsRestart, withAllocation } from './allocation.js';
import type { Pod } from './api.js';

/** One thing to do on the way from what the runtime was told to what is allocated. */
export type ResizeStep =
  | { readonly type: 'pod'; readonly limits: Limits }
  | { readonly type: 'container'; readonly name: string; readonly limits: Limits }
  | { readonly type: 'restart'; readonly name: string };

export interface ResizeState {
  readonly pod: Pod;
  readonly allocated: Allocation;
  readonly actuated: Allocation;
  /** What the pod's own group is limited to; undefined while there is none. */
  readonly podLimits: Limits | undefined;
  readonly running: readonly string[];
}

/**
 * The next step, or undefined when there is nothing to do. A pod grows before its containers do and shrinks after them, and of
 * the containers those that give come before those that take: at no time have containers more than their pod.
 */
export function nextResizeStep(state: ResizeState): ResizeStep | undefined {
  const { pod, allocated, actuated, podLimits: now, running } = state;
  const target = podLimits(withAllocation(pod, allocated).spec);
  if (now) {
    const wide = widest(now, target);
    if (!sameLimits(now, wide)) return { type: 'pod', limits: wide };
  }
  const changed = changedIn(actuated, allocated).filter((name) => running.includes(name));
  const steps = changed.map((name) => containerStep(state, name));
  const next = steps.find((step) => step.gives) ?? steps[0];
  if (next) return next.step;
  return now && !sameLimits(now, target) ? { type: 'pod', limits: target } : undefined;
}

function containerStep({ pod, allocated, actuated }: ResizeState, name: string) {
  const container = resizable(pod.spec).find((c) => c.name === name)!;
  const before = containerLimits({ ...container, resources: actuated[name] ?? {} }, pod.spec);
  const after = containerLimits({ ...container, resources: allocated[name] ?? {} }, pod.spec);
  const gives = sameLimits(widest(before, after), before);
  if (wantsRestart(container, actuated[name], allocated[name]))
    return { gives, step: { type: 'restart', name } as const };
  return { gives, step: { type: 'container', name, limits: after } as const };
}

const wider = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : Math.max(a, b));

function widest(a: Limits, b: Limits): Limits {
  return {
    cpuRequest: Math.max(a.cpuRequest, b.cpuRequest),
    cpuLimit: wider(a.cpuLimit, b.cpuLimit),
    memoryLimit: wider(a.memoryLimit, b.memoryLimit),
  };
}

const sameLimits = (a: Limits, b: Limits): boolean =>
  a.cpuRequest === b.cpuRequest && a.cpuLimit === b.cpuLimit && a.memoryLimit === b.memoryLimit;
