import { at, create, make, texts, update } from './testing.js';

/** Services, refused in upstream's words; each case names all that is wrong. */

const strategy = at('', 'services');
const service = (spec: object, annotations?: Record<string, string>) => {
  const made = make({ spec: { ports: [{ port: 80 }], ...spec } });
  return annotations ? { ...made, metadata: { ...made.metadata, annotations } } : made;
};
const wrong = (spec: object, annotations?: Record<string, string>) =>
  texts(create(strategy, service(spec, annotations)).causes);

describe('a Service is judged as a whole', () => {
  const cases: readonly (readonly [object, readonly string[]])[] = [
    [{}, []],
    [{ ports: undefined }, ['spec.ports: Required value']],
    [{ ports: undefined, clusterIP: 'None' }, []],
    [
      {
        type: 'ExternalName',
        ports: [],
        clusterIPs: ['10.0.0.1'],
        ipFamilies: ['IPv4'],
        ipFamilyPolicy: 'SingleStack',
      },
      [
        'spec.clusterIPs: Forbidden: may not be set for ExternalName services',
        'spec.ipFamilies: Forbidden: may not be set for ExternalName services',
        'spec.ipFamilyPolicy: Forbidden: may not be set for ExternalName services',
        'spec.externalName: Required value',
      ],
    ],
    [{ type: 'ExternalName', externalName: 'db.example.com.' }, []],
    [
      { type: 'LoadBalancer', ports: [{ port: 10250 }] },
      ['spec.ports[0]: Invalid value: 10250: may not expose port 10250 externally since it is used by kubelet'],
    ],
    [
      { sessionAffinity: 'None', sessionAffinityConfig: { clientIP: { timeoutSeconds: 5 } } },
      // Forgotten with the affinity.
      [],
    ],
    [
      { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 86401 } } },
      [
        'spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400',
      ],
    ],
    [
      { clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.2'] },
      ['spec.clusterIPs: Invalid value: ["10.0.0.2"]: first value must match `clusterIP`'],
    ],
    [
      { clusterIPs: ['10.0.0.2'] },
      ['spec.clusterIPs: Invalid value: ["10.0.0.2"]: must be empty when `clusterIP` is not specified'],
    ],
    [
      { clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.1', '10.0.0.2'], ipFamilies: ['IPv6', 'IPv6'] },
      [
        'spec.ipFamilies[1]: Duplicate value: "IPv6"',
        'spec.clusterIPs: Invalid value: ["10.0.0.1","10.0.0.2"]: may specify no more than one IP for each IP family',
        'spec.clusterIPs[0]: Invalid value: "10.0.0.1": expected an IPv6 value as indicated by `ipFamilies[0]`',
        'spec.clusterIPs[1]: Invalid value: "10.0.0.2": expected an IPv6 value as indicated by `ipFamilies[1]`',
      ],
    ],
    [
      { clusterIP: 'None', clusterIPs: ['None', '10.0.0.1'] },
      [`spec.clusterIPs: Invalid value: ["None","10.0.0.1"]: 'None' must be the first and only value`],
    ],
    [
      { clusterIP: 'None', type: 'NodePort' },
      [`spec.clusterIPs[0]: Invalid value: "None": may not be set to 'None' for NodePort services`],
    ],
    [
      { externalIPs: ['127.0.0.1', 'x'] },
      [
        'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
        'spec.externalIPs[1]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
      ],
    ],
    [
      {
        type: 'NodePort',
        ports: [
          { name: 'a', port: 80, nodePort: 30000 },
          { name: 'a', port: 81, nodePort: 30000, appProtocol: '//' },
        ],
      },
      [
        'spec.ports[1].name: Duplicate value: "a"',
        expect.stringMatching(
          /^spec\.ports\[1\]\.appProtocol: Invalid value: "\/\/": a qualified name must consist of/,
        ),
        'spec.ports[1].nodePort: Duplicate value: 30000',
      ] as string[],
    ],
    [
      { ports: [{ port: 80, nodePort: 30000 }] },
      ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
    ],
    [
      { loadBalancerSourceRanges: ['10.0.0.0/33'], allocateLoadBalancerNodePorts: true, loadBalancerClass: 'a/b' },
      [
        "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
        'spec.LoadBalancerSourceRanges[0]: Invalid value: "10.0.0.0/33": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
        "spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'",
        "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
      ],
    ],
    [
      { externalTrafficPolicy: 'Local', healthCheckNodePort: 30100, trafficDistribution: 'Near' },
      [
        'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services',
        "spec.healthCheckNodePort: Invalid value: 30100: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        'spec.trafficDistribution: Unsupported value: "Near": supported values: "PreferClose", "PreferSameNode", "PreferSameZone"',
      ],
    ],
    [{ type: 'LoadBalancer', externalTrafficPolicy: 'Local' }, ['spec.healthCheckNodePort: Required value']],
  ];
  test.each(cases)('%j', (spec, expected) => {
    expect(wrong(spec)).toEqual(expected);
  });

  test('annotations that stand for fields', () => {
    const ranges = 'service.beta.kubernetes.io/load-balancer-source-ranges';
    expect(wrong({ type: 'LoadBalancer' }, { [ranges]: '10.0.0.0/8, x' })).toEqual([
      `metadata.annotations[${ranges}]: Invalid value: "10.0.0.0/8, x": must be a list of IP ranges. For example, 10.240.0.0/24,10.250.0.0/24`,
    ]);
    expect(wrong({}, { [ranges]: '10.0.0.0/8' })).toEqual([
      `metadata.annotations[${ranges}]: Forbidden: may only be used when \`type\` is 'LoadBalancer'`,
    ]);
    expect(
      wrong(
        {},
        { 'service.kubernetes.io/topology-mode': 'Auto', 'service.kubernetes.io/topology-aware-hints': 'disabled' },
      ),
    ).toEqual([
      'metadata.annotations[service.kubernetes.io/topology-mode]: Invalid value: "Auto": must match annotations[service.kubernetes.io/topology-aware-hints] when both are specified',
    ]);
  });
});

