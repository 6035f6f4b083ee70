import type { FlowControl } from '../flowcontrol/flow-control.js';
import type { Level } from '../flowcontrol/level.js';

type Gauges = (
  name: string,
  help: string,
  labels: readonly string[],
  read: () => Iterable<readonly [Record<string, string>, number]>,
) => void;

const ofLevels: readonly (readonly [name: string, help: string, read: (level: Level) => number])[] = [
  ['current_inqueue_requests', 'Requests that wait for a seat.', (level) => level.waiting],
  ['current_executing_requests', 'Requests that have one.', (level) => level.executing],
  ['current_executing_seats', 'Seats taken.', (level) => level.seatsTaken],
  ['current_limit_seats', 'Seats the level may give now.', (level) => level.limit],
  ['nominal_limit_seats', 'Seats that are its own.', (level) => level.nominal],
];

/** What each priority level is like now (apiserver: util/flowcontrol/metrics). */
export function flowGauges(gauges: Gauges, flow: FlowControl): void {
  for (const [name, help, read] of ofLevels)
    gauges(`apiserver_flowcontrol_${name}`, help, ['priority_level'], () =>
      [...flow.levels()].map(([priority_level, level]) => [{ priority_level }, read(level)]),
    );
}
