import type { Clock } from '@trimtab/machinery';
import type { AnyEventObject, AnyStateMachine, ContextFrom, EmittedFrom, EventFromLogic, InputFrom } from 'xstate';
import { enter, type Standing, step, type Wish } from './evaluate.js';
import { Steps } from './steps.js';

export interface ChartOptions<M extends AnyStateMachine> {
  readonly clock: Clock;
  readonly input: InputFrom<M>;
  /** Carries out what the machine emits. */
  readonly effect: (effect: EmittedFrom<M>) => void;
  /** After every event, once its effects have been handed out. */
  readonly changed: () => void;
}

/**
 * A statechart that lives: what an xstate actor is, for those who have a hundred thousand of them. It means the same (a test
 * drives both at random), holds its place and its context and little else, and works out the ways through the machine once for
 * all. Machines with history, invoked actors or outputs are refused.
 */
export class Chart<M extends AnyStateMachine> {
  readonly #steps: Steps;
  readonly #options: Omit<ChartOptions<M>, 'input'>;
  #standing: Standing;
  /** What is to be done when it starts. */
  #first: readonly Wish[];
  #events: AnyEventObject[] = [];
  #timers: Map<string, () => void> | undefined;
  #state: 'new' | 'idle' | 'busy' | 'stopped' = 'new';

  constructor(machine: M, { input, ...options }: ChartOptions<M>) {
    const steps = Steps.of(machine);
    if (!steps) throw new Error(`machine ${machine.id} has history, actors or outputs: it needs an xstate actor`);
    this.#steps = steps;
    this.#options = options;
    const wishes: Wish[] = [];
    this.#standing = enter(steps, input, wishes);
    this.#first = wishes;
  }

  get context(): ContextFrom<M> {
    return this.#standing.context as ContextFrom<M>;
  }

  /** Whether a state is active, by its path: `running`, `running.up`. */
  is(path: string): boolean {
    return this.#standing.configuration.paths.has(path);
  }

  /** Does what entering the initial states wants done; events sent before wait for it. */
  start(): void {
    if (this.#state !== 'new') return;
    this.#state = 'busy';
    const first = this.#first;
    this.#first = [];
    this.#guarded(() => this.#finish(first));
    this.#drain();
  }

  /** Events sent while another is worked on, by its effects, come after it. */
  send(event: EventFromLogic<M>): void {
    if (this.#state === 'stopped') return;
    this.#events.push(event as AnyEventObject);
    if (this.#state === 'idle') this.#drain();
  }

  /** Nothing happens any more. */
  stop(): void {
    this.#state = 'stopped';
    this.#events = [];
    for (const cancel of this.#timers?.values() ?? []) cancel();
    this.#timers = undefined;
  }

  #drain(): void {
    while (this.#events.length > 0 && !this.#isStopped()) {
      const event = this.#events.shift()!;
      this.#state = 'busy';
      this.#guarded(() => {
        const wishes: Wish[] = [];
        this.#standing = step(this.#steps, this.#standing, event, wishes);
        this.#finish(wishes);
      });
    }
  }

  #isStopped(): boolean {
    return this.#state === 'stopped';
  }

  /** Whoever throws has had its turn: the next event finds a chart that listens. */
  #guarded(work: () => void): void {
    try {
      work();
    } finally {
      if (!this.#isStopped()) this.#state = 'idle';
    }
  }

  #finish(wishes: readonly Wish[]): void {
    for (const wish of wishes) this.#fulfil(wish);
    this.#options.changed();
    if (this.#standing.ended) this.stop();
  }

  #fulfil(wish: Wish): void {
    switch (wish.type) {
      case 'emit':
        this.#options.effect(wish.event as EmittedFrom<M>);
        return;
      case 'run':
        wish.run?.();
        return;
      case 'arm':
        this.#disarm(wish.id);
        if (!this.#isStopped()) this.#arm(wish.id, wish.ms, wish.event);
        return;
      case 'disarm':
        this.#disarm(wish.id);
        return;
    }
  }

  #arm(id: string, ms: number, event: AnyEventObject): void {
    this.#timers ??= new Map();
    this.#timers.set(
      id,
      this.#options.clock.after(ms, () => {
        this.#timers?.delete(id);
        this.send(event as EventFromLogic<M>);
      }),
    );
  }

  #disarm(id: string): void {
    this.#timers?.get(id)?.();
    this.#timers?.delete(id);
  }
}
