import type { ContainerState, ContainerStateTerminated as TerminatedState } from '@trimtab/machinery';
import { timestamp } from '@trimtab/machinery';
import { assign, emit, setup } from 'xstate';
import { containerIdOf, runtimeIdOf } from './container-id.js';
import type { ContainerContext, ContainerEffect, ContainerEvent, ContainerInput } from './machine-types.js';
import { goDuration, nextDelay, shouldRestart } from './restart.js';

const waiting = (reason: string, message?: string): ContainerState => ({
  waiting: { reason, ...(message ? { message } : {}) },
});

function restartMessage(c: ContainerContext): string {
  return `back-off ${goDuration(c.delay ?? 0)} restarting failed container=${c.container.name} pod=${c.input.podName}`;
}

const machine = setup({
  types: {} as {
    context: ContainerContext;
    events: ContainerEvent;
    input: ContainerInput;
    emitted: ContainerEffect;
  },
  actions: {
    now: assign({ now: ({ event }) => event.at }),
    recordStart: assign(({ event }) => {
      if (event.type !== 'started') return {};
      const { container } = event;
      const { id, attempt } = container;
      return { running: container, containerID: id, attempt, exitCode: undefined, redefined: false };
    }),
    showRunning: assign(({ context }) => ({
      state: { running: { startedAt: timestamp(context.running?.startedAt ?? context.now) } },
      ...(context.state.terminated ? { last: context.state.terminated } : {}),
      started: !context.container.startupProbe,
      ready: !context.container.readinessProbe && !context.container.startupProbe,
    })),
    recordExit: assign(({ context, event }) => {
      if (event.type !== 'exited') return {};
      return {
        state: { terminated: event.terminated },
        ...(context.state.terminated ? { last: context.state.terminated } : {}),
        exitCode: event.terminated.exitCode,
        ranMs: event.ranMs,
        running: undefined,
        started: false,
        ready: false,
      };
    }),
    recordStartFailure: assign(({ context, event }) => {
      if (event.type !== 'start.failed') return {};
      const at = timestamp(event.at);
      const terminated: TerminatedState = {
        exitCode: 128,
        reason: 'StartError',
        message: event.message,
        startedAt: '1970-01-01T00:00:00Z',
        finishedAt: at,
        containerID: containerIdOf(event.id),
      };
      const again =
        !context.stop?.final &&
        shouldRestart(context.kind, context.input.podPolicy, context.container, terminated.exitCode);
      return {
        attempt: context.attempt + 1,
        containerID: event.id,
        exitCode: terminated.exitCode,
        ranMs: 0,
        ...(again
          ? { state: waiting('RunContainerError', event.message), last: terminated }
          : { state: { terminated }, ...(context.state.terminated ? { last: context.state.terminated } : {}) }),
      };
    }),
    recordStop: assign(({ context, event }) => {
      if (event.type !== 'stop') return {};
      const deadline = event.at + event.graceMs;
      return {
        stop: {
          deadline: Math.min(deadline, context.stop?.deadline ?? Number.POSITIVE_INFINITY),
          final: event.final || (context.stop?.final ?? false),
          hold: event.hold ?? false,
        },
      };
    }),
    countRestart: assign({
      // Another definition has no history of failing.
      delay: ({ context }) =>
        context.redefined ? 0 : nextDelay(context.input.restartBackOff, context.delay, context.ranMs),
      stop: ({ context }) => (context.stop?.final ? context.stop : undefined),
    }),
    showCrashLoop: assign(({ context }) => ({
      state: waiting('CrashLoopBackOff', restartMessage(context)),
      ...(context.state.terminated ? { last: context.state.terminated } : {}),
    })),
    countPull: assign({ pullDelay: ({ context }) => nextPullDelay(context) }),
  },
  guards: {
    ours: ({ context, event }) => event.type === 'exited' && event.id === context.containerID,
    stopsForGood: ({ context }) => context.stop?.final === true,
    stopping: ({ context }) => context.stop !== undefined,
    held: ({ context }) => context.stop?.hold === true,
    again: ({ context }) =>
      context.redefined ||
      shouldRestart(context.kind, context.input.podPolicy, context.container, context.exitCode ?? 0),
    atOnce: ({ context }) => context.delay === 0,
    hasPostStart: ({ context }) => context.container.lifecycle?.postStart !== undefined,
    hasPreStop: ({ context }) => context.container.lifecycle?.preStop !== undefined,
    foundRunning: ({ context }) => context.input.found?.running !== undefined,
    foundTerminated: ({ context }) => context.input.found?.terminated !== undefined,
    pullCanBackOff: ({ context }) => context.state.waiting?.reason === 'ErrImagePull',
  },
  delays: {
    restartDelay: ({ context }) => context.delay ?? 0,
    pullDelay: ({ context }) => context.pullDelay ?? 0,
    remaining: ({ context }) => Math.max((context.stop?.deadline ?? 0) - context.now, 0),
    termWindow: ({ context }) => Math.max((context.stop?.deadline ?? 0) - context.now, MINIMUM_GRACE_MS),
  },
});

