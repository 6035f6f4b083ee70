import { Readable } from 'node:stream';
import type { NodeHttpRequest, NodeStreams } from '@trimtab/client';
import type { ExitRecord } from '@trimtab/kubelet-lite';
import type { ContainerStatus, Event, Pod } from '@trimtab/machinery';
import { Nodes, Pods } from '@trimtab/machinery';
import { showGoneLogs } from './gone-logs.js';
import { type TestCluster, testCluster } from './testing.js';
import { explainObject } from './why.js';
import { bytesText, exitLines } from './why-exits.js';
import { changeText, mendsOf } from './why-mends.js';

const exit = (more: Partial<ExitRecord> = {}): ExitRecord => ({
  namespace: 'default',
  pod: 'web',
  uid: 'u',
  container: 'main',
  attempt: 0,
  image: 'web:1',
  reason: 'Error',
  exitCode: 1,
  startedAt: '2026-01-01T00:00:00Z',
  finishedAt: '2026-01-01T00:00:04Z',
  probes: [],
  log: [],
  ...more,
});

const waiting = (reason: string, message = ''): Partial<ContainerStatus> => ({
  state: { waiting: { reason, message } },
});

function podWith(
  status: Partial<ContainerStatus>,
  more: { spec?: object; status?: object; container?: object } = {},
): Pod {
  return {
    metadata: { name: 'web', namespace: 'default' },
    spec: { nodeName: 'n', containers: [{ name: 'main', image: 'web:1', ...more.container }], ...more.spec },
    status: {
      phase: 'Running',
      containerStatuses: [{ name: 'main', ready: false, restartCount: 3, image: 'web:1', imageID: '', ...status }],
      ...more.status,
    },
  } as Pod;
}

const event = (reason: string, message: string): Event =>
  ({ metadata: {}, reason, message, involvedObject: { fieldPath: 'spec.containers{main}' } }) as Event;

