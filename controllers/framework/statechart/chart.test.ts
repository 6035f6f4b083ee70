import { VirtualClock } from '@trimtab/machinery';
import fc from 'fast-check';
import { assign, createMachine, emit, enqueueActions, raise, setup } from 'xstate';
import { type Happening, pathsOf, sideBySide } from '../testing/side-by-side.js';
import { Chart } from './chart.js';

/** Everything a chart may use: regions, final states, guards, delays, raised events, transitions that re-enter, wildcards. */
const everything = setup({
  types: {} as {
    context: { n: number; log: readonly string[] };
    events: { type: string; by?: number };
    emitted: { type: string; n?: number };
    input: { n: number };
  },
  actions: {
    note: assign({
      log: ({ context, event }, what: string) => [...context.log, `${what} on ${event.type}`],
    }),
    count: assign(({ context, event }) => ({ n: context.n + (event.by ?? 1) })),
    shout: emit(({ context }) => ({ type: 'shouted', n: context.n })),
    often: enqueueActions(({ enqueue, context, check }) => {
      enqueue.assign({ n: context.n + 10 });
      if (check('even' as never)) enqueue('shout' as never);
      enqueue.emit({ type: 'often' });
      enqueue.raise({ type: 'inner' });
    }),
  },
  guards: {
    even: ({ context }) => context.n % 2 === 0,
    atLeast: ({ context }, least: number) => context.n >= least,
  },
  delays: { short: ({ context }) => 10 + (context.n % 5) },
}).createMachine({
  id: 'everything',
  context: ({ input }) => ({ n: input.n, log: [] }),
  initial: 'deciding',
  entry: { type: 'note', params: 'root in' },
  states: {
    deciding: { always: [{ guard: 'even', target: 'both' }, { target: 'alone' }] },
    both: {
      type: 'parallel',
      entry: { type: 'note', params: 'both in' },
      exit: { type: 'note', params: 'both out' },
      onDone: { target: 'alone', actions: 'shout' },
      states: {
        left: {
          initial: 'a',
          states: {
            a: { entry: 'shout', on: { go: 'b', jump: { target: '#everything.both.right.y' } }, after: { short: 'b' } },
            b: { exit: { type: 'note', params: 'b out' }, on: { go: 'end', back: 'a' } },
            end: { type: 'final', entry: { type: 'note', params: 'left end' } },
          },
        },
        right: {
          initial: 'x',
          states: {
            x: { on: { go: { guard: 'even', target: 'y' }, inner: { actions: 'count' } } },
            y: { on: { go: 'end', self: { target: 'y', reenter: true, actions: 'count' } }, entry: 'often' },
            end: { type: 'final' },
          },
        },
      },
      on: { out: 'alone', again: { target: 'both', reenter: true }, inside: '.left.b' },
    },
    alone: {
      initial: 'one',
      entry: { type: 'note', params: 'alone in' },
      exit: { type: 'note', params: 'alone out' },
      states: {
        one: {
          on: { go: 'two', count: { actions: ['count', 'shout'] }, forbidden: undefined },
          after: { 25: { target: 'two', actions: 'count' } },
        },
        two: { entry: raise({ type: 'inner' }), on: { inner: { actions: 'shout' }, go: 'deep' } },
        deep: {
          initial: 'inside',
          states: { inside: { on: { go: '#everything.deciding', last: '#everything.over' } } },
          on: { '*': { actions: { type: 'note', params: 'wild' } } },
        },
      },
      on: { restart: { target: '.one', actions: 'count' }, forbidden: 'deciding' },
      after: { 100: 'deciding' },
    },
    over: { type: 'final', entry: 'shout', exit: { type: 'note', params: 'over out' } },
  },
  on: {
    count: { actions: 'count' },
    enough: { guard: { type: 'atLeast', params: 30 }, target: '.over' },
    reset: { target: '.deciding', actions: assign({ n: 0 }) },
  },
});

const NAMES = 'go back jump self out again inside count forbidden restart last enough reset inner unknown'.split(' ');
const happenings: fc.Arbitrary<readonly Happening[]> = fc.array(
  fc.oneof(
    fc.record({ type: fc.constantFrom(...NAMES), by: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ ms: fc.constantFrom(5, 12, 30, 110) }),
  ),
  { maxLength: 25 },
);

test('means what xstate means, whatever happens to it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 3 }), happenings, async (n, list) => {
      const { chart, actor } = await sideBySide(everything, { n }, list, pathsOf(everything));
      expect(chart).toEqual(actor);
    }),
    { numRuns: 300 },
  );
});

test('what its effects send comes after the event they are of, in order', () => {
  const machine = createMachine({
    context: { seen: [] as readonly string[] },
    on: {
      first: { actions: [emit({ type: 'one' }), emit({ type: 'two' }), see('first')] },
      second: { actions: see('second') },
      third: { actions: see('third') },
    },
  });
  const chart: Chart<typeof machine> = new Chart(machine, {
    clock: new VirtualClock(),
    input: undefined,
    effect: ({ type }: { readonly type: string }) => chart.send({ type: type === 'one' ? 'second' : 'third' }),
    changed: () => {},
  });
  chart.send({ type: 'first' });
  expect(chart.context.seen).toEqual([]);
  chart.start();
  expect(chart.context.seen).toEqual(['first', 'second', 'third']);
  chart.stop();
  chart.send({ type: 'first' });
  expect(chart.context.seen).toHaveLength(3);
});

test('an effect that throws does not leave it deaf', () => {
  const machine = createMachine({ context: { n: 0 }, on: { go: { actions: [emit({ type: 'bad' }), count] } } });
  let fails = true;
  const chart = new Chart(machine, {
    clock: new VirtualClock(),
    input: undefined,
    effect: () => {
      if (fails) throw new Error('no');
    },
    changed: () => {},
  });
  chart.start();
  expect(() => chart.send({ type: 'go' })).toThrow('no');
  fails = false;
  chart.send({ type: 'go' });
  expect(chart.context).toEqual({ n: 2 });
});

test('a machine with actors or history is refused, by name', () => {
  const machine = createMachine({ id: 'old', initial: 'a', states: { a: { type: 'history' } } } as never);
  const options = { clock: new VirtualClock(), input: undefined, effect: () => {}, changed: () => {} };
  expect(() => new Chart(machine, options as never)).toThrow('machine old has history');
});

function see(what: string) {
  return assign({ seen: ({ context }: { context: { seen: readonly string[] } }) => [...context.seen, what] }) as never;
}

const count = assign({ n: ({ context }: { context: { n: number } }) => context.n + 1 }) as never;
