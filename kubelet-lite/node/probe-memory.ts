import type { ProbeOutcome } from '../probes/prober.js';

export interface ProbeAnswer extends ProbeOutcome {
  readonly kind: 'Liveness' | 'Readiness' | 'Startup';
  readonly at: number;
}

const MAX_OUTPUT = 1_024;

/** The last answer to each probe of each running container, until it is taken. */
export class ProbeMemory {
  readonly #answers = new Map<string, Map<ProbeAnswer['kind'], ProbeAnswer>>();

  note(containerId: string, answer: ProbeAnswer): void {
    const kinds = this.#answers.get(containerId) ?? new Map<ProbeAnswer['kind'], ProbeAnswer>();
    kinds.set(answer.kind, { ...answer, output: answer.output.slice(0, MAX_OUTPUT) });
    this.#answers.set(containerId, kinds);
  }

  of(containerId: string): readonly ProbeAnswer[] {
    return [...(this.#answers.get(containerId)?.values() ?? [])];
  }

  /** The container has ended; nobody probes it any more. */
  take(containerId: string): readonly ProbeAnswer[] {
    const answers = this.of(containerId);
    this.#answers.delete(containerId);
    return answers;
  }
}
