import { Chart } from '@trimtab/framework';
import type { Container, Logger } from '@trimtab/machinery';
import { type Image, ImageError } from '../images/image-store.js';
import { formatPod, type Pod, restartPolicyOf } from '../pod/api.js';
import { type ContainerFacts, containersOf } from '../pod/plan.js';
import { type PodContextDeps, podSubject } from '../pod/pod-context.js';
import { ContainerProbes, probeWords } from '../probes/container-probes.js';
import type { ProbeTarget } from '../probes/prober.js';
import type { ContainerStatus } from '../runtime/runtime.js';
import { backOffWords } from './back-off-words.js';
import { ContainerConfigError } from './container-files.js';
import { joinedPid, probeTarget } from './container-target.js';
import { attemptOf, startedContainer, terminatedState } from './exit.js';
import { hookFailedMessage, hookFailedWords } from './hook-words.js';
import { ensureImage, imageIdOf, type Say } from './image-puller.js';
import { containerMachine } from './machine.js';
import type {
  ContainerContext,
  ContainerEffect,
  ContainerEvent,
  ContainerInput,
  StopRequest,
} from './machine-types.js';
import { type ContainerKind, ruleAction } from './restart.js';
import { stopSignalOf } from './stop-signal.js';

/** What a container needs of the pod around it. */
export interface ContainingPod {
  readonly sandboxId: string;
  readonly logger: Logger;
  pod(): Pod;
  podIPs(): readonly string[];
  graceMs(): number;
  changed(name: string): void;
  /** A rule asks for the whole pod to begin anew. */
  restartAll(): void;
  /** The first process of another container of the pod, while it runs. */
  pidOf(name: string): number | undefined;
  /** The container runs with what `pod()` gave it when it was prepared. */
  started(name: string, container: Container): void;
  /** Keeps the pod from being cleaned up until the promise has settled. */
  track(work: Promise<void>): void;
}

/** The longest a timer can be: postStart hooks have no time limit of their own. */
const UNLIMITED_MS = 0x7fffffff;

type Told<E> = E extends { readonly at: number } ? Omit<E, 'at'> : never;

/** Carries out what one container's statechart decides, and tells it what came of it. */
export class ContainerWorker {
  readonly name: string;
  readonly #deps: PodContextDeps;
  readonly #home: ContainingPod;
  #container: Container;
  readonly #chart: Chart<typeof containerMachine>;
  #waiting: readonly ((gone?: boolean) => void)[] = [];
  readonly #say: Say;
  #image: Image | undefined;
  #probes: ContainerProbes | undefined;
  #probed: string | undefined;
  /** The container that an earlier kubelet started. */
  readonly #adopted: string | undefined;
  #earlyExit: ContainerStatus | undefined;
  #stopSignal: string;
  /** Raised by {@link reset}: what an earlier sandbox still answers is not ours any more. */
  #epoch = 0;

