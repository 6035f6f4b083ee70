import { at, create, make, texts, update } from './testing.js';

/** Kinds other than pods and workloads, refused in upstream's words; each case names all that is wrong. */

const cases: readonly (readonly [resource: string, object: object, expected: readonly unknown[]])[] = [
  [
    '/persistentvolumes',
    { spec: { accessModes: ['ReadWriteOnce'], capacity: { storage: '0' }, nfs: { server: '', path: 'x' } } },
    [
      'spec.capacity[storage]: Invalid value: "0": must be greater than zero',
      'spec.nfs.server: Required value',
      'spec.nfs.path: Invalid value: "x": must be an absolute path',
    ],
  ],
  [
    '/persistentvolumes',
    { spec: { accessModes: ['ReadWriteOnce'], capacity: { storage: '1' }, local: { path: '/d' } } },
    ['spec.nodeAffinity: Required value: Local volume requires node affinity'],
  ],
  [
    '/endpoints',
    { subsets: [{ addresses: [{ ip: '127.0.0.1' }], ports: [{ port: 0 }] }, {}] },
    [
      'subsets[0].addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
      'subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive',
      'subsets[1]: Required value: must specify `addresses` or `notReadyAddresses`',
    ],
  ],
  [
    'discovery.k8s.io/endpointslices',
    { addressType: 'IPv4', endpoints: [{ addresses: ['::1'] }] },
    ['endpoints[0].addresses[0]: Invalid value: "::1": must be a valid IPv4 address'],
  ],
  [
    'networking.k8s.io/ingresses',
    { spec: { rules: [{ host: '*.*', http: { paths: [] } }] } },
    [
      expect.stringMatching(
        /^spec\.rules\[0\]\.host: Invalid value: "\*\.\*": a wildcard DNS-1123 subdomain must start with/,
      ),
      'spec.rules[0].http.paths: Required value',
    ],
  ],
  [
    'networking.k8s.io/ingressclasses',
    { spec: { controller: 'plain', parameters: { kind: 'K', name: 'n', scope: 'Namespace' } } },
    [
      'spec.controller: Invalid value: "plain": must be a domain-prefixed path (such as "acme.io/foo")',
      "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
    ],
  ],
  [
    'networking.k8s.io/networkpolicies',
    {
      spec: {
        podSelector: {},
        ingress: [{ from: [{}], ports: [{ endPort: 5 }] }],
        egress: [{ to: [{ ipBlock: { cidr: '10.0.0.0/33' } }] }],
      },
    },
    [
      'spec.ingress[0].ports[0].endPort: Invalid value: 5: may not be specified when `port` is not specified',
      'spec.ingress[0].from[0]: Required value: must specify a peer',
      'spec.egress[0].to[0].ipBlock.cidr: Invalid value: "10.0.0.0/33": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
    ],
  ],
  [
    'networking.k8s.io/servicecidrs',
    { spec: { cidrs: [] } },
    ['spec.cidrs: Required value: at least one CIDR required'],
  ],
  [
    'networking.k8s.io/ipaddresses',
    { spec: { parentRef: { name: 'x' } } },
    [
      'metadata.name: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
      'spec.parentRef.resource: Required value',
    ],
  ],
  [
    'autoscaling/horizontalpodautoscalers',
    { spec: { minReplicas: 0, maxReplicas: 0, scaleTargetRef: {}, metrics: [{ type: 'Pods' }, { type: 'Odd' }] } },
    [
      'spec.minReplicas: Invalid value: 0: must be greater than or equal to 1',
      'spec.maxReplicas: Invalid value: 0: must be greater than 0',
      'spec.scaleTargetRef.kind: Required value',
      'spec.scaleTargetRef.name: Required value',
      'spec.metrics[0].pods: Required value: must populate information for the given metric source',
      'spec.metrics[1].type: Unsupported value: "Odd": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"',
    ],
  ],
  [
    'flowcontrol.apiserver.k8s.io/flowschemas',
    { spec: { matchingPrecedence: 20_000, rules: [{ subjects: [{ kind: 'User' }] }] } },
    [
      'spec.matchingPrecedence: Invalid value: 20000: must not be greater than 10000',
      'spec.priorityLevelConfiguration.name: Required value: must reference a priority level',
      "spec.rules[0].subjects[0].user: Required value: user is required when subject kind is 'User'",
      'spec.rules[0]: Required value: at least one of resourceRules and nonResourceRules has to be non-empty',
    ],
  ],
  [
    'flowcontrol.apiserver.k8s.io/prioritylevelconfigurations',
    { spec: { type: 'Limited' } },
    ['spec.limited: Required value: must not be empty when type is Limited'],
  ],
  [
    'storage.k8s.io/csinodes',
    {
      spec: {
        drivers: [
          { name: 'd', nodeID: '' },
          { name: 'd', nodeID: 'n' },
        ],
      },
    },
    ['spec.drivers[0].nodeID: Required value', 'spec.drivers[1].name: Duplicate value: "d"'],
  ],
  [
    'storage.k8s.io/volumeattachments',
    { spec: { attacher: 'a', nodeName: '', source: {} } },
    [
      'spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName',
      'spec.nodeName: Required value',
    ],
  ],
  [
    'resource.k8s.io/resourceclaims',
    { spec: { devices: { requests: [{ name: 'r' }, { name: 'r', exactly: { deviceClassName: 'c', count: -1 } }] } } },
    [
      'spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required',
      'spec.devices.requests[1].exactly.count: Invalid value: -1: must be greater than zero',
      'spec.devices.requests[1].name: Duplicate value: "r"',
    ],
  ],
  [
    'apps/controllerrevisions',
    { revision: -1 },
    ['data: Required value: data is mandatory', 'revision: Invalid value: -1: must be greater than or equal to 0'],
  ],
  [
    'apiregistration.k8s.io/apiservices',
    { spec: { group: 'g', version: 'v1', groupPriorityMinimum: 0, versionPriority: 1 } },
    [
      'metadata.name: Invalid value: "x": must be `spec.version+"."+spec.group`: "v1.g"',
      'spec.groupPriorityMinimum: Invalid value: 0: must be between 1 and 20000, inclusive',
    ],
  ],
];