describe('the likely mend', () => {
  const crash = waiting('CrashLoopBackOff');
  const limit = 64 * 2 ** 20;
  const tail = { pid: 7, command: 'tail', bytes: limit };
  const http = { livenessProbe: { httpGet: { path: '/live', port: 8080 } } };
  const live = (output: string) => ({
    killedFor: 'Container main failed liveness probe, will be restarted',
    exitCode: 143,
    signal: 'SIGTERM',
    probes: [{ kind: 'Liveness', result: 'failure', output, at: '' }],
  });
  const cases: readonly (readonly [
    string,
    Pod,
    Partial<ExitRecord> | undefined,
    readonly Event[],
    RegExp | undefined,
  ])[] = [
    [
      'out of memory',
      podWith(crash),
      { reason: 'OOMKilled', memoryLimit: limit, oomKills: [{ ...tail, limitOf: 'container' }] },
      [],
      /raise resources.limits.memory above 64 MiB, or find out what tail needs 64 MiB for/,
    ],
    [
      'no memory on the node',
      podWith(crash),
      { reason: 'OOMKilled', oomKills: [{ ...tail, limitOf: 'node' }] },
      [],
      /node had no memory left/,
    ],
    [
      'nothing listens',
      podWith(crash, { container: http }),
      live('dial tcp: connection refused'),
      [],
      /nothing listens on port 8080.*startupProbe/,
    ],
    [
      'a probe that answers 500',
      podWith(crash, { container: http }),
      live('HTTP probe failed with statuscode: 500'),
      [],
      /answers 500 on \/live/,
    ],
    [
      'a slow probe',
      podWith(crash, { container: http }),
      live('context deadline exceeded'),
      [],
      /raise timeoutSeconds \(1\)/,
    ],
    ['no such command', podWith(crash), { exitCode: 127 }, [], /command was not found/],
    [
      'a program that is not there',
      podWith({
        ...crash,
        lastState: { terminated: { exitCode: 128, message: 'failed to start container "main": exec: /nope: ENOENT' } },
      }),
      undefined,
      [],
      /no such program/,
    ],
    ['a fault', podWith(crash), { exitCode: 139, signal: 'SIGSEGV' }, [], /memory fault/],
    ['an end in peace', podWith(crash), { exitCode: 0, reason: 'Completed' }, [], /restartPolicy is Always/],
    ['its own fault', podWith(crash), { log: ['boom: no such host', ''] }, [], /said last: boom: no such host/],
    ['its own fault, silently', podWith(crash), {}, [], /wrote nothing/],
    ['a kill from outside', podWith(crash), { exitCode: 137, signal: 'SIGKILL' }, [], /kill -9/],
    [
      'an image that is not there',
      podWith(waiting('ImagePullBackOff', 'no registry is configured')),
      undefined,
      [],
      /trimtab image load/,
    ],
    [
      'a registry that refuses',
      podWith(waiting('ErrImagePull', '401 Unauthorized')),
      undefined,
      [],
      /imagePullSecrets/,
    ],
    ['no tag', podWith(waiting('ErrImagePull', 'manifest unknown')), undefined, [], /name and tag/],
    [
      'a missing config map',
      podWith(waiting('CreateContainerConfigError', 'configmap "settings" not found')),
      undefined,
      [],
      /create the configmap "settings"/,
    ],
    [
      'a missing key',
      podWith(waiting('CreateContainerConfigError', "couldn't find key a in ConfigMap default/settings")),
      undefined,
      [],
      /add the key a to the configmap default\/settings/,
    ],
    [
      'a volume',
      podWith({ ...waiting('ContainerCreating'), restartCount: 0 }, { status: { phase: 'Pending' } }),
      undefined,
      [event('FailedMount', 'MountVolume.SetUp failed for volume "v" : secret "tls" not found')],
      /create the secret "tls"/,
    ],
    [
      'not ready',
      podWith(
        { state: { running: {} }, restartCount: 0 },
        { container: { readinessProbe: { tcpSocket: { port: 5432 } } } },
      ),
      undefined,
      [event('Unhealthy', 'Readiness probe failed: connection refused')],
      /not ready: .*nothing listens on port 5432/,
    ],
    [
      'evicted for memory',
      podWith(
        {},
        { status: { reason: 'Evicted', message: 'The node was low on resource: memory. Threshold quantity: 100Mi' } },
      ),
      undefined,
      [],
      /memory request/,
    ],
    [
      'evicted for its own limit',
      podWith(
        {},
        {
          status: {
            reason: 'Evicted',
            message: 'Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ',
          },
        },
      ),
      undefined,
      [],
      /limits.ephemeral-storage/,
    ],
    [
      'evicted for an emptyDir',
      podWith(
        { state: { terminated: { exitCode: 137, reason: 'Error' } } },
        { status: { reason: 'Evicted', message: 'Usage of EmptyDir volume "e" exceeds the limit "1Mi". ' } },
      ),
      { exitCode: 137, signal: 'SIGKILL', killedFor: 'Stopping container main' },
      [],
      /sizeLimit of that emptyDir/,
    ],
    [
      'refused at the door',
      podWith(
        {},
        {
          status: {
            phase: 'Failed',
            reason: 'OutOfcpu',
            message: "Pod was rejected: Node didn't have enough resource: cpu",
          },
        },
      ),
      undefined,
      [],
      /the node refused it: Node didn't have enough resource: cpu; .*delete it/,
    ],
    [
      'a hook that fails',
      podWith(crash),
      { exitCode: 137, signal: 'SIGKILL', killedFor: 'FailedPostStartHook' },
      [],
      /its postStart hook failed/,
    ],
    [
      'no network',
      podWith({ ...waiting('ContainerCreating'), restartCount: 0 }, { status: { phase: 'Pending' } }),
      undefined,
      [event('FailedCreatePodSandBox', 'Failed to create pod sandbox: no addresses are left')],
      /no addresses are left/,
    ],
    ['nothing is wrong', podWith({ ready: true, restartCount: 0, state: { running: {} } }), undefined, [], undefined],
  ];
  test.each(cases)('of %s', (_, pod, last, events, wanted) => {
    const [first] = mendsOf({ pod, exits: last ? [exit(last)] : [], events });
    if (wanted) expect(first).toMatch(wanted);
    else expect(first).toBeUndefined();
  });

  test('of a pod that was ended there is none for its containers', () => {
    const status = { reason: 'Evicted', message: 'The node was low on resource: memory.' };
    const killed = exit({ exitCode: 137, signal: 'SIGKILL', killedFor: 'Stopping container main' });
    expect(mendsOf({ pod: podWith({}, { status }), exits: [killed], events: [] })).toHaveLength(1);
  });

  test('what would place a pod is said as people say it', () => {
    expect(changeText('persistentvolumeclaim "data" not found')).toBe('create the PersistentVolumeClaim "data"');
    expect(changeText("lower the pod's memory request by 919153088Ki")).toBe(
      "lower the pod's memory request by 877 GiB",
    );
    expect(changeText('kubectl label node n disk=ssd')).toBe('kubectl label node n disk=ssd');
  });

  test('ends that are alike are told as one', () => {
    const at = (attempt: number, more: Partial<ExitRecord> = {}) =>
      exit({ attempt, finishedAt: `2026-01-01T00:00:0${attempt}Z`, startedAt: '2026-01-01T00:00:00Z', ...more });
    const side = at(3, { container: 'side', exitCode: 0, reason: 'Completed' });
    const lines = exitLines([at(0, { exitCode: 2 }), at(1), at(2), side, at(4), at(5, { log: ['oh'] })]);
    expect(lines.map((line) => line.trim())).toEqual([
      'What the node remembers:',
      '2026-01-01T00:00:00Z  main (start 1, ran 0s): exited with code 2',
      '2026-01-01T00:00:03Z  side (start 4, ran 3s): exited with code 0',
      'it wrote nothing',
      '2026-01-01T00:00:05Z  main (start 6, ran 5s): exited with code 1',
      'likewise 3 times before, first at 2026-01-01T00:00:01Z',
      'its last lines:',
      '| oh',
    ]);
  });

  test('amounts are told as people read them', () => {
    expect([0, 512, 1536, 64 * 2 ** 20, 12.34 * 2 ** 30].map(bytesText)).toEqual([
      '0 B',
      '512 B',
      '1.5 KiB',
      '64 MiB',
      '12.3 GiB',
    ]);
  });
});

