import { at, container, create, make, texts } from './testing.js';

const judge = (spec: object): readonly string[] =>
  texts(create(at('', 'pods'), make({ spec: { containers: [container], ...spec } })).causes);
const inContainer = (more: object, spec: object = {}) => judge({ containers: [{ ...container, ...more }], ...spec });

describe('pods are judged in upstream’s words: volumes', () => {
  const volume = (source: object) => judge({ volumes: [{ name: 'v', ...source }] });
  test.each([
    [
      { hostPath: { path: '/a/../b' } },
      [`spec.volumes[0].hostPath.path: Invalid value: "/a/../b": must not contain '..'`],
    ],
    [
      { hostPath: { path: '/a', type: 'Odd' } },
      [
        'spec.volumes[0].hostPath.type: Unsupported value: "Odd": supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"',
      ],
    ],
    [
      { nfs: { server: 's', path: 'rel' } },
      ['spec.volumes[0].nfs.path: Invalid value: "rel": must be an absolute path'],
    ],
    [
      { iscsi: { targetPortal: '', iqn: '', lun: 300 } },
      [
        'spec.volumes[0].iscsi.targetPortal: Required value',
        'spec.volumes[0].iscsi.iqn: Required value',
        'spec.volumes[0].iscsi.lun: Invalid value: 300: must be between 0 and 255, inclusive',
      ],
    ],
    [
      { secret: { secretName: 's', defaultMode: 0o1000 } },
      [
        'spec.volumes[0].secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive',
      ],
    ],
    [
      { configMap: { name: 'c', items: [{ key: '', path: '../x' }] } },
      [
        'spec.volumes[0].configMap.items[0].key: Required value',
        `spec.volumes[0].configMap.items[0].path: Invalid value: "../x": must not contain '..'`,
      ],
    ],
    [
      { downwardAPI: { items: [{ path: 'p' }] } },
      ['spec.volumes[0].downwardAPI.items[0]: Required value: one of fieldRef and resourceFieldRef is required'],
    ],
    [
      { projected: { sources: [{ serviceAccountToken: { path: 't', expirationSeconds: 5 } }] } },
      [
        'spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes',
      ],
    ],
    [
      { emptyDir: {}, hostPath: { path: '/x' } },
      ['spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type'],
    ],
    [
      { ephemeral: { volumeClaimTemplate: { spec: { resources: { requests: { storage: '1Gi' } } } } } },
      [
        'spec.volumes[0].ephemeral.volumeClaimTemplate.spec.accessModes: Required value: at least 1 access mode is required',
      ],
    ],
    [
      { csi: { driver: '-x' } },
      [expect.stringMatching(/^spec\.volumes\[0\]\.csi\.driver: Invalid value: "-x": a lowercase RFC 1123 subdomain/)],
    ],
  ])('%j', (source, expected) => {
    expect(volume(source)).toEqual(expected);
  });
  test('a name twice', () => {
    expect(
      judge({
        volumes: [
          { name: 'v', emptyDir: {} },
          { name: 'v', emptyDir: {} },
        ],
      }),
    ).toEqual(['spec.volumes[1].name: Duplicate value: "v"']);
  });
});