/** Kubernetes gives a signalled container at least this long before SIGKILL. */
const MINIMUM_GRACE_MS = 2_000;
/** How long `ErrImagePull` is shown before it reads `ImagePullBackOff`. */
const PULL_ERROR_SHOWN_MS = 1_000;
const CONFIG_RETRY_MS = 5_000;
const KILL_AGAIN_MS = 10_000;

/** A container that died with its pod's sandbox has no exit code of its own; it counts as killed. */
function lostWithSandbox(c: ContainerContext): { last?: TerminatedState } {
  if (c.state.terminated) return { last: c.state.terminated };
  if (!c.running) return {};
  return {
    last: {
      exitCode: 137,
      reason: 'Error',
      startedAt: timestamp(c.running.startedAt),
      finishedAt: timestamp(c.now),
      containerID: containerIdOf(c.running.id),
    },
  };
}

const nextPullDelay = (c: ContainerContext): number =>
  c.pullDelay === undefined ? c.input.pullBackOff.initialMs : Math.min(c.pullDelay * 2, c.input.pullBackOff.maxMs);

/**
 * One container of a pod, from «not its turn yet» to «ended for good». Start order, probes and hooks are told to it as events;
 * `context` always holds exactly what `containerStatuses` should say.
 */
export const containerMachine = machine.createMachine({
  id: 'container',
  context: ({ input }) => ({
    // What never changes stays where it is: each step copies what may.
    input,
    container: input.container,
    kind: input.kind,
    attempt: input.found?.attempt ?? -1,
    state: input.found?.terminated ? { terminated: input.found.terminated } : waiting(input.waitingReason),
    ...(input.found?.last ? { last: input.found.last } : {}),
    image: input.found?.image ?? input.container.image ?? '',
    imageID: input.found?.imageID ?? '',
    ...(input.found?.running
      ? {
          running: input.found.running,
          containerID: input.found.running.id,
          state: { running: { startedAt: timestamp(input.found.running.startedAt) } },
        }
      : {}),
    ...(input.found?.terminated?.containerID ? { containerID: runtimeIdOf(input.found.terminated.containerID) } : {}),
    ...(input.found?.terminated ? { exitCode: input.found.terminated.exitCode } : {}),
    started: input.found?.started ?? false,
    ready: input.found?.ready ?? false,
    ranMs: input.found?.ranMs ?? 0,
    delay: (input.found?.attempt ?? 0) > 0 ? 0 : undefined,
    pullDelay: undefined,
    redefined: false,
    now: 0,
  }),
  initial: 'found',
  states: {
    found: {
      always: [
        { guard: 'foundRunning', target: 'running.up' },
        { guard: 'foundTerminated', target: 'exited' },
        { target: 'blocked' },
      ],
    },
    blocked: {
      on: {
        start: { target: 'pulling', actions: 'now' },
        stop: { target: 'finished', actions: ['now', 'recordStop'] },
      },
    },
    pulling: {
      entry: emit({ type: 'pull' }),
      on: {
        'image.ready': {
          target: 'starting',
          actions: [
            'now',
            assign({ image: ({ event }) => event.image, imageID: ({ event }) => event.imageID, pullDelay: undefined }),
          ],
        },
        'image.failed': {
          target: 'pullFailed',
          actions: ['now', assign({ state: ({ event }) => waiting(event.reason, event.message) })],
        },
        stop: { target: 'finished', actions: ['now', 'recordStop'] },
      },
    },
    pullFailed: {
      entry: 'countPull',
      on: {
        retry: 'pulling',
        stop: { target: 'finished', actions: ['now', 'recordStop'] },
      },
      after: {
        [PULL_ERROR_SHOWN_MS]: { guard: 'pullCanBackOff', target: '.backOff' },
        pullDelay: 'pulling',
      },
      initial: 'shown',
      states: {
        shown: {},
        backOff: {
          entry: [
            assign({
              state: ({ context }) =>
                waiting(
                  'ImagePullBackOff',
                  `Back-off pulling image "${context.container.image}": ErrImagePull: ${context.state.waiting?.message}`,
                ),
            }),
            emit({ type: 'backedOff', what: 'pull' }),
          ],
        },
      },
    },
    starting: {
      entry: emit(({ context }) => ({ type: 'start', attempt: context.attempt + 1 })),
      on: {
        started: [
          { guard: 'stopping', target: 'stopping', actions: ['now', 'recordStart', 'showRunning'] },
          { guard: 'hasPostStart', target: 'running.postStart', actions: ['now', 'recordStart'] },
          { target: 'running.up', actions: ['now', 'recordStart', 'showRunning'] },
        ],
        'config.failed': [
          { guard: 'stopsForGood', target: 'finished', actions: 'now' },
          {
            target: 'misconfigured',
            actions: ['now', assign({ state: ({ event }) => waiting(event.reason, event.message) })],
          },
        ],
        'start.failed': { target: 'exited', actions: ['now', 'recordStartFailure'] },
        stop: { actions: ['now', 'recordStop'] },
      },
    },
    misconfigured: {
      on: {
        retry: { target: 'pulling', actions: 'now' },
        stop: { target: 'finished', actions: ['now', 'recordStop'] },
      },
      after: { [CONFIG_RETRY_MS]: 'pulling' },
    },
    running: {
      on: {
        exited: { guard: 'ours', target: 'exited', actions: ['now', 'recordExit'] },
        stop: { target: 'stopping', actions: ['now', 'recordStop'] },
      },
      initial: 'up',
      states: {
        postStart: {
          entry: emit({ type: 'postStart' }),
          on: {
            'hook.done': { target: 'up', actions: ['now', 'showRunning'] },
            'hook.failed': {
              target: '#container.stopping',
              actions: [
                'now',
                assign({
                  state: ({ event }) => waiting('PostStartHookError', event.message),
                  stop: ({ context, event }) => ({
                    deadline: event.at + event.graceMs,
                    final: context.stop?.final ?? false,
                    hold: false,
                  }),
                }),
              ],
            },
          },
        },
        up: {
          on: {
            'startup.passed': {
              actions: ['now', assign({ started: true, ready: ({ context }) => !context.container.readinessProbe })],
            },
            readiness: { actions: ['now', assign({ ready: ({ event }) => event.ready })] },
          },
        },
      },
    },
    stopping: {
      on: {
        exited: { guard: 'ours', target: 'exited', actions: ['now', 'recordExit'] },
        readiness: { actions: ['now', assign({ ready: ({ event }) => event.ready })] },
        stop: { target: '.signalled', actions: ['now', 'recordStop'] },
      },
      initial: 'preparing',
      states: {
        preparing: { always: [{ guard: 'hasPreStop', target: 'preStop' }, { target: 'turn' }] },
        preStop: {
          entry: emit(({ context }) => ({
            type: 'preStop',
            budgetMs: Math.max((context.stop?.deadline ?? 0) - context.now, 0),
          })),
          on: { 'hook.done': { target: 'turn', actions: 'now' }, 'hook.failed': { target: 'turn', actions: 'now' } },
          after: {
            remaining: { target: 'turn', actions: assign({ now: ({ context }) => context.stop?.deadline ?? 0 }) },
          },
        },
        turn: { always: [{ guard: 'held', target: 'held' }, { target: 'signalled' }] },
        held: {
          on: { release: { target: 'signalled', actions: 'now' } },
          after: {
            remaining: { target: 'signalled', actions: assign({ now: ({ context }) => context.stop?.deadline ?? 0 }) },
          },
        },
        signalled: { entry: emit({ type: 'terminate' }), after: { termWindow: 'killed' } },
        killed: { entry: emit({ type: 'kill' }), after: { [KILL_AGAIN_MS]: { target: 'killed', reenter: true } } },
      },
    },
    exited: {
      always: [
        { guard: 'stopsForGood', target: 'finished' },
        { guard: 'again', target: 'restarting', actions: 'countRestart' },
        { target: 'finished' },
      ],
    },
    restarting: { always: [{ guard: 'atOnce', target: 'pulling' }, { target: 'backOff' }] },
    backOff: {
      entry: ['showCrashLoop', emit({ type: 'backedOff', what: 'restart' })],
      after: { restartDelay: 'pulling' },
      on: { stop: { target: 'finished', actions: ['now', 'recordStop'] } },
    },
    finished: { on: { stop: { actions: ['now', 'recordStop'] } } },
  },
  on: {
    redefined: {
      actions: ['now', assign({ container: ({ event }) => event.container, redefined: true, pullDelay: undefined })],
    },
    reset: {
      target: '.blocked',
      actions: [
        'now',
        assign(({ context }) => ({
          state: waiting(context.input.waitingReason),
          ...lostWithSandbox(context),
          stop: undefined,
          running: undefined,
          started: false,
          ready: false,
          exitCode: undefined,
        })),
      ],
    },
  },
});
