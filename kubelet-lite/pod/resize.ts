import type { ResourceRequirements } from '@trimtab/machinery';
import { changedResources, type Limits, podLimits } from '../container/cgroup.js';
import {
  type Allocation,
  allocationOf,
  changedIn,
  type ResizeRefusal,
  resizeText,
  type SavedAllocation,
  sameAllocation,
  withAllocation,
} from './allocation.js';
import type { Pod } from './api.js';
import { type PodContextDeps, type PodNeighbourhood, podSubject } from './pod-context.js';
import { nextResizeStep, type ResizeStep } from './resize-step.js';

/** What a resize needs of the pod it belongs to. */
export interface ResizingPod {
  /** As the API has it. */
  desired(): Pod;
  sandboxId: string;
  /** False once the pod ends: nothing is resized any more. */
  active(): boolean;
  running(): readonly string[];
  containerId(name: string): string | undefined;
  restart(name: string, why: string): void;
  /** Status or conditions have changed. */
  changed(): void;
  node: Pick<PodNeighbourhood, 'allocated' | 'freed' | 'refusal'>;
  track(work: Promise<void>): void;
}

/** What of a resize a pod's status shows. Replaced when it changes. */
export interface ResizeView {
  readonly allocated: Allocation;
  readonly actuated: Allocation;
  readonly pending?: ResizeRefusal;
  /** `error`: why it does not go on; it is tried again. */
  readonly inProgress?: { readonly error?: string };
}

/** How long a deferred resize waits where nobody says that there is room, and a failed one before it is tried again. */
const RECONSIDER_MS = 180_000;
const RETRY_MS = 10_000;

const NONE: ReadonlySet<string> = new Set();
const DONE = Promise.resolve();

/** The resources of one pod, from what its object asks for to what the runtime enforces. */
export class PodResize {
  readonly #deps: PodContextDeps;
  readonly #home: ResizingPod;
  #view: ResizeView;
  #podLimits: Limits | undefined;
  #pendingSince = 0;
  /** Containers told to restart, until they have. */
  #restarting: ReadonlySet<string> = NONE;
  #working = false;
  #saved: Promise<void> = DONE;
  #again = false;
  #cancelTimer: (() => void) | undefined;
  /** The last pod made for {@link pod}, which is asked for often. */
  #cached: { readonly desired: Pod; readonly allocated: Allocation; readonly pod: Pod } | undefined;

  constructor(deps: PodContextDeps, home: ResizingPod, saved: SavedAllocation | undefined, sandboxFound: boolean) {
    this.#deps = deps;
    this.#home = home;
    const fresh = allocationOf(home.desired().spec);
    const known = (from: Allocation) => Object.fromEntries(Object.entries(from).filter(([name]) => name in fresh));
    const allocated = saved ? { ...fresh, ...known(saved.allocated) } : fresh;
    this.#view = { allocated, actuated: saved ? { ...allocated, ...known(saved.actuated) } : allocated };
    if (sandboxFound) this.#podLimits = podLimits(withAllocation(home.desired(), this.#view.actuated).spec);
  }

  get view(): ResizeView {
    return this.#view;
  }

  /** The pod as the node has room for it: what is started is started like this. */
  get pod(): Pod {
    const desired = this.#home.desired();
    const { allocated } = this.#view;
    const known = this.#cached;
    if (known?.desired !== desired || known.allocated !== allocated) {
      const unchanged =
        known?.pod === known?.desired && known?.desired.spec === desired.spec && known.allocated === allocated;
      this.#cached = { desired, allocated, pod: unchanged ? desired : withAllocation(desired, allocated) };
    }
    return this.#cached!.pod;
  }

  get deferredSince(): number | undefined {
    return this.#view.pending?.reason === 'Deferred' ? this.#pendingSince : undefined;
  }

  sandboxStarted(as: Pod): void {
    this.#podLimits = podLimits(as.spec);
    this.#settle();
  }

  sandboxGone(): void {
    this.#podLimits = undefined;
  }

