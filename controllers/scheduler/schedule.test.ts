import type { Pod } from '@trimtab/machinery';
import { binpackProfile, defaultProfile, randomProfile, spreadProfile } from './profile.js';
import { enoughNodes } from './schedule.js';
import { node, type PodSpec, picture, place, placeIn, pod, taint } from './testing.js';

test('without nodes nothing can be scheduled', () => {
  expect(place(pod())).toBe('no nodes available to schedule pods');
});

test('reasons are counted over the nodes as kube-scheduler words them', () => {
  const cordoned = node('b', { spec: { unschedulable: true } });
  const tainted = node('c', { spec: { taints: [taint('dedicated', 'NoSchedule', 'gpu')] } });
  expect(place(pod({}, { cpu: '3' }), [node('a')], [cordoned], [tainted])).toBe(
    '0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {dedicated: gpu}, 1 node(s) were unschedulable.',
  );
  expect(place(pod({ nodeSelector: { disk: 'ssd' } }), [node('a')])).toBe(
    "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
  );
});

test('what earlier pods were promised is not promised twice, and is free again when they go', () => {
  const where = picture([[node('a'), pod({}, { cpu: '1500m', name: 'x' }), pod({}, { cpu: '400m' })]]);
  expect(placeIn(where, pod({}, { cpu: '200m' }))).toBe('0/1 nodes are available: 1 Insufficient cpu.');
  where.displace('x');
  expect(placeIn(where, pod({}, { cpu: '200m' }))).toBe('a');
  where.place(pod({}, { cpu: '1m' }), 'a');
  where.place(pod({}, { cpu: '1m' }), 'a');
  expect(placeIn(where, pod())).toBe('0/1 nodes are available: 1 Too many pods.');
});

test('pods of a node that is not known yet are counted once it is', () => {
  const where = picture([]);
  where.place(pod({}, { cpu: '2' }), 'a');
  where.setNode(node('a'));
  expect(placeIn(where, pod({}, { cpu: '1m' }))).toBe('0/1 nodes are available: 1 Insufficient cpu.');
  where.removeNode('a');
  where.setNode(node('a'));
  expect(placeIn(where, pod({}, { cpu: '1m' }))).toBe('0/1 nodes are available: 1 Insufficient cpu.');
});

test('finished pods take no room', () => {
  const done: Pod = { ...pod({}, { cpu: '2' }), status: { phase: 'Succeeded' } };
  expect(place(pod({}, { cpu: '2' }), [node('a'), done])).toBe('a');
});

test('init containers count by their largest, sidecars beside the app', () => {
  const init = (name: string, cpu: string, sidecar = false) => ({
    name,
    resources: { requests: { cpu } },
    ...(sidecar ? { restartPolicy: 'Always' } : {}),
  });
  const fits = (initContainers: PodSpec['initContainers']) =>
    place(pod({ initContainers }, { cpu: '1' }), [node('a')]) === 'a';
  expect([
    fits([init('i', '2')]),
    fits([init('i', '2001m')]),
    fits([init('s', '1', true)]),
    fits([init('s', '1', true), init('i', '1001m')]),
  ]).toEqual([true, false, true, false]);
});

test('extended resources are counted, and an empty node that has too few is no hope', () => {
  const gpu = { ...node('a'), status: { allocatable: { cpu: '2', memory: '4Gi', pods: '9', 'acme.com/gpu': '2' } } };
  const wanting = (count: string) =>
    pod({ containers: [{ name: 'c', resources: { requests: { 'acme.com/gpu': count } } }] } as Partial<PodSpec>);
  expect(place(wanting('1'), [gpu, wanting('1')])).toBe('a');
  expect(place(wanting('2'), [gpu, wanting('1')])).toBe('0/1 nodes are available: 1 Insufficient acme.com/gpu.');
});

