import type { Clock, Logger } from '@trimtab/machinery';
import { containerCgroupPath } from '../../container/cgroup.js';
import { ANNOTATION } from '../../container/container-files.js';
import { attemptOf } from '../../container/exit.js';
import type { Pod } from '../../pod/api.js';
import { containersOf } from '../../pod/plan.js';
import { limitOf } from '../../pod/qos.js';
import type { ContainerStatus, PodRuntime, SandboxStatus } from '../../runtime/runtime.js';
import type { CgroupReader } from '../../stats/cgroup-reader.js';
import { logTail } from '../../streams/log-reader.js';
import type { EventRecorder } from '../event-recorder.js';
import type { ProbeMemory } from '../probe-memory.js';
import type { ExitMemory } from './exit-memory.js';
import { type ExitFacts, exitRecord } from './exit-record.js';
import type { KernelLog, OomKill } from './kernel-log.js';

export interface WatchExitsOptions {
  readonly runtime: PodRuntime;
  readonly cgroups: CgroupReader;
  readonly kernel: KernelLog;
  readonly probes: ProbeMemory;
  readonly memory: ExitMemory;
  readonly pod: (uid: string) => Pod | undefined;
  readonly logPath: (pod: Pod, container: string, attempt: number) => string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** When this watch began, on the kernel log's clock: microseconds since the machine came up. */
  readonly startedMicros?: number;
}

type Found = Pick<ExitFacts, 'memory' | 'ownLimit' | 'killedFor' | 'cgroup' | 'victims' | 'probes'>;

const NOTHING_FOUND: Found = {
  memory: undefined,
  ownLimit: undefined,
  killedFor: undefined,
  cgroup: '',
  victims: [],
  probes: [],
};

const SIGKILL = 9;
const LOG_LINES = 200;
const LOG_BYTES = 32 * 1024;
const VICTIMS_KEPT = 64;

/**
 * Keeps, of every container that ends, what tells why. Must listen before those who restart containers: the container's group is
 * read at once, for it goes with the next start.
 */
export class ExitWatch {
  readonly #options: WatchExitsOptions;
  readonly #killing = new Map<string, string>();
  #victims: OomKill[] = [];
  #system: OomKill[] = [];
  readonly #stop: () => void;

  constructor(options: WatchExitsOptions) {
    this.#options = options;
    const events = options.runtime.events.subscribe((event) => {
      if (event.type === 'containerExited') this.#exited(event.sandboxId, event.container);
      else this.#sandboxDied(event.sandboxId);
    });
    this.#stop = () => events.unsubscribe();
  }

  stop(): void {
    this.#stop();
    this.#options.kernel.close();
  }

  /** The same recorder; what it says of why a container is killed is remembered until the container has ended. */
  listening(recorder: EventRecorder): EventRecorder {
    return {
      event: (subject, type, reason, message) => {
        const container = /\{(.*)\}$/.exec(subject.fieldPath ?? '')?.[1];
        if (reason === 'Killing' && container && subject.uid) this.#killing.set(`${subject.uid}/${container}`, message);
        recorder.event(subject, type, reason, message);
      },
    };
  }