  constructor(
    deps: PodContextDeps,
    home: ContainingPod,
    container: Container,
    kind: ContainerKind,
    found: ContainerInput['found'],
    stopSignal: string | undefined,
  ) {
    const pod = home.pod();
    this.#adopted = found?.running?.id;
    this.name = container.name;
    this.#deps = deps;
    this.#home = home;
    this.#container = container;
    this.#stopSignal = stopSignal ?? stopSignalOf(container);
    this.#say = (type, reason, message) =>
      deps.recorder.event(podSubject(home.pod(), container.name), type, reason, message);
    this.#chart = new Chart(containerMachine, {
      clock: deps.clock,
      effect: (effect) => this.#run(effect),
      changed: () => this.#changed(),
      input: {
        container,
        kind,
        podPolicy: restartPolicyOf(pod.spec),
        podName: formatPod(pod),
        waitingReason: pod.spec.initContainers?.length ? 'PodInitializing' : 'ContainerCreating',
        restartBackOff: deps.restartBackOff,
        pullBackOff: deps.pullBackOff,
        ...(found ? { found } : {}),
      },
    });
  }

  get context(): ContainerContext {
    return this.#chart.context;
  }

  get containerId(): string | undefined {
    return this.context.running?.id;
  }

  /** Resolves when this attempt no longer runs, at once when it does not now. */
  whenEnded(attempt: number): Promise<void> {
    const over = () => this.context.running?.attempt !== attempt;
    if (over()) return Promise.resolve();
    return new Promise((resolve) => {
      const look = (gone = false) => {
        if (!gone && !over()) return;
        this.#waiting = this.#waiting.filter((other) => other !== look);
        resolve();
      };
      this.#waiting = [...this.#waiting, look];
    });
  }

  facts(): ContainerFacts {
    const { context } = this;
    const alive = this.#chart.is('running') || this.#chart.is('stopping');
    return {
      state: this.#chart.is('blocked')
        ? 'blocked'
        : this.#chart.is('finished')
          ? 'finished'
          : alive || (this.#chart.is('starting') && context.stop !== undefined)
            ? 'running'
            : 'waiting',
      started: context.started && alive,
      ...(context.exitCode === undefined ? {} : { exitCode: context.exitCode }),
    };
  }

  /** Starts the statechart: an adopted container is running from here on. */
  begin(): void {
    this.#chart.start();
  }

  start(): void {
    this.#send({ type: 'start' });
  }

  stop(request: StopRequest, why?: string): void {
    if (this.containerId) {
      this.#say('Normal', 'Killing', why ?? `Stopping container ${this.name}`);
      if (request.final) this.#probes?.terminating();
    }
    this.#send({ type: 'stop', ...request });
  }

  release(): void {
    this.#send({ type: 'release' });
  }

  /** The pod's object now describes the container otherwise (its image): it is ended and started as described. */
  redefine(container: Container): void {
    this.#container = container;
    this.renew(`Container ${this.name} definition changed, will be restarted`);
  }

  /** Ends the container, with its grace, and starts it anew at once, whatever its policy. */
  renew(why: string): void {
    this.#send({ type: 'redefined', container: this.#container });
    if (this.containerId) this.stop({ graceMs: this.#home.graceMs(), final: false }, why);
    else this.retry();
  }

  get definition(): Container {
    return this.#container;
  }

  /** Something a misconfigured or unpullable container waits for may have changed. */
  retry(): void {
    this.#send({ type: 'retry' });
  }

  reset(): void {
    this.#epoch++;
    this.#earlyExit = undefined;
    this.#send({ type: 'reset' });
  }

  /** Stops watching; the container itself goes on. */
  abandon(): void {
    this.#epoch++;
    this.#probes?.stop();
    this.#chart.stop();
    for (const look of this.#waiting) look(true);
  }

  exited(status: ContainerStatus): void {
    if (this.#chart.is('starting')) this.#earlyExit = status;
    else this.#home.track(this.#reportExit(status));
  }

  #send(event: Told<ContainerEvent>): void {
    this.#chart.send({ ...event, at: this.#deps.clock.now() } as ContainerEvent);
  }

  #changed(): void {
    this.#followProbes();
    this.#home.changed(this.name);
    for (const look of this.#waiting) look();
  }

  #run(effect: ContainerEffect): void {
    switch (effect.type) {
      case 'pull':
        // Neither pulls nor hooks hold up a pod that is to go: they leave nothing behind in it.
        void this.#pull();
        break;
      case 'start':
        this.#home.track(this.#startAttempt(effect.attempt));
        break;
      case 'postStart':
        void this.#hook('postStart', UNLIMITED_MS);
        break;
      case 'preStop':
        void this.#hook('preStop', effect.budgetMs);
        break;
      case 'terminate':
        this.#home.track(this.#signal(this.#stopSignal));
        break;
      case 'kill':
        this.#home.track(this.#signal('SIGKILL'));
        break;
      case 'backedOff':
        for (const words of backOffWords(effect.what, this.#container, this.#home.pod())) this.#say(...words);
        break;
    }
  }

  async #pull(): Promise<void> {
    const epoch = this.#epoch;
    const { images, clock, imageCredentials } = this.#deps;
    try {
      const image = await ensureImage(images, clock, this.#container, this.#say, async () => [
        ...((await imageCredentials?.(this.#home.pod(), this.#say, this.#container.image ?? '')) ?? []),
      ]);
      if (epoch !== this.#epoch) return;
      this.#image = image;
      this.#stopSignal = stopSignalOf(this.#container, image.config);
      this.#send({
        type: 'image.ready',
        image: image.tags[0] ?? this.#container.image ?? '',
        imageID: imageIdOf(image, this.#container.image ?? ''),
      });
    } catch (error) {
      if (epoch !== this.#epoch) return;
      const { reason, message } =
        error instanceof ImageError ? error : { reason: 'ErrImagePull', message: String(error) };
      this.#say('Warning', 'Failed', `Error: ${reason}`);
      this.#send({ type: 'image.failed', reason, message });
    }
  }

  async #startAttempt(attempt: number): Promise<void> {
    const epoch = this.#epoch;
    const { files, runtime } = this.#deps;
    const pod = this.#home.pod();
    const previous = this.context.containerID;
    const id = `${this.#home.sandboxId}-${this.name}-${attempt}`;
    const container = containersOf(pod.spec).find((c) => c.name === this.name) ?? this.#container;
    try {
      const prepared = await files.prepare({
        pod,
        container,
        attempt,
        ...joinedPid(pod, this.name, (target) => this.#home.pidOf(target)),
        image: this.#image!,
        podIPs: this.#home.podIPs(),
      });
      try {
        const status = await runtime.startContainer(this.#home.sandboxId, prepared.config);
        if (epoch !== this.#epoch) return;
        this.#announce(status);
        this.#home.started(this.name, container);
      } finally {
        await prepared.release();
      }
      if (previous && previous !== id) await runtime.removeContainer(previous);
      await files.forgetAttempts(pod, this.name, attempt);
    } catch (error) {
      if (epoch !== this.#epoch) return;
      if (this.context.running?.id === id) {
        this.#home.logger.warn({ container: id, error: String(error) }, 'left-overs of the last attempt stay');
        return;
      }
      this.#startFailed(error, id);
    }
  }

  #announce(status: ContainerStatus): void {
    this.#say('Normal', 'Created', `Created container: ${this.name}`);
    this.#say('Normal', 'Started', `Started container ${this.name}`);
    this.#send({ type: 'started', container: startedContainer(status) });
    const exit = status.state === 'exited' ? status : this.#earlyExit?.id === status.id ? this.#earlyExit : undefined;
    this.#earlyExit = undefined;
    if (exit) this.#home.track(this.#reportExit(exit));
  }

  #startFailed(error: unknown, id: string): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#say('Warning', 'Failed', `Error: ${message}`);
    if (error instanceof ContainerConfigError) {
      this.#send({ type: 'config.failed', reason: error.reason, message });
      return;
    }
    this.#send({ type: 'start.failed', message: `failed to start container "${this.name}": ${message}`, id });
  }

  async #reportExit(status: ContainerStatus): Promise<void> {
    const epoch = this.#epoch;
    const failed = status.exitCode !== 0 || (status.signal ?? 0) > 0;
    const message = await this.#deps.files
      .terminationMessage(this.#home.pod(), this.#container, attemptOf(status), failed)
      .catch((error: unknown) => `the termination message could not be read: ${error}`);
    if (epoch !== this.#epoch) return;
    const terminated = terminatedState(status, message);
    if (ruleAction(this.#container, terminated.exitCode) === 'RestartAllContainers' && !this.context.stop?.final)
      this.#home.restartAll();
    this.#send({
      type: 'exited',
      id: status.id,
      terminated,
      ranMs: (status.finishedAt ?? this.#deps.clock.now()) - status.startedAt,
    });
  }

  async #hook(which: 'postStart' | 'preStop', budgetMs: number): Promise<void> {
    const epoch = this.#epoch;
    const handler = this.#container.lifecycle?.[which];
    const target = probeTarget(this.containerId, this.#container, this.#home, this.#deps.nodeIP);
    if (!handler || !target) return;
    const { result, output } = await this.#deps.prober.hook(handler, target, budgetMs);
    // What was asked of a container that has ended says nothing of the next.
    if (epoch !== this.#epoch || this.containerId !== target.containerId) return;
    if (result === 'success') return this.#send({ type: 'hook.done' });
    for (const words of hookFailedWords(which)) this.#say(...words);
    const message = hookFailedMessage(handler, this.name, this.#home.pod(), output);
    this.#send({ type: 'hook.failed', message, graceMs: this.#home.graceMs() });
  }

  async #signal(signal: string): Promise<void> {
    const id = this.containerId;
    if (!id) return;
    try {
      await this.#deps.runtime.signal(id, signal);
    } catch (error) {
      this.#home.logger.error({ container: id, signal, error: String(error) }, 'signal not delivered');
    }
  }

  /** Probes live exactly as long as the container is up, and start anew with each container id. */
  #followProbes(): void {
    const up = this.#chart.is('running.up') || this.#chart.is('stopping');
    const target = up ? probeTarget(this.containerId, this.#container, this.#home, this.#deps.nodeIP) : undefined;
    if (target?.containerId === this.#probed) return;
    if (target && this.#chart.is('stopping')) return;
    this.#probes?.stop();
    this.#probed = target?.containerId;
    this.#probes = target && this.#probe(target, this.context);
  }

  #probe(target: ProbeTarget, { running, started }: ContainerContext): ContainerProbes {
    const { prober, clock, random } = this.#deps;
    return new ContainerProbes(
      {
        container: this.#container,
        target,
        prober,
        clock,
        startedAt: running?.startedAt ?? clock.now(),
        onStarted: () => this.#send({ type: 'startup.passed' }),
        onReadiness: (ready) => this.#setReady(ready),
        onDead: (kind) => this.#killForProbe(kind),
        ...(target.containerId === this.#adopted ? { spread: random.next() } : {}),
        onFailure: (kind, output, result) => this.#say('Warning', ...probeWords(kind, output, result)),
      },
      started,
    );
  }

  #setReady(ready: boolean): void {
    if (this.context.ready !== ready) this.#send({ type: 'readiness', ready });
  }

  #killForProbe(kind: 'liveness' | 'startup'): void {
    const own = this.#container[`${kind}Probe`]?.terminationGracePeriodSeconds;
    const graceMs = own === undefined ? this.#home.graceMs() : own * 1_000;
    this.stop({ graceMs, final: false }, `Container ${this.name} failed ${kind} probe, will be restarted`);
  }
}
