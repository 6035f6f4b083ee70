import type { Pod, PodDisruptionBudget } from '@trimtab/machinery';
import { explain } from './explain.js';
import { podInfo } from './pod-info.js';
import { preempt } from './preempt.js';
import { defaultProfile } from './profile.js';
import { schedule } from './schedule.js';
import { node, type Placed, picture, placeIn, pod, taint } from './testing.js';

const low = (name: string, cpu = '1', priority = 1, labels?: Record<string, string>) =>
  pod({}, { name, cpu, priority, labels });
const high = (cpu = '1', spec = {}): Pod => pod(spec, { name: 'high', cpu, priority: 100 });

function tryPreempt(which: Pod, placed: readonly Placed[], budgets: readonly PodDisruptionBudget[] = []) {
  const where = picture(placed);
  const decision = schedule(podInfo(which), where, defaultProfile, { chance: 0 });
  if ('node' in decision) throw new Error('fits');
  const before = where.version;
  const answer = preempt(podInfo(which), where, defaultProfile, decision.failure, budgets);
  expect(where.version).toBe(before);
  return 'message' in answer ? answer.message : `${answer.node}: ${answer.victims.map(({ uid }) => uid).join(' ')}`;
}

describe('preemption', () => {
  test('takes as few and as unimportant pods as will do', () => {
    expect(tryPreempt(high(), [[node('a'), low('x'), low('y')]])).toBe('a: y');
    expect(
      tryPreempt(high(), [
        [node('a'), low('x', '2', 5)],
        [node('b'), low('y', '2', 3)],
      ]),
    ).toBe('b: y');
    expect(
      tryPreempt(high('2'), [
        [node('a'), low('x'), low('y')],
        [node('b'), low('z', '2')],
      ]),
    ).toBe('b: z');
  });

  test('keeps to disruption budgets where it can', () => {
    const budget: PodDisruptionBudget = {
      metadata: { name: 'b', namespace: 'ns' },
      spec: { selector: { matchLabels: { app: 'db' } } },
      status: { disruptionsAllowed: 0 } as PodDisruptionBudget['status'],
    };
    const nodes: readonly Placed[] = [[node('a'), low('x', '1', 1, { app: 'db' }), low('y', '1', 9)]];
    expect(tryPreempt(high(), nodes)).toBe('a: x');
    expect(tryPreempt(high(), nodes, [budget])).toBe('a: y');
  });

  test('says why it does not help', () => {
    const tainted = node('a', { spec: { taints: [taint('k')] } });
    expect(tryPreempt(high(), [[node('b'), pod({}, { cpu: '2', priority: 100 })], [tainted]])).toBe(
      'preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.',
    );
    expect(tryPreempt(high('1', { preemptionPolicy: 'Never' }), [[node('a'), low('x', '2')]])).toBe(
      'preemption: not eligible due to preemptionPolicy=Never.',
    );
  });

  test('pods that keep others away by anti-affinity can be displaced', () => {
    const labelSelector = { matchLabels: { app: 'high' } };
    const terms = [{ topologyKey: 'kubernetes.io/hostname', labelSelector }];
    const affinity = { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } };
    const jealous = pod({ affinity }, { name: 'jealous', priority: 1 });
    const wanting = { ...high('1m'), metadata: { ...high().metadata, labels: { app: 'high' } } };
    expect(tryPreempt(wanting, [[node('a'), jealous]])).toBe('a: jealous');
  });

  test('room that is being made is not given to lesser pods, and is to greater ones', () => {
    const where = picture([[node('a'), low('x')]]);
    where.nominate(podInfo(high('2')), 'a');
    expect(placeIn(where, low('y'))).toBe('0/1 nodes are available: 1 Insufficient cpu.');
    expect(placeIn(where, pod({}, { cpu: '1', priority: 101 }))).toBe('a');
  });
});

describe('explain', () => {
  test('says for every node why not, and the smallest change that would place the pod', () => {
    const where = picture([
      [node('a', { spec: { unschedulable: true, taints: [taint('k', 'NoSchedule', 'v')] } })],
      [node('b'), low('x', '1500m')],
    ]);
    const { nodes, smallestChange } = explain(pod({}, { cpu: '1' }), where, defaultProfile);
    expect(nodes).toEqual([
      {
        node: 'b',
        refusals: [{ plugin: 'NodeResourcesFit', reasons: ['Insufficient cpu'] }],
        changes: ["lower the pod's cpu request by 500m, or free that much on node b"],
      },
      {
        node: 'a',
        refusals: [
          { plugin: 'NodeUnschedulable', reasons: ['node(s) were unschedulable'] },
          { plugin: 'TaintToleration', reasons: ['node(s) had untolerated taint {k: v}'] },
        ],
        changes: [
          'kubectl uncordon a',
          'give the pod a toleration of k=v:NoSchedule, or kubectl taint node a k=v:NoSchedule-',
        ],
      },
    ]);
    expect(smallestChange).toEqual({ node: 'b', changes: nodes[0]!.changes });
  });

  test('a label on a node is named with its value', () => {
    const where = picture([[node('a')]]);
    const { smallestChange } = explain(pod({ nodeSelector: { disk: 'ssd' } }), where, defaultProfile);
    expect(smallestChange?.changes).toEqual(['kubectl label node a disk=ssd']);
    expect(explain(pod(), where, defaultProfile).smallestChange).toBeUndefined();
  });
});
