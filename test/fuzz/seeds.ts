import type { KubeObject } from '@trimtab/machinery';

/** Objects that are valid, as the ground that requests are made from; every one lies in one of few places. */
export interface Seed {
  /** Its collection, with the namespace where it has one. */
  readonly path: string;
  readonly object: KubeObject;
}

export const NAMESPACES = ['default', 'fuzz', 'nowhere', 'kube-system'];
export const NAMES = [
  'a',
  'b',
  'c',
  'web',
  'default',
  'kubernetes',
  '0',
  'x.example.com',
  'a-very-long-name-that-still-is-one',
];

const template = {
  metadata: { labels: { app: 'a' }, annotations: { note: 'x' } },
  spec: {
    containers: [
      {
        name: 'main',
        image: 'example.com/app:1',
        env: [
          { name: 'A', value: 'b' },
          { name: 'B', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        ],
        ports: [{ containerPort: 80, name: 'http', protocol: 'TCP' }],
        resources: { requests: { cpu: '10m', memory: '1Gi' }, limits: { cpu: '2' } },
        livenessProbe: { httpGet: { path: '/', port: 'http' }, periodSeconds: 3 },
        volumeMounts: [{ name: 'v', mountPath: '/v' }],
      },
    ],
    initContainers: [{ name: 'first', image: 'i', restartPolicy: 'Always' }],
    volumes: [
      { name: 'v', emptyDir: { sizeLimit: '1Mi' } },
      { name: 'c', configMap: { name: 'a', items: [{ key: 'k', path: 'p' }] } },
    ],
    tolerations: [{ key: 'k', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 3 }],
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: 'k', operator: 'In', values: ['v'] }] }],
        },
      },
    },
    topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'k', whenUnsatisfiable: 'DoNotSchedule' }],
  },
};
const selector = { matchLabels: { app: 'a' } };
const job = { ...template, spec: { ...template.spec, restartPolicy: 'Never', initContainers: [] } };

