import type { Subscription } from 'rxjs';
import { ANNOTATION } from '../container/container-files.js';
import type { PodSource } from '../node/pod-source.js';
import type { RuntimeEvent, SandboxStatus } from '../runtime/runtime.js';
import { admit, type NodeCapacity } from './admission.js';
import { growsRequests, resizeRefusal, type SavedAllocation } from './allocation.js';
import { isTerminal, type Pod, uidOf } from './api.js';
import { Held } from './held.js';
import type { Verdict } from './machine.js';
import type { PodContextDeps } from './pod-context.js';
import { PodWorker } from './pod-worker.js';
import { PREEMPTED, preemptedFor } from './preemption.js';
import { qosClass } from './qos.js';

/** How long what could not be removed waits before it is tried again. */
const ORPHAN_RETRY_MS = 5_000;

/** All pods of this node: one worker each, found again at start by what the runtime still holds. */
export class PodManager {
  readonly #deps: PodContextDeps;
  readonly #source: PodSource;
  readonly #capacity: () => NodeCapacity;
  readonly #workers = new Map<string, PodWorker>();
  readonly #held = new Held();
  readonly #found = new Map<string, SandboxStatus>();
  #allocations: ReadonlyMap<string, SavedAllocation> = new Map();
  #early: RuntimeEvent[] | undefined = [];
  #events: Subscription | undefined;
  #stopListening: (() => void) | undefined;
  #onAllocated: (() => void) | undefined;
  /** Critical pods that are let in once others have gone for them. */
  readonly #waiting = new Map<string, { readonly pod: Pod; readonly goes: readonly PodWorker[] }>();
  #stopped = false;

  constructor(deps: PodContextDeps, source: PodSource, capacity: () => NodeCapacity) {
    this.#deps = deps;
    this.#source = source;
    this.#capacity = capacity;
  }

  worker(uid: string): PodWorker | undefined {
    return this.#workers.get(uid);
  }

