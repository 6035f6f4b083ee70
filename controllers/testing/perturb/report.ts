import { type TraceEntry, traceLine, type WriteEntry } from '../world/trace.js';
import { canonicalName } from './canonical.js';
import { FAULT_WORDS } from './fault-words.js';
import { type Plan, planText, replayLine } from './plan.js';
import type { Finding, Run } from './run.js';

const BEFORE = 8;
const AFTER = 10;
const LAST = 6;

/** One run that went wrong, and how. */
export class Divergence {
  readonly replay: string;
  readonly #run: Run;
  readonly #clean: Run | undefined;

  constructor(
    readonly seed: number,
    readonly plan: Plan,
    readonly findings: readonly Finding[],
    run: Run,
    clean: Run | undefined,
  ) {
    this.replay = replayLine(seed, plan);
    this.#run = run;
    this.#clean = clean;
  }

  /** For people: what is wrong, the timeline around where it went another way, and the line that plays it again. */
  text({ colour = false }: { readonly colour?: boolean } = {}): string {
    const paint = (code: number, text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
    const wrong = this.findings.map(({ oracle, text }) => `  ${paint(31, oracle.padEnd(14))} ${text}`);
    return [
      this.plan.length === 0 ? 'A clean run, without any fault, goes wrong:' : 'With a fault it ends otherwise:',
      ...this.#faults().map((text) => `  ${paint(33, text)}`),
      ...wrong,
      '',
      ...this.#timeline(paint),
      '',
      paint(1, this.replay),
    ].join('\n');
  }

  /** What was done to it, as the trace has it, and in words. */
  #faults(): readonly string[] {
    const noted = this.#run.entries.flatMap((entry) => (entry.type === 'fault' ? [entry.message] : []));
    return this.plan.map((fault) => {
      const message = noted.find((each) => each.startsWith(fault.kind)) ?? planText([fault]);
      return `${message} (${FAULT_WORDS[fault.kind]})`;
    });
  }

  #timeline(paint: (code: number, text: string) => string): readonly string[] {
    const { entries, start } = this.#run;
    const at = this.#clean ? firstDivergent(entries, this.#clean.entries) : undefined;
    const fault = entries.findIndex(({ type }) => type === 'fault');
    const from = Math.max(0, (at ?? (fault < 0 ? entries.length : fault)) - BEFORE);
    const to = Math.min(entries.length, (at ?? Math.max(fault, from + BEFORE)) + AFTER);
    const line = (entry: TraceEntry, i: number) => {
      const text = `${i === at ? '>>>' : '   '} ${traceLine(entry, start)}`;
      if (i === at) return paint(31, text);
      return entry.type === 'fault' ? paint(33, text) : entry.type === 'write' ? text : paint(2, text);
    };
    const tail = Math.max(to, entries.length - LAST);
    return [
      ...(from > 0 ? [`    … ${from} entries`] : []),
      ...entries.slice(from, to).map((entry, i) => line(entry, from + i)),
      ...(tail > to ? [`    … ${tail - to} entries`] : []),
      ...entries.slice(tail).map((entry, i) => line(entry, tail + i)),
      ...(at === undefined ? [] : ['    >>> the first write that a clean run does not make there']),
    ];
  }
}

/** Where the first write stands that a clean run does not make in its place, after the first fault. */
function firstDivergent(entries: readonly TraceEntry[], clean: readonly TraceEntry[]): number | undefined {
  const fault = entries.findIndex(({ type }) => type === 'fault');
  if (fault < 0) return undefined;
  const story = (list: readonly TraceEntry[]) => list.filter(isWrite).map(stepOf);
  const left = new Map<string, number>();
  for (const step of story(clean)) left.set(step, (left.get(step) ?? 0) + 1);
  for (const step of story(entries.slice(0, fault))) left.set(step, (left.get(step) ?? 0) - 1);
  for (let i = fault; i < entries.length; i++) {
    const entry = entries[i]!;
    if (!isWrite(entry)) continue;
    const step = stepOf(entry);
    const expected = left.get(step) ?? 0;
    if (expected <= 0) return i;
    left.set(step, expected - 1);
  }
  return undefined;
}

const isWrite = (entry: TraceEntry): entry is WriteEntry =>
  entry.type === 'write' && !/\/(events|leases)$/.test(entry.resource);

const stepOf = ({ verb, resource, object }: WriteEntry): string => `${verb} ${resource} ${canonicalName(object)}`;