describe('pods are judged in upstream’s words: containers', () => {
  test.each([
    [
      { resources: { limits: { 'example.com/gpu': '1500m' }, requests: { 'example.com/gpu': '1500m' } } },
      [
        'spec.containers[0].resources.limits[example.com/gpu]: Invalid value: "1500m": must be an integer',
        'spec.containers[0].resources.requests[example.com/gpu]: Invalid value: "1500m": must be an integer',
      ],
    ],
    [
      { resources: { limits: { 'hugepages-2Mi': '2Mi' } } },
      ['spec.containers[0].resources: Forbidden: HugePages require cpu or memory'],
    ],
    [{ resources: { claims: [{ name: 'gpu' }] } }, ['spec.containers[0].resources.claims[0].name: Not found: "gpu"']],
    [
      { env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'spec.x' } } }] },
      [
        'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "spec.x": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"',
      ],
    ],
    [
      { env: [{ name: 'A', valueFrom: { resourceFieldRef: { resource: 'limits.disk' } } }] },
      [expect.stringMatching(/resourceFieldRef\.resource: Unsupported value: "limits\.disk"/)],
    ],
    [
      { env: [{ name: 'A=B' }] },
      [expect.stringMatching(/^spec\.containers\[0\]\.env\[0\]\.name: Invalid value: "A=B"/)],
    ],
    [
      { lifecycle: { preStop: { sleep: { seconds: 99 } } } },
      [
        'spec.containers[0].lifecycle.preStop.sleep: Invalid value: 99: must be non-negative and less than terminationGracePeriodSeconds (30)',
      ],
    ],
    [
      { livenessProbe: { tcpSocket: { port: 1 }, successThreshold: 2 } },
      ['spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1'],
    ],
    [
      { readinessProbe: { exec: { command: ['a'] }, terminationGracePeriodSeconds: 1 } },
      [
        'spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 1: must not be set for readinessProbes',
      ],
    ],
    [
      { securityContext: { runAsUser: -1, privileged: true, allowPrivilegeEscalation: false } },
      [
        'spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive',
        expect.stringMatching(
          /securityContext: Invalid value: .*: cannot set `allowPrivilegeEscalation` to false and `privileged` to true$/,
        ),
      ],
    ],
    [
      { securityContext: { seccompProfile: { type: 'Localhost' } } },
      [
        'spec.containers[0].securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost',
      ],
    ],
    [
      { volumeDevices: [{ name: 'none', devicePath: '/dev/x' }] },
      ['spec.containers[0].volumeDevices[0].name: Not found: "none"'],
    ],
    [
      { resizePolicy: [{ resourceName: 'disk', restartPolicy: 'NotRequired' }] },
      ['spec.containers[0].resizePolicy: Unsupported value: "disk": supported values: "cpu", "memory"'],
    ],
    [
      { ports: [{ containerPort: 80, hostPort: 80, hostIP: 'x' }] },
      [
        'spec.containers[0].ports[0].hostIP: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
      ],
    ],
    [
      { restartPolicyRules: [{ action: 'Reboot', exitCodes: { operator: 'Is', values: [1] } }, { action: 'Restart' }] },
      [
        'spec.containers[0].restartPolicy: Required value: must specify restartPolicy when restart rules are used',
        'spec.containers[0].restartPolicyRules[0].action: Unsupported value: "Reboot": supported values: "Restart", "RestartAllContainers"',
        'spec.containers[0].restartPolicyRules[0].exitCodes.operator: Unsupported value: "Is": supported values: "In", "NotIn"',
        'spec.containers[0].restartPolicyRules[1].exitCodes: Required value: must be specified',
      ],
    ],
  ])('%j', (more, expected) => {
    expect(inContainer(more)).toEqual(expected);
  });
  test('ephemeral containers are poor ones', () => {
    const one = { name: 'debug', image: 'i', ports: [{ containerPort: 1 }], targetContainerName: 'none' };
    expect(judge({ ephemeralContainers: [one] })).toEqual([
      'spec.ephemeralContainers[0].targetContainerName: Not found: "none"',
      'spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container',
    ]);
  });
});

