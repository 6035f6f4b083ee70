import type { KubeObject } from '@trimtab/machinery';
import { at, create, labels, make, podSpec, texts, update, workload } from './testing.js';

/** Workloads and Jobs, refused in upstream's words; each case names all that is wrong. */

const once = { ...podSpec, restartPolicy: 'Never' };
const job = (spec: object, pod: object = once, name = 'x') =>
  make({ spec: { template: { spec: pod }, ...spec } }, name);
const indexed = { completionMode: 'Indexed', completions: 3 };

const cases: readonly (readonly [resource: string, object: KubeObject, expected: readonly unknown[]])[] = [
  ['apps/deployments', workload(), []],
  [
    'apps/deployments',
    workload({ strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: '0%' } } }),
    ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0'],
  ],
  [
    'apps/replicasets',
    workload({}, { ...podSpec, activeDeadlineSeconds: 5 }),
    ['spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported'],
  ],
  ['/replicationcontrollers', make({ spec: { selector: { a: 'b' } } }), ['spec.template: Required value']],
  [
    'apps/statefulsets',
    workload({
      podManagementPolicy: 'Random',
      updateStrategy: { type: 'OnDelete', rollingUpdate: { partition: 1 } },
      ordinals: { start: -1 },
    }),
    [
      `spec.podManagementPolicy: Invalid value: "Random": must be 'OrderedReady' or 'Parallel'`,
      `spec.updateStrategy.rollingUpdate: Invalid value: {"partition":1}: only allowed for updateStrategy 'RollingUpdate'`,
      'spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0',
    ],
  ],
  [
    'apps/statefulsets',
    workload({ updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0 } } }),
    ['spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: 0: cannot be 0'],
  ],
  [
    'apps/daemonsets',
    workload({ updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 1 } } }),
    ['spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when `maxUnavailable` is non-zero'],
  ],
  [
    'apps/daemonsets',
    workload({ updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '0%' } } }),
    ['spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when `maxSurge` is 0'],
  ],
  ['batch/jobs', job({}), []],
  [
    'batch/jobs',
    job({ selector: { matchLabels: { a: 'b' } } }),
    [
      expect.stringMatching(/^spec\.selector: Invalid value: .*: `selector` not auto-generated$/),
      expect.stringMatching(/^spec\.template\.metadata\.labels: .*`selector` does not match template `labels`$/),
    ],
  ],
  [
    'batch/jobs',
    job({ ...indexed, completions: 100 }, once, 'a'.repeat(62)),
    [expect.stringMatching(/^metadata\.name: .*: will not able to create pod with invalid DNS label: a+-99$/)],
  ],
  [
    'batch/jobs',
    job({ completionMode: 'Indexed', parallelism: 100_001, managedBy: 'me' }),
    [
      'spec.managedBy: Invalid value: "me": must be a domain-prefixed path (such as "acme.io/foo")',
      'spec.completions: Required value: when completion mode is Indexed',
      'spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed',
    ],
  ],
  [
    'batch/jobs',
    job({ ...indexed, completions: 100_001, parallelism: 10_001, backoffLimitPerIndex: 1 }),
    [
      'spec.maxFailedIndexes: Required value: must be specified when completions is above 100000',
      'spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index',
    ],
  ],
  [
    'batch/jobs',
    job({
      podReplacementPolicy: 'TerminatingOrFailed',
      podFailurePolicy: {
        rules: [
          { action: '', onExitCodes: { operator: 'Is', containerName: 'no', values: [2, 1, 1] } },
          {
            action: 'Count',
            onPodConditions: [{ type: 'A', status: 'Maybe' }],
            onExitCodes: { operator: 'In', values: [] },
          },
          { action: 'FailIndex' },
        ],
      },
    }),
    [
      'spec.podFailurePolicy.rules[0].action: Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]',
      'spec.podFailurePolicy.rules[0].onExitCodes.operator: Unsupported value: "Is": supported values: "In", "NotIn"',
      'spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: "no": must be one of the container or initContainer names in the pod template',
      'spec.podFailurePolicy.rules[0].onExitCodes.values[2]: Duplicate value: 1',
      'spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [2,1,1]: must be ordered',
      'spec.podFailurePolicy.rules[1].onExitCodes.values: Invalid value: []: at least one value is required',
      'spec.podFailurePolicy.rules[1].onPodConditions[0].status: Unsupported value: "Maybe": supported values: "False", "True", "Unknown"',
      'spec.podFailurePolicy.rules[1]: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported',
      'spec.podFailurePolicy.rules[2].action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set',
      'spec.podFailurePolicy.rules[2]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required',
      'spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"',
    ],
  ],
  [
    'batch/jobs',
    job({
      ...indexed,
      successPolicy: {
        rules: [
          {},
          { succeededIndexes: '0-1-2' },
          { succeededIndexes: '2,1' },
          { succeededIndexes: '0-3' },
          { succeededIndexes: 'x' },
          { succeededIndexes: '0,2', succeededCount: 3 },
          { succeededIndexes: '0-2', succeededCount: 3 },
        ],
      },
    }),
    [
      'spec.successPolicy.rules[0]: Required value: at least one of succeededCount or succeededIndexes must be specified',
      `spec.successPolicy.rules[1].succeededIndexes: Invalid value: "0-1-2": error parsing succeededIndexes: the fragment "0-1-2" violates the requirement that an index interval can have at most two parts separated by '-'`,
      'spec.successPolicy.rules[2].succeededIndexes: Invalid value: "2,1": error parsing succeededIndexes: non-increasing order, previous: 2, current: 1',
      'spec.successPolicy.rules[3].succeededIndexes: Invalid value: "0-3": error parsing succeededIndexes: too large index: "3"',
      'spec.successPolicy.rules[4].succeededIndexes: Invalid value: "x": error parsing succeededIndexes: cannot convert string to integer for index: "x"',
      'spec.successPolicy.rules[5].succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)',
    ],
  ],
  [
    'batch/cronjobs',
    make({
      spec: {
        schedule: 'TZ=UTC * * * * *',
        timeZone: 'local',
        jobTemplate: { spec: { selector: { matchLabels: labels }, manualSelector: true, template: { spec: once } } },
      },
    }),
    [
      'spec.schedule: Invalid value: "TZ=UTC * * * * *": cannot use both timeZone field and TZ or CRON_TZ in schedule',
      'spec.timeZone: Invalid value: "local": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones',
      'spec.jobTemplate.spec.selector: Invalid value: {"matchLabels":{"app":"web"}}: `selector` will be auto-generated',
      'spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: "nil", "false"',
    ],
  ],
];

