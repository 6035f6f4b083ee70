import { type ApiCall, type Client, Informers, isWrite } from '@trimtab/client';
import {
  type ControllerDefinition,
  type ControllerMetrics,
  neededFor,
  permissionsOf,
  type Running,
  refusedBy,
  runControllers,
  whereThrown,
} from '@trimtab/framework';
import {
  type Clock,
  joinKey,
  type Logger,
  type Random,
  type ResourceType,
  StatusError,
  seededRandom,
} from '@trimtab/machinery';
import { callText, eventKey, Link, type LinkObserver, reasonOf, resourceOf, WATCH_SECONDS } from './link.js';
import type { Cause, Trace } from './trace.js';

/** What a process's controllers are made with. */
export interface Parts {
  readonly client: Client;
  readonly informers: Informers;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** A loop that is not a declared controller: a garbage collector, a scheduler. Started anew in each life of its process. */
export interface Loop {
  readonly name: string;
  /** What it needs time for happens while the world's time passes; `parts.informers` are started right after. */
  start(parts: Parts): unknown;
}

/** A controller, how to make one from what its process has, or a loop of its own making. */
export type ControllerSource = ControllerDefinition | ((parts: Parts) => ControllerDefinition) | Loop;

const isLoop = (source: ControllerSource): source is Loop => 'start' in source;

export interface ProcessOptions {
  readonly name: string;
  readonly controllers: readonly ControllerSource[];
  readonly client: Client;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly trace: Trace;
  readonly seed: number;
  /** The client for writes whose cause is to be written down; absent: none is. */
  readonly because?: (cause: Cause) => Client;
  /** Kinds are watched by their metadata until more is read of them, as operators do over a network. */
  readonly metadataFirst?: boolean;
  /** Requests without any virtual time passing, after which the process is stopped as a hot loop. */
  readonly burst?: number;
}

/** Far more than any controller needs in one instant; without a limit a loop of promises would hang the test. */
const BURST = 5_000;
const LOOKS_A_SECOND = 500;

/**
 * Controllers as one process: with informers, clock and line to the server of its own, so that it can be killed between
 * any two of its steps, held, and started anew with nothing remembered.
 */
export class Process {
  readonly #options: ProcessOptions;
  #link!: Link;
  #offset = 0;
  #lives = 0;
  #burst = { at: 0, requests: 0 };
  #burstOfLooks = { second: 0, of: new Map<string, number>() };
  #heldTimers: (() => void)[] | undefined;
  #running = false;
  #controllers: Running | undefined;
  #definitions: readonly ControllerDefinition[] = [];
  /** What its controllers are for. */
  kinds: readonly ResourceType[] = [];
  /** Evaluations begun, over all lives. */
  reconciles = 0;
  /** The same, by controller and object. */
  readonly looks = new Map<string, number>();
  /** Requests sent, over all lives; those about events left out. */
  requests = 0;
  /** Writes asked for, refused ones included, over all lives; records of events left out. */
  writes = 0;
  /** One write more ends it. */
  mostWrites = Number.POSITIVE_INFINITY;
  /** What its requests needed to be allowed, over all lives, as `verb group/resource`. */
  readonly used = new Set<string>();
  /** Why it was stopped by itself. */
  hotLoop: string | undefined;
  /** Errors of decisions themselves, as `controller key: message at place`: anything that is not the server's refusal. */
  readonly thrown: string[] = [];

