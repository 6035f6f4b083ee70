import { Chart } from '@trimtab/framework';
import { type Container, type Logger, timestamp } from '@trimtab/machinery';
import { ANNOTATION } from '../container/container-files.js';
import { ContainerWorker } from '../container/container-worker.js';
import type { ContainerContext } from '../container/machine-types.js';
import type { ContainerStatus, SandboxStatus } from '../runtime/runtime.js';
import { type FoundPod, foundAllocation, foundContainer, foundImage, lostContainer } from './adoption.js';
import { graceMsOf, isTerminal, type Pod, uidOf } from './api.js';
import { deathOfSandbox, resetForNewSandbox, resetInPlace, SANDBOX_CHANGED } from './begin-anew.js';
import { Deadline } from './deadline.js';
import { type PodEffect, type PodEvent, podMachine, type Verdict } from './machine.js';
import { type ContainerFacts, containersOf, type FactsByName, planOf } from './plan.js';
import { type PodContextDeps, type PodNeighbourhood, podSubject } from './pod-context.js';
import { PodLogger } from './pod-logger.js';
import { PodResize, type ResizingPod } from './resize.js';
import { finalDelete, PodSandbox } from './sandbox.js';
import type { PodView } from './status.js';
import { StatusPublisher } from './status-publisher.js';
import { StatusWriter } from './status-writer.js';
import { tellFailure, tellMountFailures } from './tell.js';
import { Work } from './work.js';

/** The states in which a pod is resized: from stopping on nothing changes any more. */
const LIVING = ['preparing', 'active', 'restarting', 'rebuilding'] as const;

/** Drives one pod on this node: owns its statechart, its containers' and its status. */
export class PodWorker {
  readonly uid: string;
  readonly #deps: PodContextDeps;
  readonly #node: PodNeighbourhood;
  readonly #chart: Chart<typeof podMachine>;
  readonly #containers = new Map<string, ContainerWorker>();
  readonly #writer: StatusWriter;
  readonly #sandbox: PodSandbox;
  readonly resize: PodResize;
  readonly #work: Work;
  readonly #logger: Logger;
  /** What the statechart has been told of each container. */
  readonly #told = new Map<string, ContainerFacts>();
  readonly #startTime: string;
  #pod: Pod;
  #grace: number | undefined;
  /** Containers that run something else than the object now says. */
  readonly #redefined: readonly Container[];
  #abandoned = false;
  readonly #deadline: Deadline;
  readonly #publisher: StatusPublisher;

