import { type KubeObject, type StatusCause, StatusError, seededRandom } from '@trimtab/machinery';
import type { Strategy, StrategyContext } from '../../contracts.js';
import { builtinStrategies, createBuiltinStrategies } from './index.js';
import { qosClass } from './pod.js';
import { pullPolicyFor } from './pod-defaults.js';
import { ServiceAllocator } from './service-allocator.js';

const context: StrategyContext = { now: 0, user: { name: 'u', groups: [] } };
const at = (group: string, resource: string): Strategy => builtinStrategies(group, resource)!;
const make = (rest: object, name = 'x'): KubeObject => ({ metadata: { name, namespace: 'default' }, ...rest });

/** What the registry does on create, as far as strategies go. */
function create(strategy: Strategy, given: KubeObject): { object: KubeObject; causes: readonly StatusCause[] } {
  let object = strategy.default?.(given) ?? given;
  object = strategy.prepareForCreate?.(object, context) ?? object;
  object = strategy.default?.(object) ?? object;
  return { object, causes: strategy.validate?.(object) ?? [] };
}
function update(strategy: Strategy, given: KubeObject, old: KubeObject, subresource = '') {
  let object = strategy.default?.(given) ?? given;
  object = strategy.prepareForUpdate?.(object, old, subresource) ?? object;
  object = strategy.default?.(object) ?? object;
  return { object, causes: strategy.validateUpdate?.(object, old, subresource) ?? [] };
}
const texts = (causes: readonly StatusCause[]): string[] => causes.map((c) => `${c.field}: ${c.message}`);

const container = { name: 'web', image: 'nginx:1.27' };
const podSpec = { containers: [container] };
const labels = { app: 'web' };
const workload = (more: object = {}, spec: object = podSpec) =>
  make({ spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec }, ...more } });

