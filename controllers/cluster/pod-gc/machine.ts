import { concurrently, remove, type View } from '@trimtab/framework';
import { joinKey, type Pod, Pods } from '@trimtab/machinery';
import { setup } from 'xstate';
import { failAndRemove } from './disrupted.js';
import { ENDED, excess, stuckBecause } from './facts.js';

interface Context {
  readonly pod: Pod | undefined;
  readonly stuck: ReturnType<typeof stuckBecause>;
  readonly together: boolean;
  readonly excess: readonly Pod[];
  readonly now: number;
}

/** So many at a time; the rest follows when these are gone. */
const BATCH = 500;

/** Which pods nobody else will take away (kubernetes: pkg/controller/podgc); those of nodes that are gone are the node's. */
export const podGcMachine = (threshold: number) =>
  setup({
    types: { context: {} as Context, input: {} as { readonly view: View<Pod> } },
    guards: {
      crowded: ({ context }) => context.excess.length > 0,
      together: ({ context }) => context.together,
      gone: ({ context }) => context.pod === undefined,
      unscheduled: ({ context }) => context.stuck === 'unscheduled',
      outOfService: ({ context }) => context.stuck === 'outOfService',
    },
    actions: {
      trim: ({ context }) =>
        concurrently(context.excess.slice(0, BATCH).map((pod) => remove(Pods, pod, { gracePeriodSeconds: 0 }))),
      remove: ({ context }) => [remove(Pods, context.pod!, { gracePeriodSeconds: 0 })],
      fail: ({ context: { pod, now } }) => failAndRemove(pod!, 'PodGC: node is out of service', now),
    },
  }).createMachine({
    id: 'podgc',
    context: ({ input: { view } }) => {
      const together = joinKey(view.key) === joinKey(ENDED);
      return {
        pod: view.object,
        stuck: stuckBecause(view),
        together,
        excess: together ? excess(view, threshold) : [],
        now: view.now,
      };
    },
    initial: 'deciding',
    states: {
      deciding: {
        always: [
          { guard: 'crowded', target: 'trimming' },
          { guard: 'together', target: 'spacious' },
          { guard: 'gone', target: 'gone' },
          { guard: 'unscheduled', target: 'removing' },
          { guard: 'outOfService', target: 'failing' },
          { target: 'left' },
        ],
      },
      trimming: { entry: 'trim' },
      spacious: {},
      gone: {},
      removing: { entry: 'remove' },
      failing: { entry: 'fail' },
      left: {},
    },
  });
