import { type Clock, type StatusError, tooManyRequests } from '@trimtab/machinery';
import type { ObjectChange } from '../authorization/store-feed.js';
import type { AccessAttributes } from '../contracts.js';
import { figures } from '../tally/figures.js';
import { Tally } from '../tally/tally.js';
import { mandatoryFlowControl } from './bootstrap-objects.js';
import { nominalSeats, type Share, shareOut } from './borrowing.js';
import { Level, Rejected, type Seat } from './level.js';
import { distinguisherOf, inPrecedence, schemaMatches } from './matching.js';
import { type FlowSchema, flowGroup, type PriorityLevel } from './types.js';

export const flowResources = [`${flowGroup}/flowschemas`, `${flowGroup}/prioritylevelconfigurations`];

export interface FlowControlOptions {
  readonly clock: Clock;
  /** Seats of all limited levels together; Kubernetes: 600. */
  readonly seats: number;
}

/** One request that may execute; `release` must follow, once. */
export interface Ticket {
  /** For the headers `X-Kubernetes-Pf-*`. */
  readonly schemaUid: string;
  readonly levelUid: string;
  release(): void;
}

/** How often seats are shared out anew while somebody wants more than there are. */
const shareEveryMs = 1000;

/**
 * API priority and fairness: every request belongs to the flow schema that matches it first, and executes in that schema's
 * priority level, in turn with the other flows of the level. Levels that are not busy lend their seats. Fed with the stored
 * FlowSchemas and PriorityLevelConfigurations; the mandatory ones hold where they are missing. Nothing runs while idle.
 */
export class FlowControl {
  readonly tally = new Tally();
  readonly #schemaObjects = new Map<string, FlowSchema>();
  readonly #levelObjects = new Map<string, PriorityLevel>();
  #schemas: readonly FlowSchema[] = [];
  #levels = new Map<string, Level>();
  #stale = true;
  #sharedAt = Number.NEGATIVE_INFINITY;
  #cancelSharing: (() => void) | undefined;

  constructor(readonly options: FlowControlOptions) {}

  apply({ resource, key, object }: ObjectChange): void {
    const name = key.slice(key.indexOf('/') + 1);
    const isSchema = resource === flowResources[0];
    if (!isSchema && resource !== flowResources[1]) return;
    const map: Map<string, object> = isSchema ? this.#schemaObjects : this.#levelObjects;
    if (object) map.set(name, object);
    else map.delete(name);
    this.#stale = true;
  }

  /**
   * A ticket now, or one to wait for at most `maxWaitMs`. Throws or rejects with a 429 that names no reason but to try again
   * later. `signal` is asked for only by requests that have to wait.
   */
  admit(
    asked: Pick<AccessAttributes, 'user' | 'verb' | 'resource' | 'path'>,
    seats: number,
    maxWaitMs: number,
    signal: () => AbortSignal | undefined = () => undefined,
  ): Ticket | Promise<Ticket> {
    if (this.#stale) this.#rebuild();
    const schema = this.#schemas.find((s) => schemaMatches(s, asked)) ?? this.#schemas.at(-1)!;
    const level = this.#levelOf(schema);
    const flow = `${schema.metadata.name}\0${distinguisherOf(schema, asked)}`;
    const labels = [level.config.metadata.name ?? '', schema.metadata.name ?? ''];
    const ticket = (seat: Seat): Ticket => {
      this.tally.count(figures.dispatched, labels);
      return {
        schemaUid: schema.metadata.uid ?? '',
        levelUid: level.config.metadata.uid ?? '',
        release: seat.release,
      };
    };
    const refuse = (error: unknown): never => {
      if (error instanceof Rejected) this.tally.count(figures.rejected, [...labels, error.reason]);
      throw refusalOf(error);
    };
    try {
      const seat = level.take(flow, seats, maxWaitMs, signal);
      if (!(seat instanceof Promise)) return ticket(seat);
      const since = this.options.clock.now();
      const waited = (execute: boolean) =>
        this.tally.observe(figures.waited, [...labels, String(execute)], (this.options.clock.now() - since) / 1000);
      return seat.then(
        (given) => {
          waited(true);
          return ticket(given);
        },
        (error) => {
          waited(false);
          return refuse(error);
        },
      );
    } catch (error) {
      return refuse(error);
    }
  }

  /** What there is to measure, by level. */
  levels(): ReadonlyMap<string, Level> {
    if (this.#stale) this.#rebuild();
    return this.#levels;
  }

  close(): void {
    this.#cancelSharing?.();
  }

  #levelOf({ spec }: FlowSchema): Level {
    return this.#levels.get(spec?.priorityLevelConfiguration?.name ?? '') ?? this.#levels.get('catch-all')!;
  }

  /** Levels whose configuration has not changed go on with who waits in them. */
  #rebuild(): void {
    this.#stale = false;
    const schemas = new Map(this.#schemaObjects);
    const levels = new Map(this.#levelObjects);
    for (const object of mandatoryFlowControl) {
      const map: Map<string, object> = object.kind === 'FlowSchema' ? schemas : levels;
      if (!map.has(object.metadata.name!)) map.set(object.metadata.name!, object);
    }
    this.#schemas = inPrecedence(schemas.values()).filter((s) =>
      levels.has(s.spec?.priorityLevelConfiguration?.name ?? ''),
    );
    const all = [...levels];
    const seats = nominalSeats(
      this.options.seats,
      all.map(([, level]) => sharesOf(level)),
    );
    this.#levels = new Map(
      all.map(([name, config], i) => {
        const old = this.#levels.get(name);
        const kept = old && old.nominal === seats[i] && JSON.stringify(old.config.spec) === JSON.stringify(config.spec);
        return [name, kept ? old : new Level(config, seats[i]!, this.options.clock, () => this.#press())];
      }),
    );
  }

  /** Somebody has to wait: seats are shared out, now or as soon as that was done long enough ago. */
  #press(): void {
    if (this.#cancelSharing) return;
    const due = this.#sharedAt + shareEveryMs - this.options.clock.now();
    this.#cancelSharing = this.options.clock.after(Math.max(0, due), () => {
      this.#cancelSharing = undefined;
      this.#share();
    });
  }

  #share(): void {
    this.#sharedAt = this.options.clock.now();
    const limited = [...this.#levels.values()].filter((level) => !level.isExempt);
    const shares = limited.map(shareOf);
    shareOut(shares).forEach((seats, i) => {
      limited[i]!.setLimit(seats);
    });
    // What was lent goes back when it is needed or when nobody borrows any more.
    if (limited.some((level, i) => level.waiting > 0 || level.limit > shares[i]!.nominal)) this.#press();
  }
}

const sharesOf = ({ spec }: PriorityLevel): number =>
  spec?.type === 'Exempt'
    ? (spec.exempt?.nominalConcurrencyShares ?? 0)
    : (spec?.limited?.nominalConcurrencyShares ?? 30);

function shareOf(level: Level): Share {
  const { lendablePercent = 0, borrowingLimitPercent } = level.config.spec?.limited ?? {};
  const { nominal } = level;
  return {
    nominal,
    min: nominal - Math.round((nominal * lendablePercent) / 100),
    max:
      borrowingLimitPercent === undefined
        ? Number.MAX_SAFE_INTEGER
        : nominal + Math.round((nominal * borrowingLimitPercent) / 100),
    demand: level.takeDemand(),
  };
}

function refusalOf(error: unknown): unknown {
  if (!(error instanceof Rejected)) return error;
  const answer: StatusError = tooManyRequests('too many requests, please try again later', 1);
  answer.cause = error;
  return answer;
}
