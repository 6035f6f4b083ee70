import type { ContainerStatus, Pod } from '../generated/types.js';
import { summarizePod } from './pod.js';
import { toTable } from './table.js';
import { ago, HOUR, MINUTE, NOW, show } from './testing.js';

describe('pods', () => {
  const base: Pod = {
    metadata: { name: 'web', creationTimestamp: ago(3 * HOUR + 5 * MINUTE) },
    spec: { containers: [{ name: 'a' }, { name: 'b' }], nodeName: 'n1' },
    status: { phase: 'Running', podIPs: [{ ip: '10.0.0.7' }] },
  };
  const status = (name: string, more: Partial<ContainerStatus>): ContainerStatus => ({
    name,
    image: '',
    imageID: '',
    ready: false,
    restartCount: 0,
    ...more,
  });
  const running = (name: string, more: Partial<ContainerStatus> = {}) =>
    status(name, { ready: true, state: { running: {} }, ...more });
  const ended = (exitCode: number, reason?: string, signal?: number) => ({
    terminated: { exitCode, ...(reason ? { reason } : {}), ...(signal ? { signal } : {}) },
  });
  const pod = (more: Pod['status'], spec: object = {}, metadata: object = {}): Pod => ({
    ...base,
    metadata: { ...base.metadata, ...metadata },
    spec: { ...base.spec!, ...spec },
    status: { ...base.status, ...more },
  });
  const summary = (each: Pod): string => {
    const { ready, total, status: text } = summarizePod(each);
    return `${ready}/${total} ${text}`;
  };
  const withInit = (initStatuses: ContainerStatus[], more: Pod['status'] = {}, sidecar = false): Pod =>
    pod(
      { phase: 'Pending', initContainerStatuses: initStatuses, ...more },
      { initContainers: [{ name: 'i' }, { name: 'j', ...(sidecar ? { restartPolicy: 'Always' } : {}) }] },
    );
  const initialized = [{ type: 'Initialized', status: 'True' }];

  test.each<[string, Pod]>([
    ['2/2 Running', pod({ containerStatuses: [running('a'), running('b')] })],
    ['1/2 Running', pod({ containerStatuses: [running('a'), status('b', { state: { running: {} } })] })],
    ['0/2 Pending', pod({ phase: 'Pending' })],
    [
      '0/2 ContainerCreating',
      pod({
        phase: 'Pending',
        containerStatuses: ['a', 'b'].map((n) => status(n, { state: { waiting: { reason: 'ContainerCreating' } } })),
      }),
    ],
    [
      '1/2 CrashLoopBackOff',
      pod({ containerStatuses: [running('a'), status('b', { state: { waiting: { reason: 'CrashLoopBackOff' } } })] }),
    ],
    [
      '0/2 ImagePullBackOff',
      pod({
        containerStatuses: [
          status('a', { state: { waiting: { reason: 'ImagePullBackOff' } } }),
          status('b', { state: { waiting: { reason: 'ErrImagePull' } } }),
        ],
      }),
    ],
    [
      '0/2 Completed',
      pod({
        phase: 'Succeeded',
        containerStatuses: [
          status('a', { state: ended(0, 'Completed') }),
          status('b', { state: ended(0, 'Completed') }),
        ],
      }),
    ],
    [
      '0/2 Error',
      pod({
        phase: 'Failed',
        containerStatuses: [status('a', { state: ended(1, 'Error') }), status('b', { state: ended(0, 'Completed') })],
      }),
    ],
    ['0/2 OOMKilled', pod({ containerStatuses: [status('a', { state: ended(137, 'OOMKilled') })] })],
    ['0/2 Signal:9', pod({ containerStatuses: [status('a', { state: ended(137, undefined, 9) })] })],
    ['0/2 ExitCode:3', pod({ containerStatuses: [status('a', { state: ended(3) })] })],
    ['1/2 NotReady', pod({ containerStatuses: [running('a'), status('b', { state: ended(0, 'Completed') })] })],
    [
      '1/2 Running',
      pod({
        conditions: [{ type: 'Ready', status: 'True' }],
        containerStatuses: [running('a'), status('b', { state: ended(0, 'Completed') })],
      }),
    ],
    ['0/2 Evicted', pod({ phase: 'Failed', reason: 'Evicted' })],
    [
      '0/2 SchedulingGated',
      pod({ phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated' }] }),
    ],
    [
      '0/2 Init:0/2',
      withInit([
        status('i', { state: { running: {} } }),
        status('j', { state: { waiting: { reason: 'PodInitializing' } } }),
      ]),
    ],
    [
      '0/2 Init:1/2',
      withInit([status('i', { state: ended(0, 'Completed') }), status('j', { state: { running: {} } })]),
    ],
    ['0/2 Init:Error', withInit([status('i', { state: ended(1, 'Error') })])],
    ['0/2 Init:ExitCode:4', withInit([status('i', { state: ended(4) })])],
    ['0/2 Init:Signal:15', withInit([status('i', { state: ended(143, undefined, 15) })])],
    ['0/2 Init:CrashLoopBackOff', withInit([status('i', { state: { waiting: { reason: 'CrashLoopBackOff' } } })])],
    [
      '0/2 PodInitializing',
      withInit([status('i', { state: ended(0) }), status('j', { state: ended(0) })], {
        containerStatuses: [status('a', { state: { waiting: { reason: 'PodInitializing' } } })],
      }),
    ],
    [
      '1/3 PodInitializing',
      withInit(
        [status('i', { state: ended(0) }), running('j', { started: true })],
        { containerStatuses: [status('a', { state: { waiting: { reason: 'PodInitializing' } } })] },
        true,
      ),
    ],
    [
      '3/3 Running',
      withInit(
        [status('i', { state: ended(0) }), running('j', { started: true })],
        { phase: 'Running', conditions: initialized, containerStatuses: [running('a'), running('b')] },
        true,
      ),
    ],
    ['0/3 Init:1/2', withInit([status('i', { state: ended(0) }), running('j', { started: false })], {}, true)],
    ['2/2 Terminating', pod({ containerStatuses: [running('a'), running('b')] }, {}, { deletionTimestamp: ago(0) })],
    [
      '0/2 Completed',
      pod(
        { phase: 'Succeeded', containerStatuses: [status('a', { state: ended(0, 'Completed') })] },
        {},
        { deletionTimestamp: ago(0) },
      ),
    ],
    ['0/2 Unknown', pod({ reason: 'NodeLost' }, {}, { deletionTimestamp: ago(0) })],
    ['0/0 ', { metadata: { name: 'bare' } }],
  ])('%s', (expected, each) => {
    expect(summary(each)).toBe(expected);
  });

  test('the table looks as kubectl prints it', () => {
    const restarted = pod({
      containerStatuses: [
        running('a', { restartCount: 3, lastState: { terminated: { exitCode: 1, finishedAt: ago(5 * MINUTE) } } }),
        running('b', { restartCount: 1, lastState: { terminated: { exitCode: 1, finishedAt: ago(9 * HOUR) } } }),
      ],
    });
    expect(show('/pods', restarted)).toEqual([
      'NAME  READY  STATUS  RESTARTS  AGE',
      'web  2/2  Running  4 (5m ago)  3h5m',
    ]);
    expect(show('/pods', pod({ containerStatuses: [running('a')] }), true)).toEqual([
      'NAME  READY  STATUS  RESTARTS  AGE  IP  NODE  NOMINATED NODE  READINESS GATES',
      'web  1/2  Running  0  3h5m  10.0.0.7  n1  <none>  <none>',
    ]);
    const gated = pod(
      { conditions: [{ type: 'a', status: 'True' }] },
      { readinessGates: [{ conditionType: 'a' }, { conditionType: 'b' }] },
    );
    expect(show('/pods', gated, true)[1]).toMatch(/1\/2$/);
  });

  test('finished pods say so in their row', () => {
    const table = toTable({ group: '', resource: 'pods' }, [pod({ phase: 'Succeeded' }), pod({})], { now: NOW });
    expect(table.rows[0]!.conditions?.[0]).toMatchObject({ type: 'Completed', status: 'True', reason: 'Succeeded' });
    expect(table.rows[1]!.conditions).toBeUndefined();
  });
});