  containerStarted(name: string, resources: ResourceRequirements | undefined): void {
    if (this.#restarting.has(name)) this.#restarting = new Set([...this.#restarting].filter((other) => other !== name));
    if (!(name in this.#view.allocated)) return;
    const { requests, limits } = resources ?? {};
    const with_ = { ...(requests ? { requests } : {}), ...(limits ? { limits } : {}) };
    this.#set({ actuated: { ...this.#view.actuated, [name]: with_ } });
    this.#settle();
  }

  /** The object may ask for something else now, or the node may have room for what it asks for. */
  consider(): void {
    if (!this.#home.active()) return;
    const desired = this.#home.desired();
    const wanted = allocationOf(desired.spec);
    if (sameAllocation(wanted, this.#view.allocated)) {
      this.#pending(undefined, wanted);
      this.#settle();
      return;
    }
    const refusal = this.#home.node.refusal(desired);
    this.#pending(refusal, wanted);
    if (refusal) return;
    this.#set({ allocated: wanted, inProgress: {} });
    this.#home.node.allocated();
    this.#say('Normal', 'ResizeStarted', 'started');
    // What is not on disk would be forgotten by a crash, and the runtime told of amounts nobody knows of.
    this.#home.track(this.#save().then(() => this.#settle()));
  }

  stop(): void {
    this.#cancelTimer?.();
  }

  #pending(refusal: ResizeRefusal | undefined, wanted: Allocation): void {
    const before = this.#view.pending;
    this.#cancelTimer?.();
    if (refusal?.reason === 'Deferred')
      this.#cancelTimer = this.#deps.clock.after(RECONSIDER_MS, () => this.consider());
    if (before?.reason === refusal?.reason && before?.message === refusal?.message) return;
    if (before?.reason !== refusal?.reason) this.#pendingSince = this.#deps.clock.now();
    this.#set({ pending: refusal });
    if (!refusal) return;
    const text = resizeText(this.#home.desired(), wanted, refusal.message);
    const { recorder } = this.#deps;
    recorder.event(
      podSubject(this.#home.desired()),
      'Warning',
      `Resize${refusal.reason}`,
      `Pod resize pending: ${text}`,
    );
  }

  /** Goes step by step until what is allocated is enforced; one at a time. */
  #settle(): void {
    if (this.#working) {
      this.#again = true;
      return;
    }
    if (!this.#home.active() || (!this.#step() && !this.#view.inProgress)) return;
    this.#working = true;
    this.#home.track(
      this.#work().finally(() => {
        this.#working = false;
        if (!this.#again) return;
        this.#again = false;
        this.#settle();
      }),
    );
  }

  #step(): ResizeStep | undefined {
    return nextResizeStep({
      pod: this.#home.desired(),
      allocated: this.#view.allocated,
      actuated: this.#view.actuated,
      podLimits: this.#podLimits,
      running: this.#home.running(),
    });
  }

  async #work(): Promise<void> {
    if (!this.#view.inProgress) this.#set({ inProgress: {} });
    try {
      for (let step = this.#step(); step; step = this.#step()) {
        if (step.type === 'restart') {
          this.#restart(step.name);
          return;
        }
        await this.#carryOut(step);
        if (!this.#home.active()) return;
      }
    } catch (error) {
      this.#failed(error instanceof Error ? error.message : String(error));
      return;
    }
    this.#restarting = NONE;
    const shrunk = this.#view.inProgress !== undefined;
    this.#set({ inProgress: undefined });
    await this.#save();
    this.#say('Normal', 'ResizeCompleted', 'completed');
    if (shrunk) this.#home.node.freed();
  }

  #restart(name: string): void {
    if (this.#restarting.has(name)) return;
    this.#restarting = new Set([...this.#restarting, name]);
    this.#home.restart(name, `Container ${name} resize requires restart`);
  }

  async #carryOut(step: Exclude<ResizeStep, { type: 'restart' }>): Promise<void> {
    const { runtime } = this.#deps;
    const resources = changedResources(step.limits);
    if (step.type === 'pod') {
      await runtime.updateSandbox(this.#home.sandboxId, resources);
      this.#podLimits = step.limits;
      return;
    }
    const { name, limits } = step;
    const id = this.#home.containerId(name);
    if (!id) return;
    await this.#refuseBelowUsage(name, limits);
    const given = this.#view.allocated[name] ?? {};
    try {
      await runtime.updateContainer(id, resources);
    } catch (error) {
      // It has ended meanwhile: the next one starts with what is allocated.
      if (this.#home.containerId(name) !== id) return;
      throw error;
    }
    this.#set({ actuated: { ...this.#view.actuated, [name]: given } });
  }

  /** A limit below what is in use would only call the OOM killer. */
  async #refuseBelowUsage(name: string, { memoryLimit }: Limits): Promise<void> {
    if (memoryLimit === 0) return;
    const { containers } = await this.#deps.runtime.stats(this.#home.sandboxId);
    const used = containers[name]?.memoryBytes ?? 0;
    if (used > memoryLimit)
      throw new Error(
        `attempting to set container "${name}" memory limit (${memoryLimit}) below current usage (${used})`,
      );
  }

  #failed(error: string): void {
    if (this.#view.inProgress?.error !== error) this.#say('Warning', 'ResizeError', 'error', error);
    this.#set({ inProgress: { error } });
    this.#cancelTimer?.();
    this.#cancelTimer = this.#deps.clock.after(RETRY_MS, () => this.#settle());
  }

  #say(type: 'Normal' | 'Warning', reason: string, what: string, error?: string): void {
    const pod = this.#home.desired();
    const text = resizeText(pod, this.#view.allocated, error);
    this.#deps.recorder.event(podSubject(pod), type, reason, `Pod resize ${what}: ${text}`);
  }

  #set(change: { readonly [K in keyof ResizeView]?: ResizeView[K] | undefined }): void {
    const { pending, inProgress, ...amounts } = { ...this.#view, ...change };
    const { allocated = this.#view.allocated, actuated = this.#view.actuated } = amounts;
    const same = changedIn(this.#view.actuated, actuated).length === 0 && allocated === this.#view.allocated;
    if (same && pending === this.#view.pending && inProgress === this.#view.inProgress) return;
    this.#view = { allocated, actuated, ...(pending ? { pending } : {}), ...(inProgress ? { inProgress } : {}) };
    this.#home.changed();
  }

  /** One after the other, so that what is newest stays. */
  #save(): Promise<void> {
    const saved = this.#saved.then(() => {
      const { allocated, actuated } = this.#view;
      return this.#deps.files.saveAllocation(this.#home.desired(), { allocated, actuated });
    });
    this.#saved = saved.catch(() => {});
    return saved;
  }
}
