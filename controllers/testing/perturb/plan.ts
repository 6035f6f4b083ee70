/**
 * What can go wrong between a controller and its cluster, each at the n-th write the controller asks for or the n-th event
 * it is told (Sieve's three patterns, and those it lacks).
 */
export const WRITE_FAULTS = [
  /** Dies before the write is sent, and is started again. */
  'crash-before',
  /** Dies when the write is done, before the answer comes. */
  'crash-after',
  /** The write is refused: somebody else was quicker. */
  'conflict',
  /** The write is refused: the server is not there. */
  'refused',
  /** The write is done, and its answer lost. */
  'lost',
  /** The write is delivered twice; the first answer counts. */
  'twice',
  /** Dies when the write is done, and starts again from a view that does not show it yet. */
  'behind',
  /** Dies when the write is done, and starts again from a view from before the last thing it deleted (time travel). */
  'rewind',
  /** Another replica starts, and both run for ten seconds: an update that overlaps. */
  'replica',
  /**
   * Is held up in the middle of the write while another replica takes over, and comes back not knowing. Only fencing helps
   * against what it then writes, so this one must be asked for.
   */
  'stale-leader',
  /** The server goes away for three seconds, with all watches. */
  'server-restart',
  /** Its clock jumps ten minutes ahead. */
  'jump',
] as const;

export const EVENT_FAULTS = [
  /** From this event on it hears nothing for five seconds, and then everything, in order. */
  'lag',
  /** The same for this event's kind only: other kinds' later events come first. */
  'reorder',
  /** Five seconds of this event's kind are never told; a relist shows what came of them. */
  'unobserved',
  /** The event is told twice. */
  'duplicate',
  /** Instead of the event comes 410, and a relist. */
  'gone',
  /** Instead of the event comes 410, and another one in the middle of the relist. */
  'gone-relist',
] as const;

/** Of the whole run. */
export const RUN_FAULTS = [
  /** Every answer takes 1.1 s. */
  'slow',
] as const;

export type WriteFault = (typeof WRITE_FAULTS)[number];
export type EventFault = (typeof EVENT_FAULTS)[number];
export type RunFault = (typeof RUN_FAULTS)[number];
export type FaultKind = WriteFault | EventFault | RunFault;

export interface Fault {
  readonly kind: FaultKind;
  /** Which write or event, from 1; 0 for the whole run. */
  readonly at: number;
}

/** Faults of one run; none for a clean one. */
export type Plan = readonly Fault[];

const isOf = <K extends string>(kinds: readonly K[], kind: string): kind is K =>
  (kinds as readonly string[]).includes(kind);
export const isWriteFault = (kind: FaultKind): kind is WriteFault => isOf(WRITE_FAULTS, kind);
export const isEventFault = (kind: FaultKind): kind is EventFault => isOf(EVENT_FAULTS, kind);

const place = ({ kind, at }: Fault): string => (at === 0 ? 'run' : `${isWriteFault(kind) ? 'write' : 'event'}${at}`);

/** `crash-after@write7+lost@write2`; `none` for a clean run. */
export const planText = (plan: Plan): string =>
  plan.length === 0 ? 'none' : plan.map((fault) => `${fault.kind}@${place(fault)}`).join('+');

/** The seed and plan of a line as {@link replayLine} prints it. Throws for anything else. */
export function parseReplay(line: string): { readonly seed: number; readonly plan: Plan } {
  const [, seed, plan] = /seed=(\d+) plan=(\S+)/.exec(line) ?? [];
  if (seed === undefined || plan === undefined)
    throw new Error(`"${line}" is no replay line; it looks like: perturb replay: seed=7 plan=crash-after@write3`);
  return { seed: Number(seed), plan: plan === 'none' ? [] : plan.split('+').map(parseFault) };
}

function parseFault(text: string): Fault {
  const [, kind = '', what = '', at] = /^([a-z-]+)@(write|event|run)(\d*)$/.exec(text) ?? [];
  const fits =
    what === 'write' ? isOf(WRITE_FAULTS, kind) : what === 'event' ? isOf(EVENT_FAULTS, kind) : isOf(RUN_FAULTS, kind);
  if (!fits)
    throw new Error(`"${text}" is no fault; there are ${[...WRITE_FAULTS, ...EVENT_FAULTS, ...RUN_FAULTS].join(', ')}`);
  return { kind: kind as FaultKind, at: Number(at || 0) };
}

export const replayLine = (seed: number, plan: Plan): string => `perturb replay: seed=${seed} plan=${planText(plan)}`;