describe('defaults', () => {
  test('a pod gets what Kubernetes gives it', () => {
    const { object } = create(
      at('', 'pods'),
      make({
        spec: {
          containers: [
            {
              name: 'web',
              image: 'nginx',
              ports: [{ containerPort: 80 }],
              livenessProbe: { httpGet: { port: 80 }, timeoutSeconds: 0 },
              env: [{ name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }],
              resources: { limits: { cpu: '1', memory: '1Gi' } },
            },
          ],
          volumes: [
            { name: 'tmp' },
            { name: 's', secret: { secretName: 'k' } },
            { name: 'h', hostPath: { path: '/x' } },
          ],
        },
      }),
    );
    expect(object).toMatchObject({
      spec: {
        restartPolicy: 'Always',
        dnsPolicy: 'ClusterFirst',
        terminationGracePeriodSeconds: 30,
        schedulerName: 'default-scheduler',
        securityContext: {},
        enableServiceLinks: true,
        containers: [
          {
            imagePullPolicy: 'Always',
            terminationMessagePath: '/dev/termination-log',
            terminationMessagePolicy: 'File',
            ports: [{ containerPort: 80, protocol: 'TCP' }],
            livenessProbe: {
              httpGet: { path: '/', scheme: 'HTTP', port: 80 },
              timeoutSeconds: 1,
              periodSeconds: 10,
              successThreshold: 1,
              failureThreshold: 3,
            },
            env: [{ valueFrom: { fieldRef: { apiVersion: 'v1' } } }],
            resources: { requests: { cpu: '1', memory: '1Gi' } },
          },
        ],
        volumes: [{ name: 'tmp', emptyDir: {} }, { secret: { defaultMode: 420 } }, { hostPath: { type: '' } }],
      },
      status: { phase: 'Pending', qosClass: 'Guaranteed' },
    });
  });

  test('defaulting again changes nothing, not even identity', () => {
    for (const [group, resource, object] of [
      ['', 'pods', make({ spec: podSpec })],
      ['apps', 'deployments', workload()],
      ['apps', 'statefulsets', workload({ volumeClaimTemplates: [{ metadata: { name: 'd' }, spec: {} }] })],
      ['apps', 'daemonsets', workload()],
      ['batch', 'jobs', workload()],
      ['', 'services', make({ spec: { ports: [{ port: 80 }] } })],
      ['', 'namespaces', { metadata: { name: 'n' } }],
      ['autoscaling', 'horizontalpodautoscalers', make({ spec: { maxReplicas: 3, behavior: {} } })],
    ] as const) {
      const fill = at(group, resource).default!;
      const once = fill(object);
      expect(once).not.toBe(object);
      expect(fill(once)).toBe(once);
    }
  });

  test('workloads', () => {
    const spec = (group: string, resource: string, object: KubeObject) =>
      (create(at(group, resource), object).object as unknown as { spec: Record<string, unknown> }).spec;
    expect(spec('apps', 'deployments', workload())).toMatchObject({
      replicas: 1,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%' } },
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      template: { spec: { restartPolicy: 'Always', containers: [{ imagePullPolicy: 'IfNotPresent', resources: {} }] } },
    });
    expect(spec('apps', 'deployments', workload({ replicas: 0, strategy: { type: 'Recreate' } }))).toMatchObject({
      replicas: 0,
      strategy: { type: 'Recreate' },
    });
    expect(spec('apps', 'statefulsets', workload())).toMatchObject({
      podManagementPolicy: 'OrderedReady',
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
    });
    expect(spec('apps', 'daemonsets', workload()).updateStrategy).toEqual({
      type: 'RollingUpdate',
      rollingUpdate: { maxUnavailable: 1, maxSurge: 0 },
    });
    expect(spec('batch', 'jobs', workload({}, { ...podSpec, restartPolicy: 'Never' }))).toMatchObject({
      completions: 1,
      parallelism: 1,
      backoffLimit: 6,
      completionMode: 'NonIndexed',
      suspend: false,
      podReplacementPolicy: 'TerminatingOrFailed',
    });
  });

  test('image tags decide the pull policy', () => {
    const policies = ['nginx', 'nginx:latest', 'nginx:1', 'host:5000/nginx', 'host:5000/nginx:2', 'a@sha256:00'].map(
      pullPolicyFor,
    );
    expect(policies).toEqual(['Always', 'Always', 'IfNotPresent', 'Always', 'IfNotPresent', 'IfNotPresent']);
  });

  test('quality of service', () => {
    const c = (resources: object) => ({ containers: [{ name: 'a', resources }] });
    expect(qosClass(c({}))).toBe('BestEffort');
    expect(qosClass(c({ requests: { cpu: '1' } }))).toBe('Burstable');
    expect(qosClass(c({ limits: { cpu: '1', memory: '1' }, requests: { cpu: '1', memory: '1' } }))).toBe('Guaranteed');
  });
});

