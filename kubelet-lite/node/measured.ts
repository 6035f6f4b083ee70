import type { Clock } from '@trimtab/machinery';
import type { ImageStore } from '../images/image-store.js';
import type { Prober } from '../probes/prober.js';
import type { PodRuntime } from '../runtime/runtime.js';
import { timed } from '../stats/node-figures.js';
import type { KubeletFigures } from './kubelet-figures.js';
import type { ProbeMemory } from './probe-memory.js';
import { withMethods } from './with-methods.js';

/** What the kubelet's metrics call the runtime's operations (kubernetes: pkg/kubelet/kuberuntime/instrumented_services.go). */
const OPERATIONS: Readonly<Record<string, string>> = {
  list: 'list_podsandbox',
  runSandbox: 'run_podsandbox',
  removeSandbox: 'remove_podsandbox',
  startContainer: 'start_container',
  signal: 'stop_container',
  removeContainer: 'remove_container',
  updateContainer: 'update_container',
  exec: 'exec',
  execSync: 'exec_sync',
  attach: 'attach',
  reopenLog: 'reopen_container_log',
  dial: 'port_forward',
};

const IMAGE_OPERATIONS: Readonly<Record<string, string>> = {
  pull: 'pull_image',
  remove: 'remove_image',
  list: 'list_images',
};

export const measuredRuntime = (runtime: PodRuntime, clock: Clock, figures: KubeletFigures): PodRuntime =>
  measured(runtime, OPERATIONS, clock, figures);

export const measuredImages = <T extends ImageStore>(images: T, clock: Clock, figures: KubeletFigures): T =>
  measured(images, IMAGE_OPERATIONS, clock, figures);

/** Its operations are counted and timed. */
function measured<T extends object>(
  target: T,
  operations: Readonly<Record<string, string>>,
  clock: Clock,
  figures: KubeletFigures,
): T {
  const counted = Object.entries(operations).map(([name, operation]) => {
    const method = target[name as keyof T] as (...args: unknown[]) => Promise<unknown>;
    const told = (seconds: number, failed: boolean) => figures.operation(operation, seconds, failed);
    return [name, (...args: unknown[]) => timed(clock, () => method.apply(target, args), told)];
  });
  return withMethods(target, Object.fromEntries(counted) as Partial<T>);
}

/** The same prober; what it finds is counted, and the last of each kind remembered for whoever asks why. */
export function watchedProber(prober: Prober, clock: Clock, figures: KubeletFigures, memory: ProbeMemory): Prober {
  return {
    hook: (handler, target, budgetMs) => prober.hook(handler, target, budgetMs),
    probe: async (probe, target) => {
      const begun = clock.now();
      const outcome = await prober.probe(probe, target);
      const { container } = target;
      const kind =
        probe === container.livenessProbe ? 'Liveness' : probe === container.startupProbe ? 'Startup' : 'Readiness';
      figures.probe(target, kind, outcome.result, (clock.now() - begun) / 1000);
      memory.note(target.containerId, { kind, at: clock.now(), ...outcome });
      return outcome;
    },
  };
}
