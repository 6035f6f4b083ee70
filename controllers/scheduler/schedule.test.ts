import type { Node, Pod, Taint } from '@trimtab/machinery';
import { nodeState, withoutPod, withPod } from './node-state.js';
import { schedule } from './schedule.js';

const node = (
  name: string,
  extra: { spec?: Node['spec']; labels?: Record<string, string>; cpu?: string } = {},
): Node => ({
  metadata: { name, labels: extra.labels },
  spec: extra.spec,
  status: { allocatable: { cpu: extra.cpu ?? '2', memory: '4Gi', pods: '3' } },
});
type PodSpec = NonNullable<Pod['spec']>;
const pod = (spec: Partial<PodSpec> = {}, cpu?: string, name = 'p'): Pod => ({
  metadata: { name, uid: name },
  spec: { containers: [{ name: 'c', ...(cpu ? { resources: { requests: { cpu } } } : {}) }], ...spec },
});
const place = (p: Pod, ...nodes: Parameters<typeof nodeState>[]) =>
  schedule(
    p,
    nodes.map((n) => nodeState(...n)),
    0,
  );
const taint = (key: string, effect = 'NoSchedule', value?: string): Taint => ({ key, effect, value });

test('without nodes nothing can be scheduled', () => {
  expect(place(pod())).toEqual({ unschedulable: 'no nodes available to schedule pods' });
});

test('reasons are counted over the nodes as kube-scheduler words them', () => {
  const cordoned = node('b', { spec: { unschedulable: true } });
  const tainted = node('c', { spec: { taints: [taint('dedicated', 'NoSchedule', 'gpu')] } });
  const labelled = pod({ nodeSelector: { disk: 'ssd' } });
  expect(place(pod({}, '3'), [node('a')], [cordoned], [tainted])).toEqual({
    unschedulable:
      '0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {dedicated: gpu}, 1 node(s) were unschedulable.',
  });
  expect(place(labelled, [node('a')])).toEqual({
    unschedulable: "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
  });
});

test('what earlier pods were promised is not promised twice, and is free again when they go', () => {
  const busy = [pod({}, '1500m', 'x'), pod({}, '400m', 'y')];
  let state = nodeState(node('a'), busy);
  expect(schedule(pod({}, '200m'), [state], 0)).toEqual({
    unschedulable: '0/1 nodes are available: 1 Insufficient cpu.',
  });
  state = withoutPod(state, busy[0]!);
  expect(schedule(pod({}, '200m'), [state], 0)).toEqual({ node: 'a' });
  state = withPod(withPod(state, pod({}, '1m', 'z')), pod({}, '1m', 'w'));
  expect(schedule(pod(), [state], 0)).toEqual({ unschedulable: '0/1 nodes are available: 1 Too many pods.' });
});

test('finished pods take no room', () => {
  const done = { ...pod({}, '2'), status: { phase: 'Succeeded' } };
  expect(place(pod({}, '2'), [node('a'), [done]])).toEqual({ node: 'a' });
});

test('init containers count by their largest, sidecars beside the app', () => {
  const init = (name: string, cpu: string, sidecar = false) => ({
    name,
    resources: { requests: { cpu } },
    ...(sidecar ? { restartPolicy: 'Always' } : {}),
  });
  const fits = (containers: PodSpec['initContainers']) =>
    'node' in place(pod({ initContainers: containers }, '1'), [node('a')]);
  expect([
    fits([init('i', '2')]),
    fits([init('i', '2001m')]),
    fits([init('s', '1', true)]),
    fits([init('s', '1', true), init('i', '1001m')]),
  ]).toEqual([true, false, true, false]);
});

test('tolerations, node names and affinity open and close nodes', () => {
  const tainted = node('a', { spec: { taints: [taint('k', 'NoExecute')] } });
  expect(place(pod({ tolerations: [{ operator: 'Exists' }] }), [tainted])).toEqual({ node: 'a' });
  expect(place(pod({ tolerations: [{ key: 'k', operator: 'Equal', value: 'v' }] }), [tainted])).toHaveProperty(
    'unschedulable',
  );
  const term = (key: string, operator: string, ...values: string[]) => [
    { matchExpressions: [{ key, operator, values }] },
  ];
  const affine = (nodeSelectorTerms: object[]) =>
    pod({
      affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } },
    } as Partial<PodSpec>);
  const ssd = node('ssd', { labels: { disk: 'ssd', rank: '7' } });
  expect(place(affine(term('disk', 'In', 'ssd')), [node('a')], [ssd])).toEqual({ node: 'ssd' });
  expect(place(affine(term('disk', 'DoesNotExist')), [node('a')], [ssd])).toEqual({ node: 'a' });
  expect(place(affine(term('rank', 'Gt', '5')), [node('a')], [ssd])).toEqual({ node: 'ssd' });
  expect(place(affine([{}]), [node('a')])).toHaveProperty('unschedulable');
  const named = [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['a'] }] }];
  expect(place(affine(named), [node('a')], [ssd])).toEqual({ node: 'a' });
});

test('a host port is given once per address', () => {
  const wanting = (hostIP?: string) =>
    pod(
      { containers: [{ name: 'c', ports: [{ containerPort: 80, hostPort: 80, hostIP }] }] } as Partial<PodSpec>,
      undefined,
      'q',
    );
  const taken = {
    unschedulable: "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.",
  };
  expect(place(wanting(), [node('a'), [wanting('10.0.0.1')]])).toEqual(taken);
  expect(place(wanting('10.0.0.1'), [node('a'), [wanting()]])).toEqual(taken);
  expect(place(wanting('10.0.0.1'), [node('a'), [wanting('10.0.0.2')]])).toEqual({ node: 'a' });
});

test('the emptier node wins, preferences and soft taints weigh in, chance decides between equals', () => {
  expect(place(pod({}, '100m'), [node('a'), [pod({}, '1', 'x')]], [node('b')])).toEqual({ node: 'b' });
  const soft = node('a', { spec: { taints: [taint('k', 'PreferNoSchedule')] } });
  expect(place(pod(), [soft], [node('b'), [pod({}, '100m', 'x')]])).toEqual({ node: 'b' });
  const equal = [nodeState(node('a')), nodeState(node('b'))];
  expect([schedule(pod(), equal, 0), schedule(pod(), equal, 0.9)]).toEqual([{ node: 'a' }, { node: 'b' }]);
});

test('hard requirements this scheduler does not honour are refused by field', () => {
  const anti = {
    podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'kubernetes.io/hostname' }] },
  };
  expect(place(pod({ affinity: anti }), [node('a')])).toEqual({
    unschedulable: 'spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution is not supported',
  });
});