describe('validation speaks as Kubernetes does', () => {
  const cases: readonly (readonly [string, string, KubeObject, readonly string[]])[] = [
    ['', 'pods', make({ spec: { containers: [] } }), ['spec.containers: Required value']],
    [
      '',
      'pods',
      make({ spec: { containers: [{ name: 'Web', image: '' }] } }),
      [
        "spec.containers[0].name: Invalid value: \"Web\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
        'spec.containers[0].image: Required value',
      ],
    ],
    [
      '',
      'pods',
      make({ spec: { restartPolicy: 'Sometimes', containers: [container, container] } }),
      [
        'spec.containers[1].name: Duplicate value: "web"',
        'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"',
      ],
    ],
    [
      '',
      'pods',
      make({
        spec: {
          containers: [
            {
              ...container,
              ports: [{ containerPort: 70000 }],
              volumeMounts: [{ name: 'data', mountPath: '/d' }],
              resources: { requests: { cpu: '2' }, limits: { cpu: '1' } },
              readinessProbe: { periodSeconds: 5 },
            },
          ],
        },
      }),
      [
        'spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive',
        'spec.containers[0].volumeMounts[0].name: Not found: "data"',
        'spec.containers[0].readinessProbe: Required value: must specify a handler type',
        'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
      ],
    ],
    [
      'apps',
      'deployments',
      make({
        spec: {
          replicas: -1,
          selector: { matchLabels: { app: 'other' } },
          template: { metadata: { labels }, spec: { ...podSpec, restartPolicy: 'Never' } },
        },
      }),
      [
        'spec.replicas: Invalid value: -1: must be greater than or equal to 0',
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
        'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
      ],
    ],
    [
      'apps',
      'deployments',
      make({ spec: { template: { metadata: { labels }, spec: podSpec } } }),
      ['spec.selector: Required value'],
    ],
    [
      'apps',
      'deployments',
      workload({ strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 0, maxUnavailable: 0 } } }),
      ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0'],
    ],
    ['', 'services', make({ spec: {} }), ['spec.ports: Required value']],
    [
      '',
      'services',
      make({ spec: { type: 'Nope', ports: [{ port: 80 }, { port: 80, name: 'b' }] } }),
      [
        'spec.ports[0].name: Required value',
        'spec.ports[1]: Duplicate value: {"port":80,"protocol":"TCP"}',
        'spec.type: Unsupported value: "Nope": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
      ],
    ],
    [
      '',
      'configmaps',
      make({ data: { 'a b': '' } }),
      [
        "data[a b]: Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
      ],
    ],
    ['', 'secrets', make({ type: 'kubernetes.io/tls', data: { 'tls.crt': '' } }), ['data[tls.key]: Required value']],
    [
      '',
      'limitranges',
      make({ spec: { limits: [{ type: 'Container', max: { cpu: '1' }, default: { cpu: '2' } }] } }),
      [
        'spec.limits[0].defaultRequest[cpu]: Invalid value: "2": defaultRequest value 2 is greater than max value 1',
        'spec.limits[0].default[cpu]: Invalid value: "2": default value 2 is greater than max value 1',
      ],
    ],
    [
      '',
      'resourcequotas',
      make({ spec: { hard: { pods: '-1' } } }),
      ['spec.hard[pods]: Invalid value: "-1": must be greater than or equal to 0'],
    ],
    [
      'batch',
      'jobs',
      make({
        spec: {
          manualSelector: true,
          selector: { matchLabels: labels },
          template: { metadata: { labels }, spec: podSpec },
        },
      }),
      ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
    ],
    [
      'batch',
      'cronjobs',
      make({
        spec: {
          schedule: '61 * * * *',
          jobTemplate: { spec: { template: { spec: { ...podSpec, restartPolicy: 'OnFailure' } } } },
        },
      }),
      ['spec.schedule: Invalid value: "61 * * * *": end of range (61) above maximum (59): 61'],
    ],
    [
      'rbac.authorization.k8s.io',
      'roles',
      make({ rules: [{ verbs: ['get'], apiGroups: [''] }] }),
      ['rules[0].resources: Required value: resource rules must supply at least one resource'],
    ],
    [
      'rbac.authorization.k8s.io',
      'rolebindings',
      make({ roleRef: { kind: 'Robe', name: 'r' }, subjects: [{ kind: 'ServiceAccount', name: 's' }] }),
      [
        'roleRef.kind: Unsupported value: "Robe": supported values: "ClusterRole", "Role"',
        'subjects[0].namespace: Required value',
      ],
    ],
    [
      'networking.k8s.io',
      'ingresses',
      make({ spec: { rules: [{ http: { paths: [{ path: '/', backend: { service: { name: 's', port: {} } } }] } }] } }),
      [
        'spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified',
        'spec.rules[0].http.paths[0].backend: Required value: port name or number is required',
      ],
    ],
    [
      'scheduling.k8s.io',
      'priorityclasses',
      make({ value: 2_000_000_000 }),
      ['value: Forbidden: maximum allowed value of a user defined priority is 1000000000'],
    ],
    [
      '',
      'persistentvolumeclaims',
      make({ spec: { accessModes: ['RWO'], resources: { requests: { storage: '1Gi' } } } }),
      [
        'spec.accessModes: Unsupported value: "RWO": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"',
      ],
    ],
  ];
  test.each(cases)('%s/%s refuses what is wrong, all of it', (group, resource, object, expected) => {
    expect(texts(create(at(group, resource), object).causes)).toEqual(expected);
  });

  test('what is right passes', () => {
    for (const [group, resource, object] of [
      ['', 'pods', make({ spec: podSpec })],
      ['apps', 'deployments', workload()],
      [
        'apps',
        'statefulsets',
        workload(
          { serviceName: 's', volumeClaimTemplates: [{ metadata: { name: 'd' }, spec: {} }] },
          { containers: [{ ...container, volumeMounts: [{ name: 'd', mountPath: '/d' }] }] },
        ),
      ],
      ['apps', 'daemonsets', workload()],
      ['batch', 'jobs', make({ spec: { template: { spec: { ...podSpec, restartPolicy: 'Never' } } } })],
      [
        'batch',
        'cronjobs',
        make({
          spec: {
            schedule: '*/5 8-18 * jan-mar mon,fri',
            jobTemplate: { spec: { template: { spec: { ...podSpec, restartPolicy: 'Never' } } } },
          },
        }),
      ],
      ['', 'services', make({ spec: { ports: [{ port: 80 }] } })],
      ['', 'services', make({ spec: { type: 'ExternalName', externalName: 'db.example.com' } })],
      ['', 'services', make({ spec: { clusterIP: 'None', clusterIPs: ['None'] } })],
    ] as const)
      expect([resource, texts(create(at(group, resource), object).causes)]).toEqual([resource, []]);
  });
});

