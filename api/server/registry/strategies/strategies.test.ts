import type { KubeObject } from '@trimtab/machinery';
import { qosClass } from './pod.js';
import { pullPolicyFor } from './pod-defaults.js';
import { at, container, create, make, podSpec, texts, update, workload } from './testing.js';

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

  test('autoscalers scale by CPU, in the words of their version', () => {
    const spec = (apiVersion: string) =>
      (
        create(at('autoscaling', 'horizontalpodautoscalers'), { apiVersion, ...make({ spec: { maxReplicas: 3 } }) })
          .object as unknown as {
          spec: object;
        }
      ).spec;
    expect(spec('autoscaling/v1')).toEqual({ maxReplicas: 3, minReplicas: 1, targetCPUUtilizationPercentage: 80 });
    expect(spec('autoscaling/v2')).toEqual({
      maxReplicas: 3,
      minReplicas: 1,
      metrics: [expect.objectContaining({ type: 'Resource' })],
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
