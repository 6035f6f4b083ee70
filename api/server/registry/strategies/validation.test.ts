import type { KubeObject } from '@trimtab/machinery';
import { at, container, create, labels, make, podSpec, texts, workload } from './testing.js';

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
        'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
        'spec.containers[0].readinessProbe: Required value: must specify a handler type',
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
        'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
        'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
      ],
    ],
    [
      'apps',
      'deployments',
      make({ spec: { template: { metadata: { labels }, spec: podSpec } } }),
      [
        'spec.selector: Required value',
        'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
      ],
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
        'spec.type: Unsupported value: "Nope": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
        'spec.ports[1]: Duplicate value: {"port":80,"protocol":"TCP"}',
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
        'spec.limits[0].defaultRequest[cpu]: Invalid value: "2": default request value 2 is greater than max value 1',
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
      'jobs',
      make({
        spec: {
          manualSelector: true,
          selector: { matchLabels: labels },
          backoffLimitPerIndex: 1,
          podFailurePolicy: { rules: [{ action: 'FailJob', onExitCodes: { operator: 'In', values: [0] } }] },
          template: { metadata: { labels }, spec: { ...podSpec, restartPolicy: 'OnFailure' } },
        },
      }),
      [
        'spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode',
        'spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator',
        'spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is specified',
      ],
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

  test('events are told of where they happen, in either of their groups', () => {
    const about = (field: string, namespace: string, own: string) => ({
      metadata: { name: 'e', namespace: own },
      [field]: { kind: 'Pod', namespace },
    });
    const judge = (object: KubeObject) => texts(create(at('', 'events'), object).causes);
    for (const field of ['involvedObject', 'regarding']) {
      expect(judge(about(field, 'shop', 'shop'))).toEqual([]);
      expect(judge(about(field, '', 'default'))).toEqual([]);
      expect(judge(about(field, 'shop', 'other'))).toEqual([
        'involvedObject.namespace: Invalid value: "shop": does not match event.namespace',
      ]);
    }
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