describe('what may not change', () => {
  test('a pod: its image and tolerations may, nothing else', () => {
    const strategy = at('', 'pods');
    const old = create(strategy, make({ spec: podSpec })).object as KubeObject & { spec: object };
    const change = (spec: object) =>
      texts(update(strategy, { ...old, spec: { ...old.spec, ...spec } } as KubeObject, old).causes);
    const full = (old.spec as unknown as { containers: object[] }).containers[0];
    expect(change({ containers: [{ ...full, image: 'nginx:2' }] })).toEqual([]);
    expect(change({ tolerations: [{ key: 'a', operator: 'Exists' }] })).toEqual([]);
    expect(change({ activeDeadlineSeconds: 10 })).toEqual([]);
    expect(change({ containers: [{ ...full, command: ['sh'] }] })[0]).toMatch(
      /^spec: Forbidden: pod updates may not change fields other than `spec.containers\[\*\].image`/,
    );
    expect(change({ nodeName: 'n2' })).toHaveLength(1);
    expect(change({ containers: [full, { ...full, name: 'b' }] })).toEqual([
      'spec.containers: Forbidden: pod updates may not add or remove containers',
    ]);
    expect(
      texts(update(strategy, { ...old, spec: { ...old.spec, nodeName: 'n' } } as KubeObject, old, 'status').causes),
    ).toEqual([]);
  });

  test('selectors, roleRef, frozen data, claims', () => {
    const deployments = at('apps', 'deployments');
    const old = create(deployments, workload()).object as KubeObject & { spec: object };
    const moved = { ...old, spec: { ...old.spec, selector: { matchLabels: { app: 'y' } } } } as KubeObject;
    expect(texts(update(deployments, moved, old).causes)[0]).toBe(
      'spec.selector: Invalid value: {"matchLabels":{"app":"y"}}: field is immutable',
    );

    const sts = at('apps', 'statefulsets');
    const set = create(sts, workload()).object as KubeObject & { spec: object };
    expect(update(sts, { ...set, spec: { ...set.spec, replicas: 5 } } as KubeObject, set).causes).toEqual([]);
    expect(
      texts(update(sts, { ...set, spec: { ...set.spec, serviceName: 'z' } } as KubeObject, set).causes)[0],
    ).toMatch(/^spec: Forbidden: updates to statefulset spec/);

    const bindings = at('rbac.authorization.k8s.io', 'rolebindings');
    const bound = create(bindings, make({ roleRef: { kind: 'Role', name: 'a' } })).object;
    expect(
      texts(update(bindings, { ...bound, roleRef: { kind: 'Role', name: 'b' } } as KubeObject, bound).causes)[0],
    ).toContain('cannot change roleRef');

    const maps = at('', 'configmaps');
    const frozen = make({ data: { a: '1' }, immutable: true });
    expect(texts(update(maps, make({ data: { a: '2' }, immutable: true }), frozen).causes)).toEqual([
      'data: Forbidden: field is immutable when `immutable` is set',
    ]);

    const claims = at('', 'persistentvolumeclaims');
    const claim = (storage: string, more = {}) =>
      make({
        spec: {
          accessModes: ['ReadWriteOnce'],
          volumeMode: 'Filesystem',
          resources: { requests: { storage } },
          ...more,
        },
        status: { phase: 'Bound' },
      });
    expect(update(claims, claim('2Gi'), claim('1Gi')).causes).toEqual([]);
    expect(update(claims, claim('1Gi', { volumeName: 'v' }), claim('1Gi')).causes).toEqual([]);
    expect(texts(update(claims, claim('1Gi'), claim('2Gi')).causes)[0]).toContain(
      'can not be less than previous value',
    );
  });

  test('a Job finds its pods by its own uid, and keeps its template', () => {
    const jobs = at('batch', 'jobs');
    const given = {
      metadata: { name: 'j', namespace: 'd', uid: 'u1' },
      spec: { template: { spec: { ...podSpec, restartPolicy: 'Never' } } },
    } as KubeObject;
    const { object, causes } = create(jobs, given);
    expect(causes).toEqual([]);
    expect(object).toMatchObject({
      spec: {
        selector: { matchLabels: { 'batch.kubernetes.io/controller-uid': 'u1' } },
        template: { metadata: { labels: { 'job-name': 'j', 'batch.kubernetes.io/job-name': 'j' } } },
      },
    });
    const spec = (object as unknown as { spec: { template: object } }).spec;
    const other = {
      ...object,
      spec: {
        ...spec,
        template: { ...spec.template, spec: { containers: [{ ...container, image: 'b' }], restartPolicy: 'Never' } },
      },
    };
    expect(texts(update(jobs, other as KubeObject, object).causes)[0]).toMatch(
      /^spec.template: Invalid value: .*field is immutable/,
    );
    expect(update(jobs, { ...object, spec: { ...spec, parallelism: 4 } } as KubeObject, object).causes).toEqual([]);
  });

  test('namespaces keep their finalizers for /finalize; secrets turn stringData into data', () => {
    const ns = create(at('', 'namespaces'), { metadata: { name: 'shop' } }).object;
    expect(ns).toMatchObject({
      metadata: { labels: { 'kubernetes.io/metadata.name': 'shop' } },
      spec: { finalizers: ['kubernetes'] },
      status: { phase: 'Active' },
    });
    const emptied = { ...ns, spec: { finalizers: [] } } as KubeObject;
    expect(update(at('', 'namespaces'), emptied, ns).object).toMatchObject({ spec: { finalizers: ['kubernetes'] } });
    expect(update(at('', 'namespaces'), emptied, ns, 'finalize').object).toMatchObject({ spec: { finalizers: [] } });
    const { object } = create(at('', 'secrets'), make({ stringData: { a: 'x' }, data: { b: 'eQ==' } }));
    expect(object).toMatchObject({ type: 'Opaque', data: { a: 'eA==', b: 'eQ==' } });
    expect(object).not.toHaveProperty('stringData');
  });
});

