import { assign, emit, enqueueActions, setup } from 'xstate';
import {
  allStopped,
  type ContainerFacts,
  type FactsByName,
  hasRunItsCourse,
  isInitialized,
  nextToStart,
  type PlannedContainer,
  sidecarToRelease,
} from './plan.js';

/** What a pod's statechart asks of the shell. */
export type PodEffect =
  | { readonly type: 'mountVolumes' }
  | { readonly type: 'runSandbox' }
  | { readonly type: 'startContainer'; readonly name: string }
  | { readonly type: 'stopContainer'; readonly name: string; readonly graceMs: number; readonly hold: boolean }
  | { readonly type: 'releaseContainer'; readonly name: string }
  /** The sandbox is dead: forget it, and put every container back to the start of its life. */
  | { readonly type: 'rebuild' }
  /** Put every container back to the start of its life, in the sandbox that is there. */
  | { readonly type: 'restartAll' }
  /** Remove sandbox, network and volumes; everything in the pod has stopped. */
  | { readonly type: 'cleanUp' }
  /** Report the terminal status and, where the API asked for deletion, delete the object with grace 0. */
  | { readonly type: 'finish'; readonly delete: boolean }
  | { readonly type: 'gone' };

/** Why a pod ends in `Failed` whatever its containers did. */
export interface Verdict {
  readonly reason: string;
  readonly message: string;
}

export type PodEvent =
  | { readonly type: 'volumes.ready' }
  | { readonly type: 'volumes.failed' }
  /** Something a failed step waits for has changed. */
  | { readonly type: 'retry' }
  | { readonly type: 'sandbox.ready' }
  | { readonly type: 'sandbox.failed' }
  | { readonly type: 'sandbox.died' }
  | { readonly type: 'rebuilt' }
  /** A container has ended so that all are to begin anew. */
  | { readonly type: 'restart.all' }
  | { readonly type: 'restarted' }
  | { readonly type: 'planned'; readonly plan: readonly PlannedContainer[] }
  | { readonly type: 'container.changed'; readonly name: string; readonly facts: ContainerFacts }
  | { readonly type: 'stop'; readonly graceMs: number; readonly delete: boolean; readonly verdict?: Verdict }
  /** The API object is gone already: end everything, there is nothing left to delete. */
  | { readonly type: 'removed'; readonly graceMs: number }
  | { readonly type: 'cleaned' }
  | { readonly type: 'cleanUp.failed' };

export interface PodInput {
  readonly plan: readonly PlannedContainer[];
  /** Containers found running or ended, for a pod that is adopted. */
  readonly facts: FactsByName;
  readonly sandboxFound: boolean;
  /** The API object says Succeeded or Failed already: only clean up. */
  readonly terminal: boolean;
  /** Refused at the door: nothing of it is started. */
  readonly refused?: Verdict;
  /** Deletion was asked for before this kubelet saw the pod: only end it. */
  readonly ending?: { readonly graceMs: number };
}

export interface PodContext extends PodInput {
  readonly graceMs: number;
  readonly deleting: boolean;
  readonly removed: boolean;
  readonly verdict?: Verdict;
  readonly sandboxReady: boolean;
  readonly everInitialized: boolean;
  readonly attempts: { readonly volumes: number; readonly sandbox: number; readonly cleanUp: number };
}

const backOff = (attempt: number, maxMs: number): number => Math.min(500 * 2 ** Math.min(attempt - 1, 12), maxMs);

const machine = setup({
  types: {} as { context: PodContext; events: PodEvent; input: PodInput; emitted: PodEffect },
  actions: {
    sandboxUp: assign({ sandboxReady: true }),
    sandboxDown: assign({ sandboxReady: false }),
    notInitialized: assign({ everInitialized: false }),
    record: assign({
      facts: ({ context, event }) =>
        event.type === 'container.changed' ? { ...context.facts, [event.name]: event.facts } : context.facts,
    }),
    noteInitialized: assign({
      everInitialized: ({ context }) => context.everInitialized || isInitialized(context.plan, context.facts),
    }),
    replan: assign({ plan: ({ context, event }) => (event.type === 'planned' ? event.plan : context.plan) }),
    advance: enqueueActions(({ context, enqueue }) => {
      for (const name of nextToStart(context.plan, context.facts)) enqueue.emit({ type: 'startContainer', name });
    }),
    recordStop: assign(({ context, event }) => {
      if (event.type === 'removed') return { graceMs: event.graceMs, removed: true };
      if (event.type !== 'stop') return {};
      return {
        graceMs: event.graceMs,
        deleting: context.deleting || event.delete,
        ...(event.verdict && !context.verdict ? { verdict: event.verdict } : {}),
      };
    }),
    stopAll: enqueueActions(({ context, enqueue }) => {
      const { plan, facts, graceMs } = context;
      const mainAlive = plan.some((c) => c.kind !== 'sidecar' && !isDown(facts[c.name]));
      for (const c of plan) {
        if (facts[c.name]?.state === 'finished') continue;
        const hold = c.kind === 'sidecar' && mainAlive;
        enqueue.emit({ type: 'stopContainer', name: c.name, graceMs, hold });
      }
    }),
    releaseSidecar: enqueueActions(({ context, enqueue }) => {
      const name = sidecarToRelease(context.plan, context.facts);
      if (name) enqueue.emit({ type: 'releaseContainer', name });
    }),
    count: assign(({ context }, params: { step: keyof PodContext['attempts']; reset?: boolean }) => ({
      attempts: { ...context.attempts, [params.step]: params.reset ? 0 : context.attempts[params.step] + 1 },
    })),
    finish: emit(({ context }) => ({ type: 'finish', delete: context.deleting && !context.removed })),
  },
  guards: {
    terminal: ({ context }) => context.terminal,
    courseRun: ({ context }) => hasRunItsCourse(context.plan, context.facts),
    allStopped: ({ context }) => allStopped(context.plan, context.facts),
    removed: ({ context }) => context.removed,
    refused: ({ context }) => context.refused !== undefined,
    ending: ({ context }) => context.ending !== undefined,
  },
  delays: {
    volumesDelay: ({ context }) => backOff(context.attempts.volumes, 122_000),
    sandboxDelay: ({ context }) => backOff(context.attempts.sandbox, 60_000),
    cleanUpDelay: ({ context }) => backOff(context.attempts.cleanUp, 10_000),
  },
});