export const SEEDS: readonly Seed[] = [
  core('configmaps', 'ConfigMap', { data: { a: '1' }, binaryData: { b: 'AAEC' } }),
  core('secrets', 'Secret', { type: 'Opaque', stringData: { token: 'x' } }),
  core('services', 'Service', {
    spec: { selector: { app: 'a' }, ports: [{ port: 80, targetPort: 'http', name: 'w' }] },
  }),
  core('pods', 'Pod', { spec: template.spec }),
  core('serviceaccounts', 'ServiceAccount', { secrets: [{ name: 'a' }] }),
  core('persistentvolumeclaims', 'PersistentVolumeClaim', {
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  }),
  core('limitranges', 'LimitRange', { spec: { limits: [{ type: 'Container', default: { cpu: '1' } }] } }),
  core('resourcequotas', 'ResourceQuota', { spec: { hard: { pods: '1000', 'count/configmaps': '1000' } } }),
  core('endpoints', 'Endpoints', { subsets: [{ addresses: [{ ip: '10.0.0.1' }], ports: [{ port: 80 }] }] }),
  core('replicationcontrollers', 'ReplicationController', { spec: { replicas: 1, selector: { app: 'a' }, template } }),
  core('events', 'Event', { involvedObject: { kind: 'Pod', name: 'a' }, reason: 'R', message: 'm', type: 'Normal' }),
  seed('apps', 'v1', 'deployments', 'Deployment', { spec: { replicas: 2, selector, template } }),
  seed('apps', 'v1', 'statefulsets', 'StatefulSet', { spec: { serviceName: 's', selector, template } }),
  seed('apps', 'v1', 'daemonsets', 'DaemonSet', { spec: { selector, template } }),
  seed('batch', 'v1', 'jobs', 'Job', { spec: { template: job, backoffLimit: 2 } }),
  seed('batch', 'v1', 'cronjobs', 'CronJob', {
    spec: { schedule: '*/5 * * * *', jobTemplate: { spec: { template: job } } },
  }),
  seed('autoscaling', 'v2', 'horizontalpodautoscalers', 'HorizontalPodAutoscaler', {
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'a' },
      maxReplicas: 3,
      metrics: [
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } },
      ],
    },
  }),
  seed('policy', 'v1', 'poddisruptionbudgets', 'PodDisruptionBudget', { spec: { minAvailable: '50%', selector } }),
  seed('networking.k8s.io', 'v1', 'networkpolicies', 'NetworkPolicy', {
    spec: {
      podSelector: selector,
      ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }] }],
    },
  }),
  seed('networking.k8s.io', 'v1', 'ingresses', 'Ingress', {
    spec: {
      rules: [
        {
          host: 'a.example',
          http: {
            paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'a', port: { number: 80 } } } }],
          },
        },
      ],
    },
  }),
  seed('rbac.authorization.k8s.io', 'v1', 'roles', 'Role', {
    rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }],
  }),
  seed('coordination.k8s.io', 'v1', 'leases', 'Lease', {
    spec: { holderIdentity: 'a', renewTime: '2024-01-01T00:00:00.000000Z' },
  }),
  seed('discovery.k8s.io', 'v1', 'endpointslices', 'EndpointSlice', {
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.0.0.1'] }],
    ports: [{ port: 80 }],
  }),
  seed('events.k8s.io', 'v1', 'events', 'Event', {
    eventTime: '2024-01-01T00:00:00.000000Z',
    reportingController: 'a.example/c',
    reportingInstance: 'i',
    action: 'A',
    reason: 'R',
    type: 'Normal',
    regarding: { kind: 'Pod', name: 'a', namespace: 'fuzz' },
  }),
  wide('', 'v1', 'namespaces', 'Namespace', { spec: { finalizers: ['kubernetes'] } }),
  wide('', 'v1', 'nodes', 'Node', {
    spec: { taints: [{ key: 'k', effect: 'NoSchedule' }] },
    status: { capacity: { cpu: '4' } },
  }),
  wide('', 'v1', 'persistentvolumes', 'PersistentVolume', {
    spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/x' } },
  }),
  wide('scheduling.k8s.io', 'v1', 'priorityclasses', 'PriorityClass', { value: 5 }),
  wide('storage.k8s.io', 'v1', 'storageclasses', 'StorageClass', { provisioner: 'a.example/p' }),
  wide('node.k8s.io', 'v1', 'runtimeclasses', 'RuntimeClass', { handler: 'h' }),
  wide('flowcontrol.apiserver.k8s.io', 'v1', 'flowschemas', 'FlowSchema', {
    spec: { priorityLevelConfiguration: { name: 'workload-low' }, matchingPrecedence: 9000, rules: [] },
  }),
  wide('apiextensions.k8s.io', 'v1', 'customresourcedefinitions', 'CustomResourceDefinition', {
    metadata: { name: 'fuzzes.fuzz.example.com' },
    spec: {
      group: 'fuzz.example.com',
      scope: 'Namespaced',
      names: { plural: 'fuzzes', kind: 'Fuzz', shortNames: ['fz'] },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          subresources: { status: {}, scale: { specReplicasPath: '.spec.n', statusReplicasPath: '.status.n' } },
          additionalPrinterColumns: [{ name: 'N', type: 'integer', jsonPath: '.spec.n' }],
          selectableFields: [{ jsonPath: '.spec.s' }],
          schema: {
            openAPIV3Schema: {
              type: 'object',
              properties: {
                spec: {
                  type: 'object',
                  'x-kubernetes-validations': [{ rule: 'self.n < 100 || has(self.s)', message: 'too many' }],
                  properties: {
                    n: { type: 'integer', default: 1, maximum: 1000 },
                    s: { type: 'string', pattern: '^[a-z]*$' },
                    i: { 'x-kubernetes-int-or-string': true },
                    l: {
                      type: 'array',
                      'x-kubernetes-list-type': 'map',
                      'x-kubernetes-list-map-keys': ['k'],
                      items: {
                        type: 'object',
                        required: ['k'],
                        properties: { k: { type: 'string' }, v: { type: 'number' } },
                      },
                    },
                    any: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
                  },
                },
                status: { type: 'object', properties: { n: { type: 'integer' } } },
              },
            },
          },
        },
      ],
    },
  }),
  seed('fuzz.example.com', 'v1', 'fuzzes', 'Fuzz', {
    spec: { n: 3, s: 'a', i: '5%', l: [{ k: 'a', v: 1.5 }], any: { b: [1, { c: null }] } },
  }),
  wide('admissionregistration.k8s.io', 'v1', 'validatingadmissionpolicies', 'ValidatingAdmissionPolicy', {
    spec: {
      matchConstraints: {
        resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'], operations: ['*'] }],
      },
      variables: [{ name: 'd', expression: 'has(object.data) ? object.data : {}' }],
      validations: [
        { expression: "variables.d.all(k, k != 'forbidden')", messageExpression: "'no ' + object.metadata.name" },
      ],
    },
  }),
  wide('admissionregistration.k8s.io', 'v1', 'validatingadmissionpolicybindings', 'ValidatingAdmissionPolicyBinding', {
    spec: { policyName: 'a', validationActions: ['Warn', 'Audit'] },
  }),
  wide('rbac.authorization.k8s.io', 'v1', 'clusterrolebindings', 'ClusterRoleBinding', {
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
    subjects: [{ kind: 'Group', name: 'g', apiGroup: 'rbac.authorization.k8s.io' }],
  }),
  wide('authorization.k8s.io', 'v1', 'subjectaccessreviews', 'SubjectAccessReview', {
    spec: { user: 'u', groups: ['g'], resourceAttributes: { verb: 'get', resource: 'pods' } },
  }),
  wide('authorization.k8s.io', 'v1', 'selfsubjectrulesreviews', 'SelfSubjectRulesReview', {
    spec: { namespace: 'fuzz' },
  }),
  wide('authentication.k8s.io', 'v1', 'tokenreviews', 'TokenReview', { spec: { token: 'ey.ey.ey', audiences: ['a'] } }),
  wide('certificates.k8s.io', 'v1', 'certificatesigningrequests', 'CertificateSigningRequest', {
    spec: {
      request: 'LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K',
      signerName: 'a.example/s',
      usages: ['client auth'],
    },
  }),
];

function wide(group: string, version: string, resource: string, kind: string, body: object): Seed {
  const root = group ? `/apis/${group}/${version}` : `/api/${version}`;
  const apiVersion = group ? `${group}/${version}` : version;
  return { path: `${root}/${resource}`, object: { apiVersion, kind, metadata: { name: 'a' }, ...body } as KubeObject };
}

function seed(group: string, version: string, resource: string, kind: string, body: object): Seed {
  const made = wide(group, version, resource, kind, body);
  const at = made.path.lastIndexOf('/');
  return { ...made, path: `${made.path.slice(0, at)}/namespaces/fuzz${made.path.slice(at)}` };
}

function core(resource: string, kind: string, body: object): Seed {
  return seed('', 'v1', resource, kind, body);
}
