import { uptime } from 'node:os';
import { join } from 'node:path';
import type { Clock, Logger } from '@trimtab/machinery';
import type { ContainerFiles } from '../container/container-files.js';
import type { PodLayout } from '../container/pod-layout.js';
import type { ImageStore } from '../images/image-store.js';
import type { Pod } from '../pod/api.js';
import type { PodManager } from '../pod/pod-manager.js';
import type { Prober } from '../probes/prober.js';
import type { PodRuntime } from '../runtime/runtime.js';
import { cgroupReader } from '../stats/cgroup-reader.js';
import { NodeStats } from '../stats/node-stats.js';
import type { VolumePlaces } from '../stats/volume-usage.js';
import { GoneLogs } from '../streams/gone-logs.js';
import type { PodStreamsOptions } from '../streams/node-streams.js';
import type { EventRecorder } from './event-recorder.js';
import { ExitMemory } from './exits/exit-memory.js';
import { kernelLog } from './exits/kernel-log.js';
import { ExitWatch } from './exits/watch-exits.js';
import { KubeletFigures } from './kubelet-figures.js';
import { measuredImages, measuredRuntime, watchedProber } from './measured.js';
import { ProbeMemory } from './probe-memory.js';
import { withMethods } from './with-methods.js';

export interface NodeObserversOptions {
  readonly nodeName: string;
  readonly rootDir: string;
  readonly runtime: PodRuntime;
  readonly images: ImageStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly layout: PodLayout;
  readonly imagesDir: string;
  readonly goneLogsBytes?: number;
  readonly pod: (uid: string) => Pod | undefined;
}

const GONE_LOGS_BYTES = 100 * 2 ** 20;

/**
 * Those who look on while a node works: they count, measure and remember, and change nothing. Each stands before a part of the
 * node and hands everything on.
 */
export class NodeObservers {
  readonly runtime: PodRuntime;
  readonly images: ImageStore;
  readonly figures: KubeletFigures;
  readonly exits: ExitMemory;
  readonly gone: GoneLogs;
  readonly #options: NodeObserversOptions;
  readonly #cgroups = cgroupReader();
  readonly #probes = new ProbeMemory();
  readonly #watch: ExitWatch;

  constructor(options: NodeObserversOptions) {
    const { nodeName, clock, logger, rootDir, layout, pod } = options;
    this.#options = options;
    this.figures = new KubeletFigures(nodeName, clock.now(), (uid) => {
      const { namespace = '', name = '' } = pod(uid)?.metadata ?? {};
      return { namespace, name };
    });
    this.runtime = measuredRuntime(options.runtime, clock, this.figures);
    this.images = measuredImages(options.images, clock, this.figures);
    this.exits = new ExitMemory({ directory: join(rootDir, 'exits'), logger });
    const maxBytes = options.goneLogsBytes ?? GONE_LOGS_BYTES;
    this.gone = new GoneLogs({ directory: join(rootDir, 'gone-logs'), maxBytes, clock, logger });
    this.#watch = new ExitWatch({
      runtime: options.runtime,
      cgroups: this.#cgroups,
      kernel: kernelLog(),
      probes: this.#probes,
      memory: this.exits,
      pod,
      logPath: (of, container, attempt) => layout.log(of, container, attempt),
      clock,
      logger,
      startedMicros: uptime() * 1_000_000,
    });
  }

  /** Before anything is started again: remembers what ended while no kubelet was there. */
  async catchUp(): Promise<void> {
    const { runtime, logger } = this.#options;
    await this.#watch.catchUp(await runtime.list()).catch((error: unknown) => {
      logger.warn({ error: String(error) }, 'what ended meanwhile is not remembered');
    });
  }

  prober(prober: Prober): Prober {
    return watchedProber(prober, this.#options.clock, this.figures, this.#probes);
  }

  recorder(recorder: EventRecorder): EventRecorder {
    return this.#watch.listening(recorder);
  }

  /** Logs of pods that go are kept a while. */
  files(files: ContainerFiles): ContainerFiles {
    return withMethods(files, {
      removeLogs: async (pod) => {
        this.figures.forget(pod.metadata.uid ?? '');
        await this.gone.keep(pod, this.#options.layout.logs(pod));
        await files.removeLogs(pod);
      },
    });
  }

  pages(pods: PodManager, volumes: VolumePlaces, configuration: () => object): NonNullable<PodStreamsOptions['pages']> {
    const { nodeName, clock, layout, imagesDir } = this.#options;
    const stats = new NodeStats({
      nodeName,
      pods,
      cgroups: this.#cgroups,
      clock,
      layout,
      volumes,
      imagesDir,
      imageBytes: async () => (await this.#options.images.list()).reduce((sum, { size }) => sum + size, 0),
    });
    const { figures, exits, gone } = this;
    return { stats, figures, configuration, logDir: layout.logDir, exits, gone };
  }

  /** Tells of processes that the kernel has killed because the machine had no memory left. */
  lookAtKernel(recorder: EventRecorder): void {
    const { nodeName: name } = this.#options;
    for (const { command, pid } of this.#watch.systemOoms())
      recorder.event(
        { apiVersion: 'v1', kind: 'Node', name, uid: name },
        'Warning',
        'SystemOOM',
        `System OOM encountered, victim process: ${command}, pid: ${pid}`,
      );
  }

  stop(): void {
    this.#watch.stop();
  }
}
