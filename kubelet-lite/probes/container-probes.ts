import type { Clock, Container } from '@trimtab/machinery';
import { type ProbeKind, startProbe } from './probe-worker.js';
import type { Prober, ProbeTarget } from './prober.js';

export interface ContainerProbesOptions {
  readonly container: Container;
  readonly target: ProbeTarget;
  readonly prober: Prober;
  readonly clock: Clock;
  readonly startedAt: number;
  readonly onStarted: () => void;
  readonly onReadiness: (ready: boolean) => void;
  /** Liveness or startup has failed for good: the container is to be killed. */
  readonly onDead: (kind: 'liveness' | 'startup') => void;
  readonly onFailure: (kind: ProbeKind, output: string, result: 'failure' | 'warning') => void;
  /** Of a period that the first run waits; only the probes that begin at once are spread. */
  readonly spread?: number;
}

/** The probes of one running container: startup gates the other two; after a fatal verdict liveness falls silent. */
export class ContainerProbes {
  readonly #options: ContainerProbesOptions;
  readonly #running = new Map<ProbeKind, () => void>();
  #stopped = false;

  constructor(options: ContainerProbesOptions, started: boolean) {
    this.#options = options;
    const { spread } = options;
    if (options.container.startupProbe && !started) this.#start('startup', spread);
    else this.#startLasting(spread);
  }

  /** While a pod terminates readiness goes on, the others stop. */
  terminating(): void {
    this.#stop('startup');
    this.#stop('liveness');
  }

  stop(): void {
    this.#stopped = true;
    for (const kind of [...this.#running.keys()]) this.#stop(kind);
  }

  #startLasting(spread?: number): void {
    this.#start('liveness', spread);
    this.#start('readiness', spread);
  }

  #start(kind: ProbeKind, spread = 0): void {
    const { container, target, prober, clock, startedAt, onFailure } = this.#options;
    const probe = container[`${kind}Probe`];
    if (!probe || this.#stopped) return;
    const stop = startProbe({
      probe,
      clock,
      startedAt,
      run: () => prober.probe(probe, target),
      spread,
      onFailure: (output, result) => onFailure(kind, output, result),
      onVerdict: (verdict) => this.#verdict(kind, verdict),
    });
    this.#running.set(kind, stop);
  }

  #verdict(kind: ProbeKind, verdict: 'success' | 'failure'): void {
    if (kind === 'readiness') this.#options.onReadiness(verdict === 'success');
    else if (verdict === 'failure') {
      this.#stop(kind);
      this.#options.onDead(kind);
    } else if (kind === 'startup') {
      this.#stop('startup');
      this.#options.onStarted();
      this.#startLasting();
    }
  }

  #stop(kind: ProbeKind): void {
    this.#running.get(kind)?.();
    this.#running.delete(kind);
  }
}

/** Reason and message of the event about a probe that did not just succeed, in the kubelet's words. */
export function probeWords(kind: ProbeKind, output: string, result: 'failure' | 'warning'): readonly [string, string] {
  const probe = `${kind[0]!.toUpperCase()}${kind.slice(1)} probe`;
  return result === 'warning'
    ? ['ProbeWarning', `${probe} warning: ${output}`]
    : ['Unhealthy', `${probe} failed: ${output}`];
}
