import { type Happening, pathsOf, sideBySide } from '@trimtab/framework';
import type { Container } from '@trimtab/machinery';
import fc from 'fast-check';
import { containerMachine } from '../container/machine.js';
import type { ContainerInput } from '../container/machine-types.js';
import { DEFAULT_RESTART_BACK_OFF, KUBERNETES_BACK_OFF } from '../container/restart.js';
import { type PodInput, podMachine } from './machine.js';

/** The machines of pods and containers run on charts of our own: whatever happens, they do what xstate's actors would. */

const time = fc.record({ ms: fc.constantFrom(50, 600, 2_500, 12_000, 400_000) });
const events = (...list: readonly object[]): fc.Arbitrary<Happening> => fc.constantFrom(...(list as Happening[]));

const facts = ['waiting', 'blocked', 'running', 'finished'].flatMap((state) => [
  { state, started: state === 'running' },
  { state, started: false, exitCode: 1 },
]);

const podHappenings = fc.oneof(
  time,
  events(
    ...['volumes.ready', 'volumes.failed', 'retry', 'sandbox.ready', 'sandbox.failed', 'sandbox.died'].map(of),
    ...['restart.all', 'restarted', 'rebuilt', 'cleaned', 'cleanUp.failed'].map(of),
    ...facts.flatMap((f) => ['init', 'side', 'main'].map((name) => ({ type: 'container.changed', name, facts: f }))),
    { type: 'stop', graceMs: 1_000, delete: true },
    { type: 'stop', graceMs: 500, delete: false, verdict: { reason: 'Evicted', message: 'too much' } },
    { type: 'removed', graceMs: 0 },
  ),
);

const podInputs: fc.Arbitrary<PodInput> = fc.record(
  {
    plan: fc.constant([
      { name: 'init', kind: 'init' },
      { name: 'side', kind: 'sidecar' },
      { name: 'main', kind: 'main' },
    ] as unknown as PodInput['plan']),
    facts: fc.constant({}),
    sandboxFound: fc.boolean(),
    terminal: fc.boolean(),
    ending: fc.constant({ graceMs: 10 }),
  },
  { requiredKeys: ['plan', 'facts', 'sandboxFound', 'terminal'] },
);

test('a pod', async () => {
  const paths = pathsOf(podMachine);
  await fc.assert(
    fc.asyncProperty(podInputs, fc.array(podHappenings, { maxLength: 25 }), async (input, happenings) => {
      const { chart, actor } = await sideBySide(podMachine, input, happenings, paths);
      expect(chart).toEqual(actor);
    }),
    { numRuns: 150 },
  );
});

const at = 1_000;
const container = (id: string, attempt: number) => ({ id, attempt, startedAt: at, pid: 7 });
const terminated = (exitCode: number) => ({ exitCode, reason: 'Error', startedAt: '', finishedAt: '' });
const containerHappenings = fc.oneof(
  time,
  events(
    ...['start', 'retry', 'release', 'reset', 'hook.done', 'startup.passed'].map((type) => ({ type, at })),
    { type: 'image.ready', at, image: 'i', imageID: 'sha256:1' },
    { type: 'image.failed', at, reason: 'ErrImagePull', message: 'no' },
    { type: 'started', at, container: container('a', 0) },
    { type: 'started', at, container: container('b', 1) },
    { type: 'config.failed', at, reason: 'CreateContainerConfigError', message: 'no' },
    { type: 'start.failed', at, message: 'no', id: 'c' },
    { type: 'hook.failed', at, message: 'no' },
    { type: 'readiness', at, ready: true },
    { type: 'readiness', at, ready: false },
    { type: 'exited', at, id: 'a', terminated: terminated(1), ranMs: 10 },
    { type: 'exited', at, id: 'b', terminated: terminated(0), ranMs: 10 },
    { type: 'stop', at, graceMs: 3_000, final: true },
    { type: 'stop', at, graceMs: 100, final: false },
    { type: 'stop', at, graceMs: 30_000, final: true, hold: true },
    { type: 'redefined', at, container: { name: 'main', image: 'other' } },
  ),
);

const exec = { exec: { command: ['true'] } };
const containers: readonly Container[] = [
  { name: 'main', image: 'i' },
  { name: 'main', image: 'i', lifecycle: { postStart: exec, preStop: exec }, readinessProbe: exec },
];

test('a container', async () => {
  const paths = pathsOf(containerMachine);
  const inputs = fc.record({
    container: fc.constantFrom(...containers),
    kind: fc.constantFrom('main', 'init', 'sidecar'),
    podPolicy: fc.constantFrom('Always', 'OnFailure', 'Never'),
    podName: fc.constant('p'),
    waitingReason: fc.constant('ContainerCreating'),
    restartBackOff: fc.constant(DEFAULT_RESTART_BACK_OFF),
    pullBackOff: fc.constant(KUBERNETES_BACK_OFF),
  }) as unknown as fc.Arbitrary<ContainerInput>;
  await fc.assert(
    fc.asyncProperty(inputs, fc.array(containerHappenings, { maxLength: 30 }), async (input, happenings) => {
      const { chart, actor } = await sideBySide(containerMachine, input, happenings, paths);
      expect(chart).toEqual(actor);
    }),
    { numRuns: 200 },
  );
});

function of(type: string): { readonly type: string } {
  return { type };
}