  constructor(options: ProcessOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  get link(): Link {
    return this.#link;
  }

  get isRunning(): boolean {
    return this.#running;
  }

  start(faults: Link['faults'] = {}): void {
    if (this.#running) throw new Error(`${this.name} runs already`);
    this.#running = true;
    this.#lives++;
    const {
      client,
      because,
      trace,
      clock: world,
      logger,
      controllers,
      seed,
      name,
      metadataFirst = false,
    } = this.#options;
    trace.add({ type: 'step', at: world.now(), actor: name, message: `${name} starts` });
    const observer: LinkObserver = {
      requested: (call) => this.#count(call),
      refused: (call, error, cause) =>
        trace.isKept &&
        trace.add({
          type: 'refused',
          at: world.now(),
          actor: name,
          request: callText(call),
          reason: reasonOf(error),
          ...(cause ? { cause } : {}),
        }),
      delivered: (type, event) =>
        trace.isKept &&
        event.type !== 'BOOKMARK' &&
        trace.add({
          type: 'event',
          at: world.now(),
          actor: name,
          what: event.type,
          resource: type.resource,
          key: eventKey(event),
          revision: event.object.metadata.resourceVersion ?? '',
        }),
    };
    const link = new Link(client, observer, because);
    link.faults = faults;
    this.#link = link;
    const clock = this.#clockOf(link);
    const random = seededRandom(seed * 7_919 + this.#lives);
    const informers = new Informers({
      client: link,
      clock,
      random,
      logger,
      watchSeconds: WATCH_SECONDS,
      checked: true,
      metadataFirst,
    });
    const parts: Parts = { client: link, informers, clock, random, logger: this.#loggerOf(link) };
    const definitions = controllers.flatMap((source) =>
      isLoop(source) ? [] : [this.#watched(typeof source === 'function' ? source(parts) : source, link)],
    );
    this.kinds = definitions.map((definition) => definition.for);
    this.#definitions = definitions;
    this.#controllers = runControllers(definitions, { ...parts, metrics: this.#metrics(link) });
    for (const loop of controllers) if (isLoop(loop)) loop.start(parts);
    informers.start();
  }

  /**
   * Decisions that fail by themselves, over and over: what each throws, where and how often in a row. What a server refuses is not
   * among them, nor what was given up for good.
   */
  get failing(): readonly string[] {
    const thrown = new Set(this.thrown);
    return (this.#controllers?.runners ?? []).flatMap(({ definition: { name }, retries }) =>
      [...retries].flatMap(([key, { failures, until, why }]) => {
        const text = [...thrown].findLast((each) => each.startsWith(`${name} ${key}: ${why}`));
        return text === undefined || until === undefined ? [] : [`${text}, ${failures} times in a row`];
      }),
    );
  }

  /** Has every object looked at again, although nothing has changed. */
  lookAgain(): void {
    if (this.#running) for (const runner of this.#controllers?.runners ?? []) runner.enqueueAll();
  }

  /**
   * What its controllers have asked for that the role derived from their declarations does not allow, as `verb
   * group/resource`. Of a process with loops of other making nothing can be said.
   */
  get beyondRole(): readonly string[] {
    return this.#options.controllers.some(isLoop) ? [] : refusedBy(permissionsOf(this.#definitions), this.used);
  }

  /** As `kill -9`: nothing it has begun goes on, nothing is told it any more. */
  crash(): void {
    if (!this.#running) return;
    this.#running = false;
    this.#link.cut();
    this.#heldTimers = undefined;
    const { trace, clock, name } = this.#options;
    trace.add({ type: 'step', at: clock.now(), actor: name, message: `${name} ends` });
  }

  restart(faults: Link['faults'] = {}): void {
    this.crash();
    this.start(faults);
  }

  /** Stops in mid-step (a long pause of its machine) until {@link resume}. */
  pause(): void {
    this.#link.hold();
    this.#heldTimers ??= [];
  }

  resume(): void {
    const due = this.#heldTimers ?? [];
    this.#heldTimers = undefined;
    this.#link.release();
    for (const fn of due) fn();
  }

  /** Its clock from now on shows this much more, or less. */
  jump(ms: number): void {
    this.#offset += ms;
  }

  #clockOf(link: Link): Clock {
    const { clock } = this.#options;
    return {
      now: () => clock.now() + this.#offset,
      after: (ms, fn) =>
        clock.after(ms, () => {
          if (link.isCut) return;
          if (this.#heldTimers) this.#heldTimers.push(() => link.isCut || fn());
          else fn();
        }),
    };
  }

  #count(call: ApiCall): void {
    const now = this.#options.clock.now();
    if (resourceOf(call) !== 'events') {
      this.requests++;
      const needed = neededFor(call);
      if (needed !== undefined) this.used.add(needed);
      if (isWrite(call) && ++this.writes > this.mostWrites)
        this.#stopLoop(`${this.writes} writes, the last ${callText(call)}`);
    }
    if (this.#burst.at !== now) this.#burst = { at: now, requests: 0 };
    if (++this.#burst.requests > (this.#options.burst ?? BURST))
      this.#stopLoop(`${this.#burst.requests} requests in one instant, the last ${callText(call)}`);
  }

  #stopLoop(why: string): void {
    this.hotLoop = why;
    this.crash();
  }

  /** Hundreds of looks at one object in one second are a loop, however little each costs. */
  #lookedAt(what: string): void {
    const second = Math.floor(this.#options.clock.now() / 1000);
    if (this.#burstOfLooks.second !== second) this.#burstOfLooks = { second, of: new Map() };
    const looks = (this.#burstOfLooks.of.get(what) ?? 0) + 1;
    this.#burstOfLooks.of.set(what, looks);
    if (looks <= LOOKS_A_SECOND || !this.#running) return;
    this.#stopLoop(`${looks} reconciles of ${what} within one second`);
  }

  /** The same controller, whose every evaluation is seen. */
  #watched(definition: ControllerDefinition, link: Link): ControllerDefinition {
    const { trace, clock, name: actor } = this.#options;
    const { name, observe } = definition;
    return {
      ...definition,
      observe: (view, client) => {
        const key = joinKey(view.key);
        const what = `${name} ${key}`;
        if (!link.isCut) this.#lookedAt(what);
        // What is dead decides nothing any more: a loop that waits for nobody would go on for ever.
        if (link.isCut) return new Promise(() => {});
        this.reconciles++;
        this.looks.set(what, (this.looks.get(what) ?? 0) + 1);
        const error = view.failure?.error;
        if (error && !(error instanceof StatusError)) this.thrown.push(thrownText(what, error));
        if (trace.isKept)
          trace.add({
            type: 'reconcile',
            at: clock.now(),
            actor,
            controller: name,
            key,
            asOf: view.asOf,
            attempt: view.attempt,
          });
        return observe?.(view, client) ?? Promise.resolve(undefined);
      },
    };
  }

  #metrics(link: Link): ControllerMetrics {
    const { trace, clock, name: actor, because } = this.#options;
    return {
      ...(because
        ? {
            asking: (controller: string, key: string) => {
              link.cause = { controller, key };
            },
          }
        : {}),
      transitioned: (controller, key, from, to) =>
        link.isCut || trace.add({ type: 'transition', at: clock.now(), actor, controller, key, from, to }),
    };
  }

  #loggerOf(link: Link): Logger {
    const { trace, clock, name: actor, logger } = this.#options;
    const say = (message: string, fields: object) =>
      link.isCut ||
      !trace.isKept ||
      trace.add({ type: 'log', at: clock.now(), actor, message: `${message} ${JSON.stringify(fields)}` });
    const made: Logger = {
      debug: () => {},
      info: (fields, message) => logger.info(fields, message),
      warn: (fields, message) => {
        say(message, fields);
        logger.warn(fields, message);
      },
      error: (fields, message) => {
        say(message, fields);
        logger.error(fields, message);
      },
      child: () => made,
    };
    return made;
  }
}

function thrownText(what: string, error: Error): string {
  const where = whereThrown(error);
  return `${what}: ${error.message}${where === undefined ? '' : `, at ${where}`}`;
}