describe('Services get addresses and ports', () => {
  const world = (serviceCIDR = '10.96.0.0/24', nodePorts = { from: 30000, to: 30003 }) => {
    const allocator = new ServiceAllocator({ serviceCIDR, nodePorts, random: seededRandom(3) });
    const strategy = createBuiltinStrategies({ services: allocator })['/services']!;
    type Spec = { clusterIP: string; clusterIPs: string[]; ports: { nodePort?: number }[]; ipFamilies: string[] };
    const write = (name: string, spec: object, old?: KubeObject, stored = true): KubeObject & { spec: Spec } => {
      const given = make({ spec: { ports: [{ port: 80 }], ...spec } }, name);
      const { object } = old ? update(strategy, given, old) : create(strategy, given);
      const reservation = strategy.reserve!(object, old);
      reservation.finish(stored);
      if (stored) allocator.apply({ resource: '/services', key: `default/${name}`, object: reservation.object });
      return reservation.object as KubeObject & { spec: Spec };
    };
    const remove = (name: string) => allocator.apply({ resource: '/services', key: `default/${name}` });
    return { allocator, strategy, write, remove };
  };
  const refusal = (run: () => unknown): string => {
    try {
      run();
      return '';
    } catch (error) {
      return error instanceof StatusError ? error.message : String(error);
    }
  };

  test('each its own, in range, and kept over an update that does not name it', () => {
    const { write, allocator, strategy } = world();
    expect(allocator.firstAddress).toBe('10.96.0.1');
    const seen = new Set(Array.from({ length: 100 }, (_, i) => write(`s${i}`, {}).spec.clusterIP));
    expect(seen.size).toBe(100);
    expect([...seen].every((ip) => allocator.inRange(ip))).toBe(true);
    const one = write('one', { type: 'NodePort' });
    expect(one.spec).toMatchObject({
      clusterIPs: [one.spec.clusterIP],
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
    });
    const again = write('one', { type: 'NodePort', selector: { a: 'b' } }, one);
    expect([again.spec.clusterIP, again.spec.ports[0]!.nodePort]).toEqual([
      one.spec.clusterIP,
      one.spec.ports[0]!.nodePort,
    ]);
    const inside = write('one', {}, again);
    expect(inside.spec.ports[0]!.nodePort).toBeUndefined();
    expect(texts(strategy.validateUpdate!(inside, again, ''))).toEqual([]);
    const moved = { ...inside, spec: { ...inside.spec, clusterIP: '10.96.0.250', clusterIPs: ['10.96.0.250'] } };
    expect(texts(strategy.validateUpdate!(moved as KubeObject, again, ''))[0]).toBe(
      'spec.clusterIPs[0]: Invalid value: "10.96.0.250": may not change once set',
    );
    const sameName = (spec: object, old: KubeObject) =>
      write('one', { ...(old as { spec?: object }).spec, ...spec }, old);
    const balanced = sameName({ type: 'LoadBalancer' }, inside);
    const outside = sameName({ type: 'ExternalName', externalName: 'a.b' }, balanced);
    expect(texts(strategy.validateUpdate!(outside, balanced, ''))).toEqual([]);
    expect(Object.keys(outside.spec).sort()).toEqual(['externalName', 'ports', 'sessionAffinity', 'type']);
    expect(outside.spec.ports[0]!.nodePort).toBeUndefined();
    expect(sameName({ type: 'ClusterIP', externalName: undefined }, outside).spec.clusterIP).toMatch(/^10\.96\.0\./);
    expect(write('head', { clusterIP: 'None' }).spec).toMatchObject({ clusterIP: 'None', clusterIPs: ['None'] });
    expect(write('ext', { type: 'ExternalName', externalName: 'a.b' }).spec.clusterIP).toBeUndefined();
  });

  test('taken, foreign and exhausted are refused; failed writes and deletions give back', () => {
    const { write, remove } = world();
    write('a', { clusterIP: '10.96.0.9' });
    expect(refusal(() => write('b', { clusterIP: '10.96.0.9' }))).toBe(
      'Service "b" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.9"]: failed to allocate IP 10.96.0.9: provided IP is already allocated',
    );
    expect(refusal(() => write('b', { clusterIP: '10.1.0.9' }))).toContain('does not match the current range');
    expect(refusal(() => write('b', { type: 'NodePort', ports: [{ port: 1, nodePort: 80 }] }))).toContain(
      'The range of valid ports is 30000-30003',
    );
    remove('a');
    write('b', { clusterIP: '10.96.0.9' }, undefined, false);
    expect(write('c', { clusterIP: '10.96.0.9' }).spec.clusterIP).toBe('10.96.0.9');
    for (let i = 0; i < 4; i++) write(`n${i}`, { type: 'NodePort' });
    expect(refusal(() => write('n4', { type: 'NodePort' }))).toContain('range is full');
    remove('n2');
    expect(write('n4', { type: 'NodePort' }).spec.ports[0]!.nodePort).toBeGreaterThanOrEqual(30000);
    expect(refusal(() => new ServiceAllocator({ serviceCIDR: '10.0.0.0', random: seededRandom(1) }))).toContain(
      'not an IPv4 range',
    );
  });
});