describe('pods are judged in upstream’s words: the rest', () => {
  test.each([
    [{ dnsPolicy: 'None' }, ['spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None']],
    [
      { dnsConfig: { nameservers: ['1.1.1.1', '1.1.1.2', '1.1.1.3', '1.1.1.4'] } },
      [
        expect.stringMatching(
          /^spec\.dnsConfig\.nameservers: Invalid value: .*: must not have more than 3 nameservers$/,
        ),
      ],
    ],
    [
      {
        securityContext: {
          sysctls: [
            { name: 'kernel.shm_rmid_forced', value: '1' },
            { name: 'kernel.shm_rmid_forced', value: '1' },
            { name: 'a b', value: '' },
          ],
        },
      },
      [
        'spec.securityContext.sysctls[1].name: Duplicate value: "kernel.shm_rmid_forced"',
        expect.stringMatching(
          /^spec\.securityContext\.sysctls\[2\]\.name: Invalid value: "a b": must have at most 253 characters and match regex /,
        ),
      ],
    ],
    [
      { schedulingGates: [{ name: 'example.com/a' }, { name: 'example.com/a' }] },
      ['spec.schedulingGates[1]: Duplicate value: "example.com/a"'],
    ],
    [{ os: { name: 'windows' }, hostPID: true }, ['spec.hostPID: Forbidden: cannot be set for a windows pod']],
    [{ os: { name: 'plan9' } }, ['spec.os: Unsupported value: "plan9": supported values: "linux", "windows"']],
    [
      { shareProcessNamespace: true, hostPID: true },
      ['spec.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled'],
    ],
    [{ hostUsers: false, hostNetwork: true }, ['spec.hostNetwork: Forbidden: when `hostUsers` is false']],
    [
      { topologySpreadConstraints: [{ maxSkew: 0, topologyKey: '', whenUnsatisfiable: 'Perhaps', minDomains: 0 }] },
      [
        'spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero',
        'spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty',
        'spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "Perhaps": supported values: "DoNotSchedule", "ScheduleAnyway"',
        'spec.topologySpreadConstraints[0].minDomains: Invalid value: 0: must be greater than zero',
        'spec.topologySpreadConstraints[0].minDomains: Invalid value: 0: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not Perhaps',
      ],
    ],
    [
      { tolerations: [{ operator: 'Equal', value: 'x' }] },
      [
        expect.stringMatching(
          /^spec\.tolerations\[0\]\.operator: Invalid value: "Equal": operator must be Exists when `key` is empty/,
        ),
      ],
    ],
    [
      { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: '' }] } } },
      [
        'spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value: can not be empty',
      ],
    ],
    [
      { activeDeadlineSeconds: 0 },
      ['spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive'],
    ],
    [
      { preemptionPolicy: 'Sometimes' },
      ['spec.preemptionPolicy: Unsupported value: "Sometimes": supported values: "Never", "PreemptLowerPriority"'],
    ],
    [
      { resourceClaims: [{ name: 'c' }] },
      [expect.stringMatching(/must specify one of: `resourceClaimName`, `resourceClaimTemplateName`$/)],
    ],
    [
      { initContainers: [{ name: 'i', image: 'i', livenessProbe: { tcpSocket: { port: 1 } } }] },
      [
        'spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always',
      ],
    ],
  ])('%j', (spec, expected) => {
    expect(judge(spec)).toEqual(expected);
  });
});

describe('what is taken with a warning', () => {
  const warnings = (spec: object, name = 'x') =>
    at('', 'pods').warnings!(create(at('', 'pods'), make({ spec: { containers: [container], ...spec } }, name)).object);
  test('of a pod', () => {
    const env = [
      { name: 'A', value: '1' },
      { name: 'A', value: '2' },
    ];
    const ports = [{ containerPort: 80 }, { containerPort: 80, name: 'again' }];
    const resources = { limits: { memory: '100m' } };
    expect(
      warnings({
        nodeSelector: { 'beta.kubernetes.io/os': 'linux' },
        volumes: [{ name: 'g', gitRepo: { repository: 'r' } }],
        containers: [{ ...container, env, ports, resources }],
      }),
    ).toEqual([
      'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead',
      'spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+',
      'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply',
      'spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]',
      'spec.containers[0].resources.limits[memory]: fractional byte value "100m" is invalid, must be an integer',
      'spec.containers[0].resources.requests[memory]: fractional byte value "100m" is invalid, must be an integer',
    ]);
    expect(warnings({}, 'a.b')).toEqual([
      expect.stringMatching(/^metadata\.name: this is used in Pod names and hostnames/),
    ]);
    expect(warnings({})).toEqual([]);
  });
});