  /** Those that ended while nobody watched: of them only the runtime's word and the log are left. */
  async catchUp(sandboxes: readonly SandboxStatus[]): Promise<void> {
    const { memory, logger } = this.#options;
    for (const { id: uid, annotations, containers } of sandboxes) {
      const name = annotations[ANNOTATION.podName] ?? '';
      const namespace = annotations[ANNOTATION.podNamespace] ?? '';
      for (const status of containers.filter(({ state }) => state === 'exited')) {
        if (await memory.has(uid, status.name, attemptOf(status))) continue;
        const pod: Pod = { metadata: { namespace, name, uid }, spec: { containers: [] } };
        await this.#remember(pod, status, NOTHING_FOUND).catch((error: unknown) =>
          logger.warn({ container: status.id, error: String(error) }, 'the end of a container is not remembered'),
        );
      }
    }
  }

  /** With its network container all of a pod ends, and no container's own end is told. */
  #sandboxDied(uid: string): void {
    const pod = this.#options.pod(uid);
    if (!pod || pod.metadata.deletionTimestamp) return;
    const { clock, logger } = this.#options;
    const { initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {};
    for (const { name, restartCount, state, image } of [...initContainerStatuses, ...containerStatuses]) {
      if (!state?.running) continue;
      const status: ContainerStatus = {
        id: `${uid}-${name}-${restartCount}`,
        name,
        state: 'exited',
        pid: 0,
        startedAt: Date.parse(state.running.startedAt ?? '') || clock.now(),
        finishedAt: clock.now(),
        exitCode: 137,
        signal: SIGKILL,
        logPath: '',
        annotations: { [ANNOTATION.attempt]: String(restartCount), [ANNOTATION.image]: image },
      };
      const killedFor = "the pod's own process died, and everything in the pod with it";
      const found = { ...NOTHING_FOUND, killedFor, probes: this.#options.probes.take(status.id) };
      void this.#remember(pod, status, found).catch((error: unknown) =>
        logger.warn({ container: status.id, error: String(error) }, 'the end of a container is not remembered'),
      );
    }
  }

  /** Kills since the last call for want of memory on the whole machine; those of before this watch began are none of its business. */
  systemOoms(): readonly OomKill[] {
    this.#readKernel();
    const { startedMicros = 0 } = this.#options;
    return this.#system.splice(0).filter(({ at }) => at >= startedMicros);
  }

  #exited(uid: string, status: ContainerStatus): void {
    const { probes, cgroups, logger } = this.#options;
    const pod = this.#options.pod(uid);
    const answers = probes.take(status.id);
    const key = `${uid}/${status.name}`;
    const killedFor = this.#killing.get(key);
    this.#killing.delete(key);
    if (!pod) return;
    const cgroup = containerCgroupPath(pod.spec, uid, status.name, attemptOf(status));
    const { memory } = cgroups.read(cgroup);
    // Who is deleted is asked to end, and that it did is no riddle.
    if (pod.metadata.deletionTimestamp && !status.oomKilled) return;
    const victims = status.oomKilled || (memory?.oomKills ?? 0) > 0 ? this.#victimsOf(cgroup) : [];
    const container = containersOf(pod.spec).find(({ name }) => name === status.name);
    const ownLimit = (container && limitOf(container, 'memory')) || undefined;
    void this.#remember(pod, status, { memory, ownLimit, killedFor, cgroup, victims, probes: answers }).catch(
      (error: unknown) =>
        logger.warn({ container: status.id, error: String(error) }, 'the end of a container is not remembered'),
    );
  }

  async #remember(
    pod: Pod,
    status: ContainerStatus,
    found: Pick<
      Parameters<typeof exitRecord>[0],
      'memory' | 'ownLimit' | 'killedFor' | 'cgroup' | 'victims' | 'probes'
    >,
  ): Promise<void> {
    const path = this.#options.logPath(pod, status.name, attemptOf(status));
    const tail = await logTail(path, LOG_LINES, LOG_BYTES).catch(() => '');
    const { namespace = '', name = '', uid = '' } = pod.metadata;
    const image = status.annotations[ANNOTATION.image] ?? '';
    const log = tail === '' ? [] : tail.replace(/\n$/, '').split('\n');
    await this.#options.memory.remember(exitRecord({ ...found, namespace, pod: name, uid, status, image, log }));
  }

  #readKernel(): void {
    const news = this.#options.kernel.news();
    this.#victims = [...this.#victims, ...news].slice(-VICTIMS_KEPT);
    this.#system.push(...news.filter(({ limitGroup }) => limitGroup === undefined));
  }

  #victimsOf(cgroup: string): readonly OomKill[] {
    this.#readKernel();
    return this.#victims.filter(({ taskGroup }) => taskGroup.endsWith(cgroup));
  }
}