test('tolerations, node names and affinity open and close nodes', () => {
  const tainted = node('a', { spec: { taints: [taint('k', 'NoExecute')] } });
  expect(place(pod({ tolerations: [{ operator: 'Exists' }] }), [tainted])).toBe('a');
  expect(place(pod({ tolerations: [{ key: 'k', operator: 'Equal', value: 'v' }] }), [tainted])).toContain(
    'untolerated',
  );
  const term = (key: string, operator: string, ...values: string[]) => [
    { matchExpressions: [{ key, operator, values }] },
  ];
  const affine = (nodeSelectorTerms: object[]) =>
    pod({
      affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } },
    } as Partial<PodSpec>);
  const ssd = node('ssd', { labels: { disk: 'ssd', rank: '7' } });
  expect(place(affine(term('disk', 'In', 'ssd')), [node('a')], [ssd])).toBe('ssd');
  expect(place(affine(term('disk', 'DoesNotExist')), [node('a')], [ssd])).toBe('a');
  expect(place(affine(term('rank', 'Gt', '5')), [node('a')], [ssd])).toBe('ssd');
  expect(place(affine([{}]), [node('a')])).toContain('affinity/selector');
  const named = [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['a'] }] }];
  expect(place(affine(named), [node('a')], [ssd])).toBe('a');
});

test('a host port is given once per address', () => {
  const wanting = (hostIP?: string) =>
    pod({ containers: [{ name: 'c', ports: [{ containerPort: 80, hostPort: 80, hostIP }] }] } as Partial<PodSpec>);
  const taken = "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.";
  expect(place(wanting(), [node('a'), wanting('10.0.0.1')])).toBe(taken);
  expect(place(wanting('10.0.0.1'), [node('a'), wanting()])).toBe(taken);
  expect(place(wanting('10.0.0.1'), [node('a'), wanting('10.0.0.2')])).toBe('a');
});

test('the emptier node wins, preferences and soft taints weigh in, chance decides between equals', () => {
  expect(place(pod({}, { cpu: '100m' }), [node('a'), pod({}, { cpu: '1' })], [node('b')])).toBe('b');
  const soft = node('a', { spec: { taints: [taint('k', 'PreferNoSchedule')] } });
  expect(place(pod(), [soft], [node('b'), pod({}, { cpu: '100m' })])).toBe('b');
  const equal = picture([[node('a')], [node('b')]]);
  expect([placeIn(equal, pod(), 0), placeIn(equal, pod(), 0.9)]).toEqual(['a', 'b']);
});

test('a node that has a large image is preferred', () => {
  const images = [{ names: ['i:latest'], sizeBytes: 900 * 1024 * 1024 }];
  expect(place(pod(), [node('a')], [node('b', { images })])).toBe('b');
});

test('profiles: spread takes the node with the fewest pods, binpack the fullest, random any', () => {
  const where = picture([
    [node('many', { cpu: '8' }), pod({}, { cpu: '10m' }), pod({}, { cpu: '10m' })],
    [node('full'), pod({}, { cpu: '1500m' })],
  ]);
  const with_ = (profile: typeof defaultProfile, chance = 0) =>
    placeIn(where, pod({}, { cpu: '100m' }), chance, profile);
  expect([with_(defaultProfile), with_(spreadProfile), with_(binpackProfile)]).toEqual(['many', 'full', 'full']);
  expect([with_(randomProfile), with_(randomProfile, 0.9)]).toEqual(['many', 'full']);
});

test('in large clusters only a share of the nodes is looked at, and the next decision looks further', () => {
  expect([enoughNodes(50), enoughNodes(100), enoughNodes(1000), enoughNodes(5000), enoughNodes(20000)]).toEqual([
    50, 100, 420, 500, 1000,
  ]);
});

test('devices that nobody allocates are refused', () => {
  expect(place(pod({ resourceClaims: [{ name: 'gpu' }] }), [node('a')])).toContain('spec.resourceClaims');
});
