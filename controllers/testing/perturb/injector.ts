import { type ApiCall, requestVerb, type WatchOptions } from '@trimtab/client';
import {
  conflict,
  expired,
  type ResourceType,
  type StatusError,
  serviceUnavailable,
  timeout,
} from '@trimtab/machinery';
import { callText, type LinkEvent, type LinkFaults, type Past, resourceOf } from '../world/link.js';
import type { Process } from '../world/process.js';
import type { World } from '../world/world.js';
import { isEventFault, isWriteFault, type Plan, planText, type WriteFault } from './plan.js';

const RESTART_AFTER = 1_000;
const HOLD = 5_000;
const DOWN = 3_000;
const REPLICA_OVERLAP = 10_000;
/** More than a second: a status that notes the time then differs from look to look. */
const SLOW = 1_100;
const JUMP = 600_000;

/** Best-effort records; no controller's work depends on them. */
const ASIDE = new Set(['events', 'leases', '']);

const never = (): Promise<never> => new Promise(() => {});
const idOf = (type: ResourceType): string => `${type.group}/${type.resource}`;

interface Hold {
  readonly pending: (() => void)[] | undefined;
}

/** Makes a plan's faults happen to a process, and counts what it asks for and is told. */
export class Injector {
  /** Writes asked for, over all lives; records of events left out. */
  writes = 0;
  /** Watch events told, over all lives. */
  events = 0;
  /** Which write was the first deletion. */
  firstDeletion: number | undefined;
  readonly #world: World;
  readonly #process: Process;
  readonly #replica: () => Process;
  readonly #plan: Plan;
  readonly #slow: boolean;
  readonly #holds = new Map<string, Hold>();
  #past: Past | undefined;
  /** The revision before the last deletion. */
  #undeleted: string | undefined;
  #downUntil = 0;
  #goneNext: string | undefined;

  constructor(world: World, process: Process, replica: () => Process, plan: Plan) {
    this.#world = world;
    this.#process = process;
    this.#replica = replica;
    this.#plan = plan;
    this.#slow = plan.some(({ kind }) => kind === 'slow');
  }

  readonly faults: LinkFaults = {
    write: (call, send) => this.#write(call, send),
    read: (_, send) => this.#answered(send),
    event: (event, deliver) => this.#event(event, deliver),
    open: (type, options) => this.#open(type, options),
    past: () => this.#past,
  };

  async #write(call: ApiCall, send: () => Promise<unknown>): Promise<unknown> {
    if (ASIDE.has(resourceOf(call))) return this.#answered(send);
    const n = ++this.writes;
    const undeleted = this.#undeleted;
    if (requestVerb(call)?.startsWith('delete')) {
      this.firstDeletion ??= n;
      this.#undeleted = String(this.#world.store.revision);
    }
    for (const { kind, at } of this.#plan)
      if (at === n && isWriteFault(kind)) {
        this.#note(`${kind} at write ${n}: ${callText(call)}`);
        return this.#faulty(kind, call, send, undeleted);
      }
    return this.#answered(send);
  }

