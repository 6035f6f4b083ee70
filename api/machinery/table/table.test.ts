import type { ContainerStatus, Pod } from '../generated/types.js';
import { humanDuration } from './duration.js';
import { summarizePod } from './pod.js';
import { type Table, type TableOptions, tableColumns, toTable } from './table.js';

const NOW = Date.UTC(2026, 0, 10, 12, 0, 0);
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const ago = (ms: number): string => new Date(NOW - ms).toISOString().replace('.000Z', 'Z');

/** The rows as kubectl prints them, cells apart by two spaces; wide columns only where asked. */
function lines(table: Table, showWide = false): string[] {
  const shown = table.columnDefinitions.map((c, i) => ({ ...c, i })).filter((c) => showWide || c.priority === 0);
  const header = shown.map((c) => c.name.toUpperCase()).join('  ');
  return [header, ...table.rows.map((row) => shown.map(({ i }) => String(row.cells[i] ?? '<none>')).join('  '))];
}

const object = (spec: object, more: object = {}) => ({
  metadata: { name: 'x', creationTimestamp: ago(5 * MINUTE) },
  spec,
  ...more,
});

function show(id: string, objects: object | object[], showWide = false, options: Partial<TableOptions> = {}): string[] {
  const [group = '', resource = ''] = id.split('/');
  const list = (Array.isArray(objects) ? objects : [objects]) as Parameters<typeof toTable>[1];
  return lines(toTable({ group, resource }, list, { now: NOW, ...options }), showWide);
}

describe('human durations', () => {
  test.each([
    [-5 * SECOND, '<invalid>'],
    [-1 * SECOND, '0s'],
    [0, '0s'],
    [119 * SECOND, '119s'],
    [120 * SECOND, '2m'],
    [150 * SECOND, '2m30s'],
    [10 * MINUTE + 30 * SECOND, '10m'],
    [179 * MINUTE, '179m'],
    [3 * HOUR, '3h'],
    [3 * HOUR + 5 * MINUTE, '3h5m'],
    [8 * HOUR + 59 * MINUTE, '8h'],
    [47 * HOUR, '47h'],
    [2 * DAY, '2d'],
    [3 * DAY + 4 * HOUR, '3d4h'],
    [8 * DAY + 4 * HOUR, '8d'],
    [729 * DAY, '729d'],
    [730 * DAY, '2y'],
    [800 * DAY, '2y70d'],
    [3000 * DAY, '8y'],
  ])('%d ms is %s', (ms, text) => {
    expect(humanDuration(ms)).toBe(text);
  });
});

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

