import { ago, DAY, HOUR, MINUTE, object, SECOND, show } from './testing.js';

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