  workers(): readonly PodWorker[] {
    return [...this.#workers.values()];
  }

  /** The pods that hold something of the node, with what they are allocated. */
  allocated(): readonly Pod[] {
    return this.workers().flatMap((worker) => (worker.active ? [worker.resize.pod] : []));
  }

  /** Calls back, at once as well, whenever {@link allocated} may say something else. */
  onAllocated(listener: () => void): void {
    this.#onAllocated = listener;
    listener();
  }

  runningContainers(): readonly {
    readonly id: string;
    readonly pod: Pod;
    readonly name: string;
    readonly attempt: number;
  }[] {
    return this.workers().flatMap((worker) =>
      worker
        .containers()
        .flatMap(({ name, context }) =>
          context.running ? [{ id: context.running.id, pod: worker.pod, name, attempt: context.running.attempt }] : [],
        ),
    );
  }

  /** Resolves when every living pod is adopted and everything nobody asked for any more is gone. */
  async start(): Promise<void> {
    const { runtime, network, volumes, files, logger } = this.#deps;
    this.#events = runtime.events.subscribe((event) => {
      if (this.#early) this.#early.push(event);
      else this.#dispatch(event);
    });
    volumes.onChange((uid) => this.#workers.get(uid)?.retry());
    for (const sandbox of await runtime.list()) this.#found.set(sandbox.id, sandbox);
    this.#allocations = await files.allocations();
    await this.#source.whenSynced();
    const left = (error: unknown) => logger.warn({ error: String(error) }, 'left-overs of earlier pods stay');
    // Before the first pod can be attached: what is attached later must not look like a left-over.
    await network.gc([...this.#found.keys()]).catch(left);
    this.#stopListening = this.#source.listen({
      seen: (pod) => this.#seen(pod),
      removed: (pod) => {
        this.#waiting.delete(uidOf(pod));
        this.#workers.get(uidOf(pod))?.removed();
      },
    });
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const event of early) this.#dispatch(event);
    const orphans = [...this.#found.values()].filter((sandbox) => !this.#workers.has(sandbox.id));
    this.#found.clear();
    this.#allocations = new Map();
    await Promise.all(orphans.map((sandbox) => this.#removeOrphan(sandbox)));
    await files.tidy((uid) => this.#workers.has(uid)).catch(left);
  }

  /** Leaves every pod running for the next kubelet. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#stopListening?.();
    this.#events?.unsubscribe();
    await Promise.all(this.workers().map((worker) => worker.abandon()));
    this.#workers.clear();
  }

  #seen(pod: Pod): void {
    const uid = uidOf(pod);
    const known = this.#workers.get(uid);
    if (known) {
      known.update(pod);
      return;
    }
    const found = { sandbox: this.#found.get(uid), allocation: this.#allocations.get(uid) };
    const refused = this.#refusal(pod, found.sandbox);
    if (refused && this.#makesRoom(pod, refused)) return;
    this.#waiting.delete(uid);
    const worker = new PodWorker(this.#deps, pod, found, refused, {
      gone: (gone) => this.#workers.delete(gone),
      allocated: () => this.#hold(uid),
      freed: () => {
        this.#hold(uid);
        this.#reconsiderResizes();
        for (const { pod: critical, goes } of [...this.#waiting.values()])
          if (!goes.some((going) => going.active)) this.#seen(critical);
      },
      refusal: (desired) => resizeRefusal(desired, this.#capacity(), this.#held.beside(uid)),
    });
    this.#workers.set(uid, worker);
    worker.begin();
    this.#hold(uid);
  }

  /** Notes what the pod has of the node, now that it may be something else. */
  #hold(uid: string): void {
    const worker = this.#workers.get(uid);
    if (worker?.active) this.#held.set(uid, worker.resize.pod.spec);
    else this.#held.delete(uid);
    this.#onAllocated?.();
  }

  #refusal(pod: Pod, found: SandboxStatus | undefined): Verdict | undefined {
    if (found || isTerminal(pod.status?.phase) || pod.metadata.deletionTimestamp) return undefined;
    return admit(pod, this.#capacity(), this.#held.beside(uidOf(pod)));
  }

  /** True where others go for a critical pod: it is seen again when they have. */
  #makesRoom(pod: Pod, refused: Verdict): boolean {
    const uid = uidOf(pod);
    const goes = this.#waiting.get(uid)?.goes.filter((worker) => worker.active) ?? [];
    if (goes.length === 0 && refused.reason.startsWith('OutOf')) {
      const beside = this.workers().flatMap((w) => (w.uid !== uid && w.active ? [w.resize.pod] : []));
      for (const other of preemptedFor(pod, this.#capacity(), beside) ?? []) {
        const worker = this.#workers.get(uidOf(other));
        if (worker) goes.push(worker);
      }
    }
    if (goes.length === 0) return false;
    this.#waiting.set(uid, { pod, goes });
    for (const worker of goes) worker.fail('Warning', PREEMPTED);
    return true;
  }

  /** Those that only give come first, then by priority, Guaranteed before others, and who waits longest. */
  #reconsiderResizes(): void {
    const waiting = this.workers().filter((worker) => worker.resize.deferredSince !== undefined);
    const rank = (w: PodWorker) => [
      growsRequests(w.pod, w.resize.pod) ? 1 : 0,
      -(w.pod.spec.priority ?? 0),
      qosClass(w.pod.spec) === 'Guaranteed' ? 0 : 1,
      w.resize.deferredSince ?? 0,
    ];
    const ranked = waiting.map((worker) => ({ worker, rank: rank(worker) }));
    ranked.sort((a, b) => a.rank.map((n, i) => n - b.rank[i]!).find((n) => n !== 0) ?? 0);
    for (const { worker } of ranked) worker.resize.consider();
  }

  #dispatch(event: RuntimeEvent): void {
    const worker = this.#workers.get(event.sandboxId);
    if (event.type === 'sandboxDied') worker?.sandboxDied();
    else worker?.containerExited(event.container);
  }

  async #removeOrphan(sandbox: SandboxStatus): Promise<void> {
    const { network, runtime, files, volumes, logger, clock } = this.#deps;
    const name = sandbox.annotations[ANNOTATION.podName] ?? '';
    const namespace = sandbox.annotations[ANNOTATION.podNamespace] ?? '';
    logger.info({ pod: `${namespace}/${name}`, uid: sandbox.id }, 'removing a pod that is no longer in the API');
    try {
      const { id: uid, netns } = sandbox;
      if (netns) await network.del({ sandboxId: uid, netns, namespace, name, uid, hostPorts: [] });
      await runtime.removeSandbox(uid);
      await volumes.tearDown(uid);
      await files.removePod(uid);
    } catch (error) {
      logger.error({ uid: sandbox.id, error: String(error) }, 'orphaned pod not removed, will be tried again');
      clock.after(ORPHAN_RETRY_MS, () => {
        if (!this.#stopped && !this.#workers.has(sandbox.id)) void this.#removeOrphan(sandbox);
      });
    }
  }
}