describe('other kinds', () => {
  const template = {
    spec: {
      containers: [
        { name: 'c', image: 'i:1' },
        { name: 'd', image: 'j' },
      ],
    },
  };
  const selector = { matchLabels: { app: 'web' } };

  test.each<[string, object, string[]]>([
    [
      'apps/deployments',
      object(
        { replicas: 3, selector, template },
        { status: { readyReplicas: 2, updatedReplicas: 3, availableReplicas: 1 } },
      ),
      [
        'NAME  READY  UP-TO-DATE  AVAILABLE  AGE  CONTAINERS  IMAGES  SELECTOR',
        'x  2/3  3  1  5m  c,d  i:1,j  app=web',
      ],
    ],
    [
      'apps/deployments',
      object({ replicas: 1 }),
      ['NAME  READY  UP-TO-DATE  AVAILABLE  AGE  CONTAINERS  IMAGES  SELECTOR', 'x  0/1  0  0  5m      <none>'],
    ],
    [
      'apps/replicasets',
      object({ replicas: 2, selector, template }, { status: { replicas: 2, readyReplicas: 1 } }),
      ['NAME  DESIRED  CURRENT  READY  AGE  CONTAINERS  IMAGES  SELECTOR', 'x  2  2  1  5m  c,d  i:1,j  app=web'],
    ],
    [
      '/replicationcontrollers',
      object({ replicas: 2, selector: { b: '2', a: '1' }, template }),
      ['NAME  DESIRED  CURRENT  READY  AGE  CONTAINERS  IMAGES  SELECTOR', 'x  2  0  0  5m  c,d  i:1,j  a=1,b=2'],
    ],
    [
      'apps/daemonsets',
      object({ selector, template }, { status: { desiredNumberScheduled: 2, currentNumberScheduled: 1 } }),
      [
        'NAME  DESIRED  CURRENT  READY  UP-TO-DATE  AVAILABLE  NODE SELECTOR  AGE  CONTAINERS  IMAGES  SELECTOR',
        'x  2  1  0  0  0  <none>  5m  c,d  i:1,j  app=web',
      ],
    ],
    [
      'apps/statefulsets',
      object({ replicas: 3, template }, { status: { readyReplicas: 1 } }),
      ['NAME  READY  AGE  CONTAINERS  IMAGES', 'x  1/3  5m  c,d  i:1,j'],
    ],
    [
      'batch/jobs',
      object(
        { completions: 3, template },
        {
          status: {
            succeeded: 3,
            startTime: ago(4 * MINUTE),
            completionTime: ago(MINUTE),
            conditions: [{ type: 'Complete', status: 'True' }],
          },
        },
      ),
      [
        'NAME  STATUS  COMPLETIONS  DURATION  AGE  CONTAINERS  IMAGES  SELECTOR',
        'x  Complete  3/3  3m  5m  c,d  i:1,j  <none>',
      ],
    ],
    [
      'batch/jobs',
      object({ parallelism: 2 }, { status: { startTime: ago(90 * SECOND) } }),
      [
        'NAME  STATUS  COMPLETIONS  DURATION  AGE  CONTAINERS  IMAGES  SELECTOR',
        'x  Running  0/1 of 2  90s  5m      <none>',
      ],
    ],
    [
      'batch/cronjobs',
      object(
        { schedule: '*/5 * * * *', suspend: false },
        { status: { active: [{}], lastScheduleTime: ago(2 * MINUTE) } },
      ),
      [
        'NAME  SCHEDULE  TIMEZONE  SUSPEND  ACTIVE  LAST SCHEDULE  AGE  CONTAINERS  IMAGES  SELECTOR',
        'x  */5 * * * *  <none>  False  1  2m  5m      <none>',
      ],
    ],
    [
      '/services',
      object({
        type: 'NodePort',
        clusterIPs: ['10.1.0.1'],
        ports: [
          { port: 80, nodePort: 30080, protocol: 'TCP' },
          { port: 53, protocol: 'UDP' },
        ],
        selector: { app: 'web' },
      }),
      [
        'NAME  TYPE  CLUSTER-IP  EXTERNAL-IP  PORT(S)  AGE  SELECTOR',
        'x  NodePort  10.1.0.1  <none>  80:30080/TCP,53/UDP  5m  app=web',
      ],
    ],
    [
      '/services',
      object({ type: 'LoadBalancer', clusterIPs: ['10.1.0.1'], ports: [] }),
      [
        'NAME  TYPE  CLUSTER-IP  EXTERNAL-IP  PORT(S)  AGE  SELECTOR',
        'x  LoadBalancer  10.1.0.1  <pending>  <none>  5m  <none>',
      ],
    ],
    [
      '/services',
      object({ type: 'ExternalName', externalName: 'example.com' }),
      [
        'NAME  TYPE  CLUSTER-IP  EXTERNAL-IP  PORT(S)  AGE  SELECTOR',
        'x  ExternalName  <none>  example.com  <none>  5m  <none>',
      ],
    ],
    [
      'networking.k8s.io/ingresses',
      object(
        { ingressClassName: 'c', rules: [{ host: 'a' }, { host: 'b' }, { host: 'c' }, { host: 'd' }], tls: [{}] },
        { status: { loadBalancer: { ingress: [{ ip: '1.2.3.4' }] } } },
      ),
      ['NAME  CLASS  HOSTS  ADDRESS  PORTS  AGE', 'x  c  a,b,c + 1 more...  1.2.3.4  80, 443  5m'],
    ],
    [
      'discovery.k8s.io/endpointslices',
      {
        ...object({}),
        addressType: 'IPv4',
        ports: [{ port: 80 }],
        endpoints: [{ addresses: ['1'] }, { addresses: ['2'] }, { addresses: ['3'] }, { addresses: ['4'] }],
      },
      ['NAME  ADDRESSTYPE  PORTS  ENDPOINTS  AGE', 'x  IPv4  80  1,2,3 + 1 more...  5m'],
    ],
    [
      'discovery.k8s.io/endpointslices',
      { ...object({}), addressType: 'IPv4' },
      ['NAME  ADDRESSTYPE  PORTS  ENDPOINTS  AGE', 'x  IPv4  <unset>  <unset>  5m'],
    ],
    [
      '/endpoints',
      { ...object({}), subsets: [{ addresses: [{ ip: '1.1.1.1' }, { ip: 'fd::1' }], ports: [{ port: 80 }] }] },
      ['NAME  ENDPOINTS  AGE', 'x  1.1.1.1:80,[fd::1]:80  5m'],
    ],
    [
      '/nodes',
      {
        ...object({ unschedulable: true }),
        metadata: {
          name: 'n',
          creationTimestamp: ago(2 * DAY),
          labels: { 'node-role.kubernetes.io/control-plane': '' },
        },
        status: {
          conditions: [{ type: 'Ready', status: 'True' }],
          addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
          nodeInfo: { kubeletVersion: 'v1.33.0', kernelVersion: '6.18' },
        },
      },
      [
        'NAME  STATUS  ROLES  AGE  VERSION  INTERNAL-IP  EXTERNAL-IP  OS-IMAGE  KERNEL-VERSION  CONTAINER-RUNTIME',
        'n  Ready,SchedulingDisabled  control-plane  2d  v1.33.0  10.0.0.1  <none>  <unknown>  6.18  <unknown>',
      ],
    ],
    ['/namespaces', { ...object({}), status: { phase: 'Active' } }, ['NAME  STATUS  AGE', 'x  Active  5m']],
    ['/configmaps', { ...object({}), data: { a: '1' }, binaryData: { b: '' } }, ['NAME  DATA  AGE', 'x  2  5m']],
    ['/secrets', { ...object({}), type: 'Opaque', data: { a: '' } }, ['NAME  TYPE  DATA  AGE', 'x  Opaque  1  5m']],
    [
      '/persistentvolumeclaims',
      object(
        { volumeName: 'pv', storageClassName: 'fast', volumeMode: 'Filesystem' },
        { status: { phase: 'Bound', capacity: { storage: '1Gi' }, accessModes: ['ReadWriteMany', 'ReadWriteOnce'] } },
      ),
      [
        'NAME  STATUS  VOLUME  CAPACITY  ACCESS MODES  STORAGECLASS  VOLUMEATTRIBUTESCLASS  AGE  VOLUMEMODE',
        'x  Bound  pv  1Gi  RWO,RWX  fast  <unset>  5m  Filesystem',
      ],
    ],
    [
      'policy/poddisruptionbudgets',
      object({ minAvailable: '50%' }, { status: { disruptionsAllowed: 1 } }),
      ['NAME  MIN AVAILABLE  MAX UNAVAILABLE  ALLOWED DISRUPTIONS  AGE', 'x  50%  N/A  1  5m'],
    ],
    [
      'autoscaling/horizontalpodautoscalers',
      object(
        {
          scaleTargetRef: { kind: 'Deployment', name: 'web' },
          maxReplicas: 5,
          metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { averageUtilization: 80 } } }],
        },
        { status: { currentReplicas: 2 } },
      ),
      [
        'NAME  REFERENCE  TARGETS  MINPODS  MAXPODS  REPLICAS  AGE',
        'x  Deployment/web  cpu: <unknown>/80%  <unset>  5  2  5m',
      ],
    ],
    [
      'autoscaling/horizontalpodautoscalers',
      object(
        {
          scaleTargetRef: { kind: 'Deployment', name: 'web' },
          minReplicas: 1,
          maxReplicas: 5,
          targetCPUUtilizationPercentage: 70,
        },
        { status: { currentCPUUtilizationPercentage: 12 } },
      ),
      ['NAME  REFERENCE  TARGETS  MINPODS  MAXPODS  REPLICAS  AGE', 'x  Deployment/web  cpu: 12%/70%  1  5  0  5m'],
    ],
    [
      'autoscaling/scale',
      object({ replicas: 3 }, { status: { replicas: 2 } }),
      ['NAME  DESIRED  AVAILABLE  AGE', 'x  3  2  5m'],
    ],
    [
      'storage.k8s.io/storageclasses',
      {
        ...object({}),
        metadata: {
          name: 's',
          creationTimestamp: ago(0),
          annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' },
        },
        provisioner: 'p',
      },
      [
        'NAME  PROVISIONER  RECLAIMPOLICY  VOLUMEBINDINGMODE  ALLOWVOLUMEEXPANSION  AGE',
        's (default)  p  Delete  Immediate  false  0s',
      ],
    ],
    [
      'rbac.authorization.k8s.io/rolebindings',
      {
        ...object({}),
        roleRef: { kind: 'Role', name: 'r' },
        subjects: [
          { kind: 'User', name: 'u' },
          { kind: 'ServiceAccount', namespace: 'n', name: 's' },
        ],
      },
      ['NAME  ROLE  AGE  USERS  GROUPS  SERVICEACCOUNTS', 'x  Role/r  5m  u    n/s'],
    ],
    ['coordination.k8s.io/leases', object({ holderIdentity: 'n1' }), ['NAME  HOLDER  AGE', 'x  n1  5m']],
    ['rbac.authorization.k8s.io/roles', object({}), ['NAME  CREATED AT', `x  ${ago(5 * MINUTE)}`]],
  ])('%s', (id, each, expected) => {
    expect(show(id, each, true)).toEqual(expected);
  });

  test('events look alike in both of their groups', () => {
    const core = {
      metadata: { name: 'e' },
      involvedObject: { kind: 'Pod', name: 'web', fieldPath: 'spec.containers{c}' },
      type: 'Warning',
      reason: 'BackOff',
      message: 'Back-off restarting ',
      firstTimestamp: ago(HOUR),
      lastTimestamp: ago(30 * SECOND),
      count: 7,
      source: { component: 'kubelet', host: 'n1' },
    };
    expect(show('/events', core)).toEqual([
      'LAST SEEN  TYPE  REASON  OBJECT  MESSAGE',
      '30s  Warning  BackOff  pod/web  Back-off restarting',
    ]);
    expect(show('/events', core, true)[1]).toBe(
      '30s  Warning  BackOff  pod/web  spec.containers{c}  kubelet, n1  Back-off restarting  60m  7  e',
    );
    const modern = {
      metadata: { name: 'e' },
      regarding: { kind: 'Pod', name: 'web' },
      reason: 'Scheduled',
      type: 'Normal',
      note: 'bound',
      eventTime: ago(5 * SECOND),
      reportingController: 'scheduler',
    };
    expect(show('events.k8s.io/events', modern)[1]).toBe('5s  Normal  Scheduled  pod/web  bound');
  });
});