describe('what the nodes remember', () => {
  let cluster: TestCluster;
  const exits: ExitRecord[] = [];
  const asked: string[] = [];
  const gone = [
    {
      namespace: 'test-0',
      pod: 'old',
      uid: 'u-old',
      goneAt: '2026-01-01T00:00:00Z',
      bytes: 1,
      containers: [
        { name: 'main', attempts: [0] },
        { name: 'side', attempts: [0] },
      ],
    },
  ];
  const node = {
    http: async ({ path }: NodeHttpRequest) => {
      asked.push(path);
      const url = new URL(path, 'http://node');
      const body =
        url.pathname === '/trimtab/exits'
          ? JSON.stringify({ items: exits })
          : url.pathname === '/trimtab/gone-logs'
            ? JSON.stringify({ items: gone })
            : Readable.from(['what it said\n']);
      return { status: 200, headers: { 'content-type': 'application/json' }, body };
    },
  } as unknown as NodeStreams;
  beforeAll(async () => {
    cluster = await testCluster((name) => (name === 'n1' ? node : undefined));
    await cluster.newNamespace();
    await cluster.client.create(Nodes, { metadata: { name: 'n1' } });
    await cluster.client.create(Nodes, { metadata: { name: 'away' } });
  });
  afterAll(() => cluster.close());

  test('is told beside the status, with the end of the log and the mend; and when the pod is gone as well', async () => {
    const namespace = 'test-0';
    const spec = { nodeName: 'n1', containers: [{ name: 'main', image: 'main:1' }] };
    const made = await cluster.client.create(Pods, { metadata: { name: 'web', namespace }, spec });
    const status = podWith(waiting('CrashLoopBackOff', 'back-off 10s')).status!;
    await cluster.client.update(Pods, { ...made, status } as Pod, { subresource: 'status' });
    const log = Array.from({ length: 30 }, (_, i) => `line ${i}`);
    exits.push(
      exit({ exitCode: 3, log: ['first'] }),
      exit({
        attempt: 1,
        reason: 'OOMKilled',
        exitCode: 137,
        signal: 'SIGKILL',
        memoryPeak: 2 ** 24,
        memoryLimit: 2 ** 24,
        oomKills: [{ pid: 9, command: 'tail', bytes: 2 ** 23, limitOf: 'container' }],
        probes: [{ kind: 'Readiness', result: 'failure', output: 'no\nway', at: '2026-01-01T00:00:03Z' }],
        log,
      }),
    );
    const { out } = await cluster.run((session) => explainObject(session, 'pod/web'));
    const from = out.indexOf('What the node remembers');
    expect(out.slice(from, out.indexOf('How it came here'))).toBe(
      [
        'What the node remembers:',
        '  2026-01-01T00:00:04Z  main (start 1, ran 4s): exited with code 3',
        '  2026-01-01T00:00:04Z  main (start 2, ran 4s): killed for using more memory than its limit',
        '      the kernel killed process 9 (tail), which held 8 MiB',
        '      memory: at most 16 MiB of 16 MiB',
        '      readiness probe answered last at 2026-01-01T00:00:03Z: failure (no way)',
        '      its last lines (of 30 that are kept):',
        ...log.slice(-10).map((line) => `        | ${line}`),
        'What will likely mend it:',
        '  main: raise resources.limits.memory above 16 MiB, or find out what tail needs 8 MiB for',
        '',
      ].join('\n'),
    );
    expect(asked.at(-1)).toContain(`uid=${made.metadata.uid}`);
    await cluster.client.delete(Pods, { namespace, name: 'web' }, { gracePeriodSeconds: 0 });
    const after = await cluster.run((session) => explainObject(session, 'pod/web'));
    expect(after.out).toMatch(/^pod\/web is gone\.\nWhat the node remembers:\n/);
  });

  test('logs of pods that are gone are listed and shown', async () => {
    const list = await cluster.run((session) => showGoneLogs(session, undefined, {}));
    expect(list.out).toMatch(/^POD +GONE +NODE +CONTAINERS +UID\nold +\S+ +n1 +main,side +u-old\n$/);
    const one = await cluster.run((session) => showGoneLogs(session, 'pod/old', { tail: 5, previous: true }));
    expect(one).toMatchObject({
      code: 0,
      out: 'what it said\n',
      err: 'Defaulted container "main" out of: main, side\n',
    });
    expect(asked.at(-1)).toBe('/trimtab/gone-logs/test-0/old/main?uid=u-old&tailLines=5&previous=true');
    const wrong = await cluster.run((session) => showGoneLogs(session, 'nobody', {}));
    expect(wrong).toMatchObject({ code: 1, err: expect.stringContaining('trimtab logs --gone lists what there is') });
    const container = await cluster.run((session) => showGoneLogs(session, 'old', { container: 'x' }));
    expect(container.err).toContain('there are: main, side');
  });
});