  /** As the server answers, when it is there. */
  async #answered(send: () => Promise<unknown>): Promise<unknown> {
    if (this.#slow) await this.#sleep(SLOW);
    if (this.#world.clock.now() < this.#downUntil) throw serviceUnavailable('the server is not there');
    return send();
  }

  async #faulty(
    kind: WriteFault,
    call: ApiCall,
    send: () => Promise<unknown>,
    undeleted: string | undefined,
  ): Promise<unknown> {
    switch (kind) {
      case 'crash-before':
        this.#crash();
        return never();
      case 'crash-after':
        await send().catch(() => {});
        this.#crash();
        return never();
      case 'conflict':
        throw conflict(
          { group: '', resource: resourceOf(call) },
          callText(call).split(' ').at(-1)!,
          'the object has been modified',
        );
      case 'refused':
        throw serviceUnavailable('the server is not there');
      case 'lost':
        await send().catch(() => {});
        throw timeout('the answer is lost');
      case 'twice': {
        const answer = await send();
        await send().catch(() => {});
        return answer;
      }
      case 'behind':
      case 'rewind': {
        const now = String(this.#world.store.revision);
        const revision = kind === 'behind' ? now : (undeleted ?? now);
        await send().catch(() => {});
        this.#crash(revision);
        return never();
      }
      case 'replica':
        this.#overlap();
        return send();
      case 'stale-leader':
        this.#process.pause();
        this.#world.clock.after(HOLD, () => this.#process.resume());
        this.#overlap();
        return send();
      case 'server-restart':
        this.#downUntil = this.#world.clock.now() + DOWN;
        this.#process.link.breakStreams(serviceUnavailable('the server went away'));
        return this.#answered(send);
      case 'jump':
        this.#process.jump(JUMP);
        return send();
    }
  }

  #event(event: LinkEvent, deliver: () => void): void {
    const id = idOf(event.type);
    const hold = this.#holds.get(id) ?? this.#holds.get('*');
    if (event.event.type === 'BOOKMARK') {
      if (hold) hold.pending?.push(deliver);
      else deliver();
      return;
    }
    const n = ASIDE.has(event.type.resource) ? 0 : ++this.events;
    const fault = n === 0 ? undefined : this.#plan.find(({ kind, at }) => at === n && isEventFault(kind));
    const holds = fault?.kind === 'lag' || fault?.kind === 'reorder';
    // What is held up already cannot be held up once more.
    if (!fault || (hold && holds) || (fault.kind === 'unobserved' && this.#holds.has(id))) {
      if (hold) hold.pending?.push(deliver);
      else deliver();
      return;
    }
    const { name, namespace } = event.event.object.metadata;
    this.#note(
      `${fault.kind} at event ${n}: ${event.event.type.toLowerCase()} ${event.type.resource} ${namespace}/${name}`,
    );
    switch (fault.kind) {
      case 'lag':
      case 'reorder':
        this.#hold(fault.kind === 'lag' ? '*' : id, [deliver], () => {});
        return;
      case 'unobserved':
        this.#hold(id, undefined, () =>
          this.#process.link.breakStreams(expired('too old resource version'), event.type),
        );
        return;
      case 'duplicate':
        // Behind whatever is held up: within a stream nothing overtakes.
        for (let i = 0; i < 2; i++) {
          if (hold) hold.pending?.push(deliver);
          else deliver();
        }
        return;
      case 'gone-relist':
        this.#goneNext = id;
        event.fail(expired('too old resource version'));
        return;
      default:
        event.fail(expired('too old resource version'));
    }
  }

  #hold(id: string, pending: (() => void)[] | undefined, then: () => void): void {
    const hold: Hold = { pending };
    this.#holds.set(id, hold);
    this.#world.clock.after(HOLD, () => {
      // A process that died meanwhile took its streams, and what was held up in them, with it.
      if (this.#holds.get(id) !== hold) return;
      this.#holds.delete(id);
      for (const deliver of pending ?? []) deliver();
      then();
    });
  }

  #open(type: ResourceType, { sendInitialEvents }: WatchOptions): StatusError | undefined {
    if (this.#world.clock.now() < this.#downUntil) return serviceUnavailable('the server is not there');
    if (!sendInitialEvents || this.#goneNext !== idOf(type)) return undefined;
    this.#goneNext = undefined;
    return expired('too old resource version');
  }

  #crash(seesAsOf?: string): void {
    this.#process.crash();
    this.#holds.clear();
    this.#world.clock.after(RESTART_AFTER, () => {
      if (this.#process.isRunning) return;
      if (seesAsOf !== undefined) this.#showPast(seesAsOf);
      this.#process.start(this.faults);
    });
  }

  #showPast(revision: string): void {
    this.#past = {
      revision,
      until: new Promise((resolve) => {
        this.#world.clock.after(HOLD, () => {
          this.#past = undefined;
          resolve();
        });
      }),
    };
  }

  #overlap(): void {
    const other = this.#replica();
    other.start();
    this.#world.clock.after(REPLICA_OVERLAP, () => other.crash());
  }

  #note(message: string): void {
    this.#world.trace.add({ type: 'fault', at: this.#world.clock.now(), actor: planText(this.#plan), message });
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#world.clock.after(ms, resolve);
    });
  }
}