const strategyOf = (resource: string) => at(...(resource.split('/') as [string, string]));

test.each(cases)('%s: %j', (resource, object, expected) => {
  expect(texts(create(strategyOf(resource), object).causes)).toEqual(expected);
});

describe('a Job that has been made', () => {
  const jobs = at('batch', 'jobs');
  const of = (spec: object) => create(jobs, job(spec)).object as KubeObject & { spec: Record<string, unknown> };
  const change = (old: KubeObject & { spec: object }, spec: object) =>
    texts(update(jobs, { ...old, spec: { ...old.spec, ...spec } } as KubeObject, old).causes);

  test('grows its completions only with its parallelism, and only by index', () => {
    expect(change(of(indexed), { completions: 5, parallelism: 5 })).toEqual([]);
    expect(change(of(indexed), { completions: 5 })).toEqual([
      'spec.completions: Invalid value: 5: can only be modified in tandem with spec.parallelism',
    ]);
    expect(change(of({ completions: 2 }), { completions: 3 })).toEqual([
      'spec.completions: Invalid value: 3: field is immutable',
    ]);
    expect(change(of(indexed), { successPolicy: { rules: [{ succeededCount: 1 }] }, managedBy: 'a.b/c' })).toEqual([
      'spec.managedBy: Invalid value: "a.b/c": field is immutable',
      'spec.successPolicy: Invalid value: {"rules":[{"succeededCount":1}]}: field is immutable',
    ]);
  });

  test('lets its pods be placed anew as long as it is suspended and has not begun', () => {
    const placed = (old: KubeObject & { spec: Record<string, unknown> }) => {
      const template = old.spec.template as { metadata: object; spec: object };
      return {
        template: {
          metadata: { ...template.metadata, annotations: { a: 'b' } },
          spec: {
            ...template.spec,
            nodeSelector: { zone: 'a' },
            affinity: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] } },
          },
        },
      };
    };
    const waiting = of({ suspend: true });
    expect(change(waiting, placed(waiting))).toEqual([]);
    const running = of({});
    expect(change(running, placed(running))).toEqual([
      expect.stringMatching(/^spec\.template: Invalid value: .*: field is immutable$/),
    ]);
  });
});
