import { resolve } from 'node:path';
import {
  DEFAULT_IMAGE_GC,
  type ImageGcPolicy,
  parseThresholds,
  type Reserved,
  type ShutdownGrace,
  simpleTable,
  type Threshold,
} from '@trimtab/kubelet-lite';
import { parseQuantity, quantityMilliValue, quantityValue } from '@trimtab/machinery';
import { CliError } from '../errors.js';
import { duration, type RawNodeOptions } from './node-flags.js';

/** The local node's settings, checked. */
export interface NodeSettings {
  readonly maxPods?: number;
  readonly podPidsLimit?: number;
  readonly reserved: Reserved;
  readonly thresholds: readonly Threshold[];
  readonly pressureTransitionMs?: number;
  readonly maxPodGraceMs?: number;
  readonly imageGc: ImageGcPolicy;
  readonly goneLogsBytes?: number;
  readonly staticPodsDir?: string;
  /** Absent: pods are stopped with the cluster, and come back with it. */
  readonly shutdown?: readonly ShutdownGrace[];
}

/** @throws CliError that names the option. */
export function nodeSettings(raw: RawNodeOptions): NodeSettings {
  const shutdown = shutdownTable(raw);
  return {
    ...(raw.maxPods === undefined ? {} : { maxPods: raw.maxPods }),
    ...(raw.podMaxPids === undefined ? {} : { podPidsLimit: raw.podMaxPids }),
    reserved: sum(reserved('--system-reserved', raw.systemReserved), reserved('--kube-reserved', raw.kubeReserved)),
    thresholds: thresholds(raw),
    ...(raw.evictionPressureTransitionPeriod === undefined
      ? {}
      : { pressureTransitionMs: raw.evictionPressureTransitionPeriod }),
    ...(raw.evictionMaxPodGracePeriod === undefined ? {} : { maxPodGraceMs: raw.evictionMaxPodGracePeriod * 1_000 }),
    imageGc: imageGc(raw),
    ...(raw.goneLogsSize === undefined ? {} : { goneLogsBytes: raw.goneLogsSize * 2 ** 20 }),
    ...(raw.staticPods === undefined ? {} : { staticPodsDir: resolve(raw.staticPods) }),
    ...(shutdown ? { shutdown } : {}),
  };
}

/** A developer's machine is often nearly full: less must stay free than Kubernetes keeps on servers, as k3s has it. */
const EVICTION_HARD =
  'memory.available<100Mi,nodefs.available<5%,nodefs.inodesFree<5%,imagefs.available<5%,imagefs.inodesFree<5%';

function thresholds(raw: RawNodeOptions): readonly Threshold[] {
  try {
    return parseThresholds({
      hard: raw.evictionHard ?? EVICTION_HARD,
      ...(raw.evictionSoft === undefined ? {} : { soft: raw.evictionSoft }),
      ...(raw.evictionSoftGracePeriod === undefined ? {} : { softGracePeriod: raw.evictionSoftGracePeriod }),
      ...(raw.evictionMinimumReclaim === undefined ? {} : { minimumReclaim: raw.evictionMinimumReclaim }),
    });
  } catch (error) {
    throw new CliError(`--${(error as Error).message}`);
  }
}

function imageGc({
  imageGcHighThreshold,
  imageGcLowThreshold,
  minimumImageTtlDuration,
}: RawNodeOptions): ImageGcPolicy {
  const highPercent = imageGcHighThreshold ?? DEFAULT_IMAGE_GC.highPercent;
  const lowPercent = imageGcLowThreshold ?? Math.min(DEFAULT_IMAGE_GC.lowPercent, Math.max(highPercent - 5, 0));
  if (lowPercent >= highPercent)
    throw new CliError(
      `--image-gc-low-threshold ${lowPercent} must be less than --image-gc-high-threshold ${highPercent}`,
    );
  return { highPercent, lowPercent, minAgeMs: minimumImageTtlDuration ?? DEFAULT_IMAGE_GC.minAgeMs };
}

const RESERVABLE = ['cpu', 'memory', 'ephemeral-storage', 'pid'];

function reserved(option: string, text = ''): Reserved {
  const amounts = new Map<string, string>();
  for (const part of text.split(',').filter((one) => one.trim() !== '')) {
    const [name = '', value = ''] = part.split('=').map((one) => one.trim());
    if (!RESERVABLE.includes(name))
      throw new CliError(`${option} ${part}: one can reserve ${RESERVABLE.join(', ')}, as in cpu=500m`);
    try {
      parseQuantity(value);
    } catch {
      throw new CliError(`${option} ${part}: ${JSON.stringify(value)} is no amount`);
    }
    amounts.set(name, value);
  }
  const of = (name: string): number => quantityValue(parseQuantity(amounts.get(name) ?? '0'));
  return {
    milliCPU: quantityMilliValue(parseQuantity(amounts.get('cpu') ?? '0')),
    memoryBytes: of('memory'),
    diskBytes: of('ephemeral-storage'),
    pids: of('pid'),
  };
}

const sum = (a: Reserved, b: Reserved): Reserved => ({
  milliCPU: a.milliCPU + b.milliCPU,
  memoryBytes: a.memoryBytes + b.memoryBytes,
  diskBytes: (a.diskBytes ?? 0) + (b.diskBytes ?? 0),
  pids: (a.pids ?? 0) + (b.pids ?? 0),
});

function shutdownTable(raw: RawNodeOptions): readonly ShutdownGrace[] | undefined {
  const { shutdownGracePeriod: whole, shutdownGracePeriodCriticalPods: critical = 0 } = raw;
  const list = raw.shutdownGracePeriodByPodPriority;
  if (list !== undefined) {
    if (whole !== undefined)
      throw new CliError('--shutdown-grace-period and --shutdown-grace-period-by-pod-priority exclude each other');
    return list.split(',').map((part) => {
      const [priority = '', period = ''] = part.split('=').map((one) => one.trim());
      if (!/^-?\d+$/.test(priority) || period === '')
        throw new CliError(`--shutdown-grace-period-by-pod-priority ${part}: write PRIORITY=DURATION, as in 0=60s`);
      return { priority: Number(priority), graceMs: duration(period) };
    });
  }
  if (whole === undefined) {
    if (critical > 0) throw new CliError('--shutdown-grace-period-critical-pods is a part of --shutdown-grace-period');
    return undefined;
  }
  if (critical > whole)
    throw new CliError(
      '--shutdown-grace-period-critical-pods is longer than --shutdown-grace-period, whose part it is',
    );
  return simpleTable(whole, critical);
}