  /** `refused`: why nothing of the pod is started. */
  constructor(deps: PodContextDeps, pod: Pod, found: FoundPod, refused: Verdict | undefined, node: PodNeighbourhood) {
    this.#logger = new PodLogger(deps.logger, `${pod.metadata.namespace}/${pod.metadata.name}`);
    this.uid = uidOf(pod);
    this.#deps = deps;
    this.#work = new Work(this.#logger);
    this.#pod = pod;
    this.#node = node;
    this.#startTime = pod.status?.startTime ?? timestamp(deps.clock.now());
    this.#writer = new StatusWriter(deps.client, deps.clock, this.#logger, pod);
    this.#publisher = new StatusPublisher(this.#writer, () => this.#view());
    this.#deadline = new Deadline(deps.clock, Date.parse(this.#startTime), (verdict) => this.fail('Normal', verdict));
    this.#sandbox = new PodSandbox(this.#deps, pod, found.sandbox);
    const live = found.sandbox?.state === 'ready' ? found.sandbox : undefined;
    this.resize = new PodResize(
      this.#deps,
      this.#resizing(),
      foundAllocation(live, found.allocation),
      live !== undefined,
    );
    for (const c of containersOf(pod.spec)) this.#addContainer(c.name, live);
    this.#redefined = containersOf(pod.spec).filter((c) => (foundImage(live, c.name) ?? c.image) !== c.image);
    this.#chart = new Chart(podMachine, {
      clock: deps.clock,
      effect: (effect) => this.#run(effect),
      changed: () => this.#publisher.publish(),
      input: {
        plan: planOf(pod.spec),
        facts: this.#factsFound(),
        sandboxFound: live !== undefined,
        terminal: isTerminal(pod.status?.phase),
        ...(refused ? { refused } : {}),
        ...(pod.metadata.deletionTimestamp ? { ending: { graceMs: this.graceMs() } } : {}),
      },
    });
  }

  get pod(): Pod {
    return this.#pod;
  }

  get podIPs(): readonly string[] {
    return this.#sandbox.podIPs;
  }

  /** The process that holds the pod's namespaces, while there is one. */
  get sandboxPid(): number | undefined {
    return this.#sandbox.pid;
  }

  container(name: string): ContainerWorker | undefined {
    return this.#containers.get(name);
  }

  containers(): readonly ContainerWorker[] {
    return [...this.#containers.values()];
  }

  /** True while the pod holds resources of the node. */
  get active(): boolean {
    return !this.#chart.is('ended') && !this.#chart.is('gone');
  }

  get #living(): boolean {
    return LIVING.some((state) => this.#chart.is(state));
  }

  begin(): void {
    const { refused, terminal } = this.#chart.context;
    if (this.#pod.metadata.deletionTimestamp) this.#grace = this.graceMs();
    if (refused) this.#deps.recorder.event(podSubject(this.#pod), 'Warning', refused.reason, refused.message);
    else if (!terminal) for (const c of this.#containers.values()) c.begin();
    this.#chart.start();
    for (const c of this.#redefined) this.#containers.get(c.name)?.redefine(c);
    this.resize.consider();
    if (this.active) this.#deadline.arm(this.#pod.spec.activeDeadlineSeconds);
  }

  update(pod: Pod): void {
    const before = this.#pod;
    this.#pod = pod;
    this.#writer.observed(pod);
    for (const container of containersOf(pod.spec)) {
      const worker = this.#containers.get(container.name);
      if (worker && worker.definition.image !== container.image) worker.redefine(container);
    }
    if (pod.spec.ephemeralContainers?.length !== before.spec.ephemeralContainers?.length) this.#addEphemeral();
    this.resize.consider();
    this.#deps.volumes.updated(pod);
    if (this.active) this.#deadline.arm(this.#pod.spec.activeDeadlineSeconds);
    this.#followDeletion();
    this.#publisher.publish();
  }

  /** The object is gone from the API. */
  removed(): void {
    this.#writer.stop();
    this.#send({ type: 'removed', graceMs: this.graceMs() });
  }

  containerExited(status: ContainerStatus): void {
    this.#containers.get(status.name)?.exited(status);
  }

  sandboxDied(): void {
    const { lost, anew } = deathOfSandbox(this.#pod, this.containers(), this.#living);
    for (const c of lost) c.exited(lostContainer(c.context, c.containerId!, this.#deps.clock.now()));
    if (!anew) return;
    this.#deps.recorder.event(podSubject(this.#pod), 'Normal', ...SANDBOX_CHANGED);
    this.#send({ type: 'sandbox.died' });
  }

  /** Ends the pod as failed, for a reason of the node's own. */
  fail(type: 'Normal' | 'Warning', verdict: Verdict, graceMs = this.graceMs()): void {
    if (!this.active || this.#chart.context.verdict) return;
    this.#deps.recorder.event(podSubject(this.#pod), type, verdict.reason, verdict.message);
    this.#send({ type: 'stop', graceMs, delete: false, verdict });
  }

  /** An object that volumes or containers wait for has changed. */
  retry(): void {
    this.#send({ type: 'retry' });
    for (const c of this.#containers.values()) c.retry();
  }

  /** The kubelet stops: the pod runs on, unwatched, for the next kubelet to adopt. Resolves when work under way has ended. */
  async abandon(): Promise<void> {
    this.#abandoned = true;
    this.#deadline.stop();
    this.#chart.stop();
    for (const c of this.#containers.values()) c.abandon();
    this.resize.stop();
    this.#publisher.stop();
    this.#writer.stop();
    await this.#work.settled();
  }

  graceMs(): number {
    return graceMsOf(this.#pod);
  }

  #send(event: PodEvent): void {
    if (!this.#abandoned) this.#chart.send(event);
  }

  #addContainer(name: string, sandbox: SandboxStatus | undefined): void {
    const container = containersOf(this.#pod.spec).find((c) => c.name === name)!;
    const kind = planOf(this.#pod.spec).find((c) => c.name === name)!.kind;
    const found = foundContainer(this.#pod, container, sandbox);
    const runtimeView = sandbox?.containers.find((c) => c.id === found?.running?.id);
    this.#containers.set(
      name,
      new ContainerWorker(
        this.#deps,
        {
          sandboxId: this.uid,
          logger: this.#logger,
          pod: () => this.resize.pod,
          podIPs: () => this.podIPs,
          graceMs: () => this.graceMs(),
          changed: (changed) => this.#containerChanged(changed),
          restartAll: () => this.#send({ type: 'restart.all' }),
          pidOf: (other) => this.#containers.get(other)?.context.running?.pid,
          started: (which, as) => this.resize.containerStarted(which, as.resources),
          track: (work) => this.#work.track(work),
        },
        container,
        kind,
        found,
        runtimeView?.annotations[ANNOTATION.stopSignal],
      ),
    );
  }

  #factsFound(): FactsByName {
    for (const c of this.#containers.values()) this.#told.set(c.name, c.facts());
    return Object.fromEntries(this.#told);
  }

  #addEphemeral(): void {
    for (const { name } of this.#pod.spec.ephemeralContainers ?? []) {
      if (this.#containers.has(name)) continue;
      this.#addContainer(name, undefined);
      this.#containers.get(name)?.begin();
    }
    this.#send({ type: 'planned', plan: planOf(this.#pod.spec) });
  }

  #containerChanged(name: string): void {
    const worker = this.#containers.get(name);
    if (!worker || this.#abandoned) return;
    const facts = worker.facts();
    const old = this.#told.get(name);
    if (old?.state !== facts.state || old.started !== facts.started || old.exitCode !== facts.exitCode) {
      this.#told.set(name, facts);
      this.#send({ type: 'container.changed', name, facts });
    }
    this.#publisher.publish();
  }

  #run(effect: PodEffect): void {
    switch (effect.type) {
      case 'mountVolumes':
        this.#work.track(this.#mountVolumes());
        break;
      case 'runSandbox':
        this.#work.track(this.#runSandbox());
        break;
      case 'startContainer':
        this.#containers.get(effect.name)?.start();
        break;
      case 'stopContainer':
        this.#containers.get(effect.name)?.stop({ graceMs: effect.graceMs, final: true, hold: effect.hold });
        break;
      case 'releaseContainer':
        this.#containers.get(effect.name)?.release();
        break;
      case 'restartAll':
        this.#work.track(this.#restartAll());
        break;
      case 'rebuild':
        void this.#rebuild();
        break;
      case 'cleanUp':
        void this.#cleanUp();
        break;
      case 'finish':
        void this.#finish(effect.delete);
        break;
      case 'gone':
        this.#work.track(this.#gone());
        break;
    }
  }

  async #mountVolumes(): Promise<void> {
    try {
      await this.#deps.volumes.setUp(this.#pod);
      this.#send({ type: 'volumes.ready' });
    } catch (error) {
      tellMountFailures(this.#deps, this.#pod, error);
      this.#send({ type: 'volumes.failed' });
    }
  }

  async #runSandbox(): Promise<void> {
    try {
      const { pod } = this.resize;
      await this.#sandbox.run(pod);
      this.resize.sandboxStarted(pod);
      this.#send({ type: 'sandbox.ready' });
    } catch (error) {
      tellFailure(this.#deps, this.#pod, 'FailedCreatePodSandBox', 'Failed to create pod sandbox', error);
      this.#send({ type: 'sandbox.failed' });
    }
  }

  async #restartAll(): Promise<void> {
    await resetInPlace(this.#deps.runtime, this.#containers.values());
    this.#send({ type: 'restarted' });
  }

  async #rebuild(): Promise<void> {
    resetForNewSandbox(this.#pod, this.#containers.values());
    await this.#work.settled();
    try {
      await this.#sandbox.remove(this.#pod);
    } catch (error) {
      this.#logger.error({ error: String(error) }, 'dead sandbox not removed');
    }
    this.resize.sandboxGone();
    this.#send({ type: 'rebuilt' });
  }

  async #cleanUp(): Promise<void> {
    await this.#work.settled();
    // How containers ended is forgotten with the sandbox: the API is told before, unless the pod is to go from there too.
    this.#publisher.now();
    if (!this.#chart.context.deleting) await this.#writer.flush();
    if (this.#abandoned) return;
    try {
      await this.#sandbox.remove(this.#pod);
      await this.#deps.volumes.tearDown(this.uid);
      await this.#deps.files.removePod(this.uid);
      this.#send({ type: 'cleaned' });
    } catch (error) {
      tellFailure(this.#deps, this.#pod, 'FailedKillPod', 'error killing pod', error);
      this.#send({ type: 'cleanUp.failed' });
    }
  }

  async #finish(andDelete: boolean): Promise<void> {
    this.#deadline.stop();
    this.resize.stop();
    this.#publisher.now();
    this.#node.freed();
    await this.#writer.flush();
    if (andDelete && !this.#abandoned) await finalDelete(this.#deps, this.#pod);
  }

  async #gone(): Promise<void> {
    this.#writer.stop();
    for (const c of this.#containers.values()) c.abandon();
    await this.#deps.files.removeLogs(this.#pod);
    this.#node.gone(this.uid);
  }

  #followDeletion(): void {
    const { deletionTimestamp } = this.#pod.metadata;
    if (!deletionTimestamp || this.#grace === this.graceMs()) return;
    this.#grace = this.graceMs();
    this.#send({ type: 'stop', graceMs: this.#grace, delete: true });
  }

  #resizing(): ResizingPod {
    return {
      sandboxId: this.uid,
      desired: () => this.#pod,
      active: () => !this.#abandoned && this.#living,
      running: () => this.containers().flatMap((c) => (c.containerId ? [c.name] : [])),
      containerId: (name) => this.#containers.get(name)?.containerId,
      restart: (name, why) => this.#containers.get(name)?.renew(why),
      changed: () => this.#publisher.publish(),
      node: this.#node,
      track: (work) => this.#work.track(work),
    };
  }

  #view(): PodView {
    const { refused, verdict, sandboxReady, everInitialized } = this.#chart.context;
    const containers = new Map<string, ContainerContext>();
    if (!refused && !isTerminal(this.#pod.status?.phase)) {
      for (const c of this.#containers.values()) containers.set(c.name, c.context);
    }
    return {
      pod: this.#pod,
      hostIP: this.#deps.nodeIP,
      podIPs: this.podIPs,
      startTime: this.#startTime,
      sandboxReady,
      restarting: this.#chart.is('restarting'),
      initialized: everInitialized,
      ended: this.#chart.is('ended') || this.#chart.is('gone'),
      ...(verdict ? { verdict } : {}),
      resize: this.resize.view,
      containers,
      previous: this.#writer.written,
      now: this.#deps.clock.now(),
    };
  }
}
