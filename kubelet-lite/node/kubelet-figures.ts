import type { ProbeOutcome, ProbeTarget } from '../probes/prober.js';
import type { Metric } from '../stats/exposition.js';
import { Durations, Tally } from '../stats/node-figures.js';

interface PodName {
  readonly namespace: string;
  readonly name: string;
}

const counter = (name: string, help: string, of: Tally): Metric => ({
  name,
  help,
  type: 'counter',
  samples: of.samples(),
});

/** What the kubelet counts of its own work, under the names Kubernetes' kubelet has for it. */
export class KubeletFigures {
  readonly #operations = new Tally();
  readonly #operationErrors = new Tally();
  readonly #operationSeconds = new Durations([0.005, 0.0125, 0.03, 0.08, 0.2, 0.5, 1.2, 3, 8, 20, 50]);
  readonly #probes = new Tally();
  readonly #probeSeconds = new Durations([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]);
  readonly #evictions = new Tally();
  readonly #started = new Tally();
  readonly #nodeName: string;
  readonly #startedAt: number;
  readonly #podOf: (uid: string) => PodName | undefined;

  constructor(nodeName: string, startedAt: number, podOf: (uid: string) => PodName | undefined) {
    this.#nodeName = nodeName;
    this.#startedAt = startedAt;
    this.#podOf = podOf;
  }

  operation(operation_type: string, seconds: number, failed: boolean): void {
    this.#operations.add({ operation_type });
    if (failed) this.#operationErrors.add({ operation_type });
    this.#operationSeconds.observe({ operation_type }, seconds);
    if (operation_type === 'run_podsandbox') this.#started.add({ what: failed ? 'pods_errors' : 'pods' });
    if (operation_type === 'start_container') this.#started.add({ what: failed ? 'containers_errors' : 'containers' });
  }

  probe(
    { sandboxId, container }: ProbeTarget,
    probe_type: string,
    result: ProbeOutcome['result'],
    seconds: number,
  ): void {
    const pod = this.#podOf(sandboxId);
    const where = { container: container.name, namespace: pod?.namespace ?? '', pod: pod?.name ?? '' };
    // A probe that was answered with a warning has succeeded.
    const outcome = result === 'failure' ? 'failed' : result === 'unknown' ? 'unknown' : 'successful';
    this.#probes.add({ probe_type, result: outcome, ...where, pod_uid: sandboxId });
    this.#probeSeconds.observe({ probe_type, ...where }, seconds);
  }

  eviction(eviction_signal: string): void {
    this.#evictions.add({ eviction_signal });
  }

  /** The pod is gone: what was counted by its name is not told any more. */
  forget(uid: string): void {
    this.#probes.forget(({ pod_uid }) => pod_uid === uid);
  }

  own(): readonly Metric[] {
    const started = (what: string) =>
      this.#started
        .samples()
        .filter(({ labels }) => labels.what === what)
        .map(({ value }) => ({ labels: {}, value }));
    const total = (name: string, help: string, what: string): Metric => ({
      name,
      help,
      type: 'counter',
      samples: started(what),
    });
    return [
      {
        name: 'kubelet_node_name',
        help: "The node's name. The count is always 1.",
        type: 'gauge',
        samples: [{ labels: { node: this.#nodeName }, value: 1 }],
      },
      {
        name: 'process_start_time_seconds',
        help: 'Start time of the process since unix epoch in seconds.',
        type: 'gauge',
        samples: [{ labels: {}, value: this.#startedAt / 1000 }],
      },
      total('kubelet_started_pods_total', 'Cumulative number of pods started', 'pods'),
      total('kubelet_started_pods_errors_total', 'Cumulative number of errors when starting pods', 'pods_errors'),
      total('kubelet_started_containers_total', 'Cumulative number of containers started', 'containers'),
      total(
        'kubelet_started_containers_errors_total',
        'Cumulative number of errors when starting containers',
        'containers_errors',
      ),
      counter('kubelet_evictions', 'Cumulative number of pod evictions by eviction signal', this.#evictions),
      counter(
        'kubelet_runtime_operations_total',
        'Cumulative number of runtime operations by operation type.',
        this.#operations,
      ),
      counter(
        'kubelet_runtime_operations_errors_total',
        'Cumulative number of runtime operation errors by operation type.',
        this.#operationErrors,
      ),
      ...this.#operationSeconds.metrics(
        'kubelet_runtime_operations_duration_seconds',
        'Duration in seconds of runtime operations. Broken down by operation type.',
      ),
    ];
  }

  probes(): readonly Metric[] {
    return [
      counter(
        'prober_probe_total',
        'Cumulative number of a liveness, readiness or startup probe for a container by result.',
        this.#probes,
      ),
      ...this.#probeSeconds.metrics('prober_probe_duration_seconds', 'Duration in seconds for a probe response.'),
    ];
  }
}
