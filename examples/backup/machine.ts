import { apply, type Observed, owned, remove, type View } from '@trimtab/framework';
import { type Pod, Pods } from '@trimtab/machinery';
import { assign, setup } from 'xstate';
import { type Backup, Backups } from './kind.js';
import { podFor } from './pod.js';

const MOST_ATTEMPTS = 6;

/** Entry actions run on the event that led in, or, at first, on the machine's input. */
const viewOf = (event: object): View<Backup> => {
  const { view, input } = event as Partial<Observed<Backup>> & { readonly input?: { readonly view: View<Backup> } };
  return view ?? input!.view;
};
const pods = (event: object): readonly Pod[] => viewOf(event).owned(Pods);
const phase = (event: object) => pods(event)[0]?.status?.phase;

/**
 * One backup: a pod that must be running within ten minutes and done within ten more, tried again with growing pauses, six
 * times at most. What the object is in stands in its conditions, by the tags.
 */
export const backupMachine = setup({
  types: {
    context: {} as { readonly attempt: number },
    events: {} as Observed<Backup>,
    input: {} as { readonly view: View<Backup> },
  },
  actions: {
    ensurePod: ({ event }) => apply(Pods, owned(Backups, viewOf(event).object!, podFor(viewOf(event).object!.spec))),
    sweep: ({ event }) => pods(event).map((pod) => remove(Pods, pod)),
    bump: assign({ attempt: ({ context }) => context.attempt + 1 }),
  },
  guards: {
    running: ({ event }) => phase(event) === 'Running',
    done: ({ event }) => phase(event) === 'Succeeded',
    failed: ({ event }) => phase(event) === 'Failed',
    gone: ({ event }) => pods(event).length === 0,
    exhausted: ({ context }) => context.attempt >= MOST_ATTEMPTS,
  },
  delays: { stuck: 600_000, retry: ({ context }) => Math.min(1_000 * 2 ** context.attempt, 300_000) },
}).createMachine({
  id: 'backup',
  context: { attempt: 0 },
  initial: 'starting',
  states: {
    starting: {
      tags: 'Progressing',
      description: 'Waiting for the pod to run',
      entry: 'ensurePod',
      after: { stuck: 'sweeping' },
      on: {
        OBSERVED: [
          { guard: 'done', target: 'succeeded' },
          { guard: 'failed', target: 'sweeping' },
          { guard: 'running', target: 'running' },
        ],
      },
    },
    running: {
      tags: 'Progressing',
      description: 'The pod is at work',
      after: { stuck: 'sweeping' },
      on: {
        OBSERVED: [
          { guard: 'done', target: 'succeeded' },
          { guard: 'failed', target: 'sweeping' },
          { guard: 'gone', target: 'waiting' },
        ],
      },
    },
    sweeping: {
      tags: 'Backoff',
      description: 'Taking a pod away that came to nothing',
      entry: 'sweep',
      on: { OBSERVED: { guard: 'gone', target: 'waiting' } },
    },
    waiting: {
      tags: 'Backoff',
      description: 'Waiting before the next attempt',
      entry: 'bump',
      always: { guard: 'exhausted', target: 'failed' },
      after: { retry: 'starting' },
    },
    failed: { tags: 'Stalled', description: 'Given up' },
    succeeded: { tags: 'Ready', description: 'The backup is made' },
  },
});