describe('tables', () => {
  const map = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'a', uid: 'u', resourceVersion: '7' },
    data: {},
  };
  const resource = { group: '', resource: 'configmaps' };

  test('rows carry as much of the object as is asked for', () => {
    const rowObject = (includeObject?: TableOptions['includeObject']) =>
      toTable(resource, [map], { now: NOW, includeObject }).rows[0]!.object;
    expect(rowObject()).toEqual({
      kind: 'PartialObjectMetadata',
      apiVersion: 'meta.k8s.io/v1',
      metadata: map.metadata,
    });
    expect(rowObject('Object')).toBe(map);
    expect(rowObject('None')).toBeUndefined();
  });

  test('lists carry their metadata, single objects their version', () => {
    expect(toTable(resource, [map], { now: NOW }).metadata).toEqual({ resourceVersion: '7' });
    const metadata = { resourceVersion: '9', continue: 'token', remainingItemCount: 3 };
    expect(toTable(resource, [], { now: NOW, metadata }).metadata).toBe(metadata);
  });

  test('later events of a watch leave the definitions out', () => {
    const table = toTable(resource, [map], { now: NOW, definitions: false });
    expect(table.columnDefinitions).toEqual([]);
    expect(table.rows[0]!.cells).toHaveLength(tableColumns(resource).length);
    expect(toTable(resource, [], { now: NOW, apiVersion: 'meta.k8s.io/v1beta1' }).apiVersion).toBe(
      'meta.k8s.io/v1beta1',
    );
  });

  test('every definition is complete, as clients demand', () => {
    for (const column of tableColumns({ group: '', resource: 'pods' })) {
      expect(column).toEqual({
        name: expect.any(String),
        type: expect.any(String),
        format: expect.any(String),
        description: expect.any(String),
        priority: expect.any(Number),
      });
    }
    expect(tableColumns({ group: '', resource: 'pods' })[0]).toMatchObject({ name: 'Name', format: 'name' });
  });

  test('custom resources are printed by their own columns', () => {
    const columns = [
      { name: 'Color', type: 'string', jsonPath: '.spec.color' },
      { name: 'Size', type: 'integer', jsonPath: '.spec.size', priority: 1 },
      { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
      { name: 'Since', type: 'date', jsonPath: '.status.since' },
      { name: 'On', type: 'boolean', jsonPath: '.spec.on' },
      { name: 'Ratio', type: 'number', jsonPath: '.spec.ratio' },
      { name: 'Deep', type: 'string', jsonPath: '.spec.deep' },
    ];
    const full = object(
      { color: 'blue', size: 3.7, on: true, ratio: 0.5, deep: { a: 1 } },
      { status: { since: ago(HOUR), conditions: [{ type: 'Ready', status: 'True' }] } },
    );
    expect(show('shop.example/widgets', [full, object({ size: 'big' })], true, { columns })).toEqual([
      'NAME  COLOR  SIZE  READY  SINCE  ON  RATIO  DEEP',
      'x  blue  3  True  60m  true  0.5  {"a":1}',
      'x  <none>  <none>  <none>  <none>  <none>  <none>  <none>',
    ]);
    expect(show('shop.example/widgets', full, false, { columns: [] })).toEqual(['NAME  AGE', 'x  5m']);
  });
});