test.each(cases)('%s %j', (resource, object, expected) => {
  const [group = '', plural = ''] = resource.split('/');
  expect(texts(create(at(group, plural), make(object)).causes)).toEqual(expected);
});

describe('rule 40: what may not change of them', () => {
  test.each([
    [
      'networking.k8s.io',
      'ingressclasses',
      { spec: { controller: 'a.b/c' } },
      { spec: { controller: 'a.b/d' } },
      'spec.controller: Invalid value: "a.b/d": field is immutable',
    ],
    [
      'node.k8s.io',
      'runtimeclasses',
      { handler: 'a' },
      { handler: 'b' },
      'handler: Invalid value: "b": field is immutable',
    ],
    [
      'apps',
      'controllerrevisions',
      { data: { a: 1 }, revision: 1 },
      { data: { a: 2 }, revision: 1 },
      'data: Invalid value: {"a":2}: field is immutable',
    ],
    [
      'storage.k8s.io',
      'storageclasses',
      { provisioner: 'a' },
      { provisioner: 'b' },
      'provisioner: Forbidden: updates to provisioner are forbidden.',
    ],
    [
      'discovery.k8s.io',
      'endpointslices',
      { addressType: 'IPv4' },
      { addressType: 'IPv6' },
      'addressType: Invalid value: "IPv6": field is immutable',
    ],
    [
      'scheduling.k8s.io',
      'priorityclasses',
      { value: 1 },
      { value: 2 },
      'value: Forbidden: may not be changed in an update.',
    ],
  ])('%s/%s', (group, resource, before, after, expected) => {
    const strategy = at(group, resource);
    const old = create(strategy, make(before)).object;
    expect(texts(update(strategy, make(after), old).causes)).toEqual([expected]);
  });
});
