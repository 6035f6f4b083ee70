import type { KubeObject } from '@trimtab/machinery';
import { at, create, make, texts, update } from './testing.js';

/** Nodes, quotas, events and leases, refused in upstream's words; each case names all that is wrong. */

const modern = (rest: object) =>
  make({
    apiVersion: 'events.k8s.io/v1',
    regarding: { kind: 'Pod', name: 'p', namespace: 'default' },
    eventTime: '2026-01-01T00:00:00.000000Z',
    type: 'Normal',
    reason: 'Tested',
    action: 'Testing',
    reportingController: 'example.com/tester',
    reportingInstance: 'tester-1',
    ...rest,
  });
const quota = (hard: object, more: object = {}) => make({ spec: { hard, ...more } });
const limit = (item: object) => make({ spec: { limits: [item] } });

const cases: readonly (readonly [resource: string, object: KubeObject, expected: readonly unknown[]])[] = [
  [
    '/nodes',
    make({
      spec: {
        podCIDRs: ['10.0.0.0/24', '10.0.1.0/24'],
        taints: [
          { key: 'a', value: '-', effect: 'NoSchedule' },
          { key: 'a', effect: 'NoSchedule' },
          { key: 'b', effect: '' },
        ],
      },
    }),
    [
      expect.stringMatching(/^spec\.taints\[0\]\.value: Invalid value: "-": a valid label must be/),
      'spec.taints[1]: Duplicate value: {"key":"a","effect":"NoSchedule"}: taints must be unique by key and effect pair',
      'spec.taints[2].effect: Required value',
      'spec.podCIDRs: Invalid value: ["10.0.0.0/24","10.0.1.0/24"]: may specify no more than one CIDR for each IP family',
    ],
  ],
  [
    '/resourcequotas',
    quota({ pods: '5', 'requests.cpu': '1', 'count/deployments.apps': '2', 'requests.x.io/gpu': '4' }),
    [],
  ],
  [
    '/resourcequotas',
    quota({ pods: '1500m', wings: '2', 'a.storageclass.storage.k8s.io/requests.storage': '1Gi' }),
    [
      'spec.hard[pods]: Invalid value: "1500m": must be an integer',
      'spec.hard[wings]: Invalid value: "wings": must be a standard resource type or fully qualified',
      'spec.hard[wings]: Invalid value: "wings": must be a standard resource for quota',
    ],
  ],
  [
    '/resourcequotas',
    quota({ secrets: '1' }, { scopes: ['Terminating', 'NotTerminating', 'Odd'] }),
    [
      'spec.scopes: Invalid value: ["Terminating","NotTerminating","Odd"]: unsupported scope applied to resource',
      'spec.scopes: Invalid value: ["Terminating","NotTerminating","Odd"]: unsupported scope applied to resource',
      'spec.scopes: Invalid value: ["Terminating","NotTerminating","Odd"]: unsupported scope',
      'spec.scopes: Invalid value: ["Terminating","NotTerminating","Odd"]: conflicting scopes',
    ],
  ],
  [
    '/resourcequotas',
    quota(
      { pods: '1' },
      {
        scopeSelector: {
          matchExpressions: [
            { scopeName: 'BestEffort', operator: 'In', values: ['x'] },
            { scopeName: 'PriorityClass', operator: 'In' },
          ],
        },
      },
    ),
    [
      expect.stringMatching(
        /^spec\.scopeSelector\.matchExpressions\.operator: Invalid value: "In": must be 'Exist' when/,
      ),
      "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
    ],
  ],
  [
    '/limitranges',
    limit({ type: 'Pod', default: { cpu: '1' }, max: { wings: '1' } }),
    [
      'spec.limits[0].max[wings]: Invalid value: "wings": must be a standard resource type or fully qualified',
      'spec.limits[0].max[wings]: Invalid value: "wings": must be a standard resource for containers',
      "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
    ],
  ],
  [
    '/limitranges',
    limit({ type: 'PersistentVolumeClaim' }),
    [
      'spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided',
    ],
  ],
  [
    '/limitranges',
    limit({ type: 'Container', min: { cpu: '1' }, max: { cpu: '2' }, maxLimitRequestRatio: { cpu: '3' } }),
    ['spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than max/min = 2.000000'],
  ],
  ['/events', modern({}), []],
  [
    '/events',
    modern({
      eventTime: undefined,
      type: 'Loud',
      series: { count: 1 },
      deprecatedCount: 2,
      deprecatedSource: { host: 'h' },
    }),
    [
      'series.count: Invalid value: "": should be at least 2',
      'series.lastObservedTime: Required value',
      'eventTime: Required value',
      'type: Invalid value: "": has invalid value: Loud',
      'count: Invalid value: "": needs to be unset',
      'source: Invalid value: "": needs to be unset',
    ],
  ],
  [
    '/events',
    modern({ reportingInstance: 'i'.repeat(129), action: '', note: 'n'.repeat(1025) }),
    [
      'reportingInstance: Invalid value: "": can have at most 128 characters',
      'action: Required value',
      'message: Invalid value: "": can have at most 1024 characters',
    ],
  ],
  [
    'coordination.k8s.io/leases',
    make({ spec: { preferredHolder: 'b', leaseTransitions: -1 } }),
    [
      'spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0',
      'spec.preferredHolder: Forbidden: may only be specified if `strategy` is defined',
    ],
  ],
  [
    'coordination.k8s.io/leasecandidates',
    make({ spec: { leaseName: 'l', binaryVersion: 'one', strategy: 'OldestEmulationVersion' } }),
    [
      'spec.binaryVersion: Invalid value: "one": must be a semantic version',
      "spec.emulationVersion: Required value: must be specified when `strategy` is 'OldestEmulationVersion'",
    ],
  ],
  [
    'rbac.authorization.k8s.io/rolebindings',
    make({
      roleRef: { kind: 'Role', name: 'a/b' },
      subjects: [{ kind: 'ServiceAccount', name: 'A', namespace: 'x' }],
    }),
    [
      expect.stringMatching(/^roleRef\.name: Invalid value: "a\/b": may not contain '\/'/),
      expect.stringMatching(/^subjects\[0\]\.name: Invalid value: "A": a lowercase RFC 1123 subdomain/),
    ],
  ],
];

const strategyOf = (resource: string) => at(...(resource.split('/') as [string, string]));

test.each(cases)('%s: %j', (resource, object, expected) => {
  expect(texts(create(strategyOf(resource), object).causes)).toEqual(expected);
});

test('what a node and an event have said once', () => {
  const node = make({ spec: { podCIDRs: ['10.0.0.0/24'], providerID: 'p://1' } });
  expect(texts(update(at('', 'nodes'), make({ spec: {} }), node).causes)).toEqual([
    'spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid',
    'spec.providerID: Forbidden: node updates may not change providerID except from "" to valid',
  ]);
  const events = at('', 'events');
  expect(texts(update(events, modern({ reason: 'Other' }), modern({})).causes)).toEqual([
    'reason: Invalid value: "Other": field is immutable',
  ]);
  const series = { count: 2, lastObservedTime: '2026-01-01T00:00:01.000000Z' };
  expect(texts(update(events, modern({ series }), modern({})).causes)).toEqual([]);
});