describe('a Service keeps what it was given', () => {
  const old = create(
    strategy,
    service({ clusterIP: '10.0.0.1', ipFamilies: ['IPv4'], ipFamilyPolicy: 'SingleStack' }),
  ).object;
  const change = (spec: object, before = old) =>
    texts(
      update(strategy, make({ ...before, spec: { ...(before as { spec?: object }).spec, ...spec } }), before).causes,
    );

  test('the first address and family', () => {
    expect(change({ clusterIP: 'None' })).toEqual([
      'spec.clusterIPs[0]: Invalid value: ["None"]: may not change once set',
    ]);
    expect(change({ clusterIP: '', clusterIPs: [] })).toEqual([]);
    expect(change({ ipFamilies: ['IPv6'] })).toContain(
      'spec.ipFamilies[0]: Invalid value: ["IPv6"]: may not change once set',
    );
    const dual = create(
      strategy,
      service({
        clusterIP: '10.0.0.1',
        clusterIPs: ['10.0.0.1', 'fd00::1'],
        ipFamilies: ['IPv4', 'IPv6'],
        ipFamilyPolicy: 'PreferDualStack',
      }),
    ).object;
    expect(change({ clusterIPs: ['10.0.0.1'], ipFamilies: ['IPv4'] }, dual)).toEqual([
      `spec.ipFamilyPolicy: Invalid value: "PreferDualStack": must be set to 'SingleStack' when releasing the secondary clusterIP`,
      `spec.ipFamilyPolicy: Invalid value: "PreferDualStack": must be set to 'SingleStack' when releasing the secondary ipFamily`,
    ]);
  });

  test('the class of its load balancer', () => {
    const balanced = create(strategy, service({ type: 'LoadBalancer', loadBalancerClass: 'a.b/c' })).object;
    expect(change({ loadBalancerClass: 'a.b/d' }, balanced)).toEqual([
      'spec.loadBalancerClass: Invalid value: "a.b/d": may not change once set',
    ]);
  });
});
