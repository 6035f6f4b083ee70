import { VirtualClock } from '@trimtab/machinery';
import { type AnyEventObject, type AnyStateMachine, createActor } from 'xstate';
import { Chart } from '../statechart/chart.js';

/** What happens to a statechart: an event, or time that passes. */
export type Happening = AnyEventObject | { readonly ms: number };

/**
 * Drives a {@link Chart} and xstate's own actor of the same machine side by side. Resolves with what each had said and where it
 * stood after every happening: the two must be equal.
 */
export async function sideBySide(
  machine: AnyStateMachine,
  input: unknown,
  happenings: readonly Happening[],
  paths: readonly string[] = [],
): Promise<{ readonly chart: readonly unknown[]; readonly actor: readonly unknown[] }> {
  const clock = new VirtualClock();
  const told = { chart: [] as unknown[], actor: [] as unknown[] };
  const chart = new Chart(machine, {
    clock,
    input,
    effect: (effect) => void told.chart.push({ effect }),
    changed: () => void told.chart.push('changed'),
  });
  const actor = createActor(machine, {
    input,
    clock: {
      setTimeout: (fn: () => void, ms: number) => clock.after(ms, fn),
      clearTimeout: (id: unknown) => (id as () => void)?.(),
    },
  });
  actor.on('*', (effect) => void told.actor.push({ effect }));
  actor.subscribe(() => void told.actor.push('changed'));
  const look = () => {
    const snapshot = actor.getSnapshot();
    const at = (path: string) =>
      path.split('.').reduceRight<unknown>((inner, key) => (inner === undefined ? key : { [key]: inner }), undefined);
    told.actor.push({ context: snapshot.context, in: paths.filter((path) => snapshot.matches(at(path))) });
    told.chart.push({ context: chart.context, in: paths.filter((path) => chart.is(path)) });
  };
  look();
  chart.start();
  actor.start();
  look();
  for (const happening of happenings) {
    if ('ms' in happening && !('type' in happening)) await clock.advance(happening.ms as number);
    else {
      chart.send(happening as never);
      actor.send(happening as never);
    }
    look();
  }
  chart.stop();
  return told;
}

/** The paths of all states of a machine. */
export function pathsOf(machine: AnyStateMachine): readonly string[] {
  const walk = (node: AnyStateMachine['root']): readonly string[] => [
    ...(node.path.length > 0 ? [node.path.join('.')] : []),
    ...Object.values(node.states as Readonly<Record<string, AnyStateMachine['root']>>).flatMap(walk),
  ];
  return walk(machine.root);
}
