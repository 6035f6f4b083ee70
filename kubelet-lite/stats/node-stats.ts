import { setImmediate } from 'node:timers/promises';
import type { NodeUsage, PodUsage, Usage } from '@trimtab/client';
import type { Clock } from '@trimtab/machinery';
import { containerCgroupPath, podCgroupPath } from '../container/cgroup.js';
import type { PodLayout } from '../container/pod-layout.js';
import type { PodManager } from '../pod/pod-manager.js';
import type { PodWorker } from '../pod/pod-worker.js';
import type { CgroupReader } from './cgroup-reader.js';
import { type CpuRate, CpuRates, MIN_WINDOW_MS } from './cpu-rates.js';
import { diskUsage } from './disk-usage.js';
import { readFileSystem, readInterfaces, readMachineNow } from './machine-readings.js';
import type { ContainerReading, NodeReading, PodReading } from './readings.js';
import { podVolumes, type VolumePlaces } from './volume-usage.js';

export interface NodeStatsOptions {
  readonly nodeName: string;
  readonly pods: PodManager;
  readonly cgroups: CgroupReader;
  readonly clock: Clock;
  readonly layout: PodLayout;
  readonly volumes: VolumePlaces;
  /** A directory on the file system of images. */
  readonly imagesDir: string;
  readonly imageBytes: () => Promise<number>;
}

/** A running container and the group it is in. */
interface Running {
  readonly name: string;
  readonly id: string;
  readonly image: string;
  readonly attempt: number;
  readonly startedAt: number;
  readonly cgroup: string;
}

/** A second sample is taken so much later where the first has nothing to be compared with. */
const SECOND_LOOK_MS = MIN_WINDOW_MS + 100;

/** Looks at what node, pods and containers use, when somebody asks and not before. */
export class NodeStats {
  readonly #options: NodeStatsOptions;
  readonly #rates = new CpuRates();
  readonly #startedAt: number;

  constructor(options: NodeStatsOptions) {
    this.#options = options;
    this.#startedAt = options.clock.now();
  }

  /** For the metrics API. Takes half a second where nobody has asked for half a minute, else what the reading takes. */
  async usage({ node, pods }: { readonly node: boolean; readonly pods: readonly string[] }): Promise<NodeUsage> {
    const workers = pods.flatMap((uid) => {
      const worker = this.#options.pods.worker(uid);
      return worker ? [{ uid, worker }] : [];
    });
    const first = await this.#usageNow(node, workers);
    if (first.complete) return first.usage;
    await this.#pause();
    return (await this.#usageNow(node, workers)).usage;
  }

  /** Everything. `disks`: directories are walked as well, which may take long where pods have many files. */
  async read(disks: boolean): Promise<NodeReading> {
    const { clock, nodeName, layout, imagesDir, pods } = this.#options;
    const workers = pods.workers();
    // So that there are rates to tell.
    await this.usage({ node: true, pods: workers.map(({ uid }) => uid) });
    const [machine, network, nodefs, imagefs, imageBytes] = await Promise.all([
      readMachineNow(),
      readInterfaces('self'),
      readFileSystem(layout.podsDir),
      readFileSystem(imagesDir),
      this.#options.imageBytes().catch(() => undefined),
    ]);
    const at = clock.now();
    const found: PodReading[] = [];
    for (const worker of workers) {
      if (!worker.active) continue;
      found.push(await this.#readPod(worker, disks));
      await setImmediate();
    }
    const rate = this.#rates.sample('', at, machine.cpuNanos);
    return {
      nodeName,
      at,
      startedAt: this.#startedAt,
      machine,
      rate,
      network,
      nodefs,
      imagefs,
      imageBytes,
      pods: found,
    };
  }

  async #readPod(worker: PodWorker, disks: boolean): Promise<PodReading> {
    const { cgroups, layout } = this.#options;
    const { pod, uid, sandboxPid } = worker;
    const { name = '', namespace = '' } = pod.metadata;
    const cgroup = podCgroupPath(pod.spec, uid);
    const containers: ContainerReading[] = [];
    for (const c of runningIn(worker)) {
      const reading = cgroups.read(c.cgroup);
      const rate = this.#rate(c.cgroup, reading.cpu?.usageNanos, c.startedAt);
      const disk = disks
        ? {
            rootfs: await diskUsage(layout.attempt(uid, c.name, c.attempt)),
            logs: await diskUsage(`${layout.logs(pod)}/${c.name}`),
          }
        : undefined;
      containers.push({ ...c, restarts: c.attempt, reading, rate, disk });
    }
    const reading = cgroups.read(cgroup);
    const startedAt = Date.parse(pod.status?.startTime ?? '');
    return {
      name,
      namespace,
      uid,
      startedAt: Number.isNaN(startedAt) ? undefined : startedAt,
      cgroup,
      reading,
      rate: together(containers.flatMap(({ rate }) => rate ?? [])),
      network: sandboxPid && !pod.spec.hostNetwork ? await readInterfaces(sandboxPid) : [],
      containers,
      volumes: disks ? await podVolumes(pod, this.#options.volumes) : [],
    };
  }

  async #usageNow(
    node: boolean,
    workers: readonly { readonly uid: string; readonly worker: PodWorker }[],
  ): Promise<{ usage: NodeUsage; complete: boolean }> {
    let complete = true;
    const pods: PodUsage[] = [];
    for (const { uid, worker } of workers) {
      const containers: (Usage & { readonly name: string })[] = [];
      for (const { name, cgroup, startedAt } of runningIn(worker)) {
        const { cpuNanos, workingSet } = this.#options.cgroups.usage(cgroup);
        if (cpuNanos === undefined || workingSet === undefined) continue;
        const rate = this.#rate(cgroup, cpuNanos, startedAt);
        if (rate) containers.push({ name, ...usageOf(rate, workingSet) });
        else complete = false;
      }
      pods.push({ uid, containers });
      await setImmediate();
    }
    if (!node) return { usage: { pods }, complete };
    const machine = await readMachineNow();
    const rate = this.#rates.sample('', this.#options.clock.now(), machine.cpuNanos);
    return {
      usage: { ...(rate ? { node: usageOf(rate, machine.memory.workingSet) } : {}), pods },
      complete: complete && rate !== undefined,
    };
  }

  #rate(cgroup: string, nanos: number | undefined, startedAt: number): CpuRate | undefined {
    return nanos === undefined ? undefined : this.#rates.sample(cgroup, this.#options.clock.now(), nanos, startedAt);
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#options.clock.after(SECOND_LOOK_MS, resolve));
  }
}

/** A pod is its containers: the network container sleeps. */
function together(rates: readonly CpuRate[]): CpuRate | undefined {
  if (rates.length === 0) return undefined;
  return {
    nanoCores: rates.reduce((sum, { nanoCores }) => sum + nanoCores, 0),
    windowMs: Math.max(...rates.map(({ windowMs }) => windowMs)),
    at: Math.min(...rates.map(({ at }) => at)),
  };
}

const usageOf = ({ at, windowMs, nanoCores }: CpuRate, memoryBytes: number): Usage => ({
  at,
  windowMs,
  cpuNanoCores: nanoCores,
  memoryBytes,
});

function runningIn(worker: PodWorker): readonly Running[] {
  const { pod, uid } = worker;
  return worker.containers().flatMap(({ name, context: { running, image } }) =>
    running
      ? [
          {
            name,
            id: running.id,
            image,
            attempt: running.attempt,
            startedAt: running.startedAt,
            cgroup: containerCgroupPath(pod.spec, uid, name, running.attempt),
          },
        ]
      : [],
  );
}