const isDown = (facts: ContainerFacts | undefined): boolean =>
  facts === undefined || facts.state === 'finished' || facts.state === 'blocked';

/**
 * One pod on this node. `terminating` is one way: from `stopping` on nothing starts again. The states are the life a user
 * sees: preparing (volumes beside sandbox and network), active, rebuilding, stopping, cleaning, ended.
 */
export const podMachine = machine.createMachine({
  id: 'pod',
  context: ({ input }) => ({
    ...input,
    graceMs: input.ending?.graceMs ?? 0,
    deleting: input.ending !== undefined,
    removed: false,
    ...(input.refused ? { verdict: input.refused } : {}),
    sandboxReady: input.sandboxFound,
    everInitialized: isInitialized(input.plan, input.facts),
    attempts: { volumes: 0, sandbox: 0, cleanUp: 0 },
  }),
  initial: 'admitted',
  states: {
    admitted: {
      always: [
        { guard: 'refused', target: 'ended' },
        { guard: 'terminal', target: 'cleaning' },
        { guard: 'ending', target: 'stopping' },
        { target: 'preparing' },
      ],
    },
    preparing: {
      type: 'parallel',
      states: {
        volumes: {
          initial: 'mounting',
          states: {
            mounting: {
              entry: emit({ type: 'mountVolumes' }),
              on: {
                'volumes.ready': {
                  target: 'mounted',
                  actions: { type: 'count', params: { step: 'volumes', reset: true } },
                },
                'volumes.failed': { target: 'waiting', actions: { type: 'count', params: { step: 'volumes' } } },
              },
            },
            waiting: { on: { retry: 'mounting' }, after: { volumesDelay: 'mounting' } },
            mounted: { type: 'final' },
          },
        },
        sandbox: {
          initial: 'creating',
          states: {
            creating: {
              entry: emit({ type: 'runSandbox' }),
              on: {
                'sandbox.ready': {
                  target: 'ready',
                  actions: [{ type: 'count', params: { step: 'sandbox', reset: true } }, 'sandboxUp'],
                },
                'sandbox.failed': { target: 'waiting', actions: { type: 'count', params: { step: 'sandbox' } } },
              },
            },
            waiting: { after: { sandboxDelay: 'creating' } },
            ready: { type: 'final' },
          },
        },
      },
      onDone: 'active',
      on: {
        'container.changed': { actions: ['record', 'noteInitialized'] },
        'sandbox.died': 'rebuilding',
        planned: { actions: 'replan' },
        stop: { target: 'stopping', actions: 'recordStop' },
        removed: { target: 'stopping', actions: 'recordStop' },
      },
    },
    active: {
      entry: 'advance',
      always: { guard: 'courseRun', target: 'stopping' },
      on: {
        'container.changed': { actions: ['record', 'noteInitialized', 'advance'] },
        planned: { actions: ['replan', 'advance'] },
        'restart.all': 'restarting',
        'sandbox.died': 'rebuilding',
        stop: { target: 'stopping', actions: 'recordStop' },
        removed: { target: 'stopping', actions: 'recordStop' },
      },
    },
    restarting: {
      entry: ['notInitialized', emit({ type: 'restartAll' })],
      on: {
        'container.changed': { actions: 'record' },
        planned: { actions: 'replan' },
        restarted: 'active',
        'sandbox.died': 'rebuilding',
        stop: { target: 'stopping', actions: 'recordStop' },
        removed: { target: 'stopping', actions: 'recordStop' },
      },
    },
    rebuilding: {
      entry: ['sandboxDown', emit({ type: 'rebuild' })],
      on: {
        'container.changed': { actions: 'record' },
        planned: { actions: 'replan' },
        rebuilt: 'preparing',
        stop: { target: 'stopping', actions: 'recordStop' },
        removed: { target: 'stopping', actions: 'recordStop' },
      },
    },
    stopping: {
      entry: 'stopAll',
      always: { guard: 'allStopped', target: 'cleaning' },
      on: {
        'container.changed': { actions: ['record', 'releaseSidecar'] },
        stop: { actions: ['recordStop', 'stopAll'] },
        removed: { actions: ['recordStop', 'stopAll'] },
      },
    },
    cleaning: {
      initial: 'working',
      on: {
        stop: { actions: 'recordStop' },
        removed: { actions: 'recordStop' },
        cleaned: { target: 'ended', actions: 'sandboxDown' },
      },
      states: {
        working: {
          entry: emit({ type: 'cleanUp' }),
          on: { 'cleanUp.failed': { target: 'waiting', actions: { type: 'count', params: { step: 'cleanUp' } } } },
        },
        waiting: { after: { cleanUpDelay: 'working' } },
      },
    },
    ended: {
      entry: 'finish',
      always: { guard: 'removed', target: 'gone' },
      on: {
        stop: { actions: ['recordStop', 'finish'] },
        removed: 'gone',
      },
    },
    gone: { entry: emit({ type: 'gone' }), type: 'final' },
  },
});
