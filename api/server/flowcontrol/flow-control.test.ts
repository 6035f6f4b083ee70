import { type KubeObject, VirtualClock } from '@trimtab/machinery';
import type { UserInfo } from '../contracts.js';
import { parseRequest } from '../http/request-info.js';
import { mandatoryFlowControl, suggestedFlowControl } from './bootstrap-objects.js';
import { shareOut } from './borrowing.js';
import { FlowControl, flowResources, type Ticket } from './flow-control.js';
import { dealHand } from './shuffle-shard.js';
import { seatsFor } from './work-estimate.js';

const all = [...mandatoryFlowControl, ...suggestedFlowControl];
const user = (name: string, ...groups: string[]): UserInfo => ({ name, groups: [...groups, 'system:authenticated'] });
const on = (who: UserInfo, verb = 'list', resource = 'pods', namespace = 'shop', group = '') => ({
  user: who,
  verb,
  resource: { group, version: 'v1', resource, subresource: '', namespace, name: '' },
});

function control(seats: number, objects: readonly KubeObject[] = all) {
  const clock = new VirtualClock();
  const flow = new FlowControl({ clock, seats });
  const put = (object: KubeObject) =>
    flow.apply({
      resource: flowResources[object.kind === 'FlowSchema' ? 0 : 1]!,
      key: `/${object.metadata.name}`,
      object: { ...object, metadata: { ...object.metadata, uid: `uid-${object.metadata.name}` } },
    });
  objects.forEach(put);
  return { clock, flow, put };
}

test.each<[string, Parameters<FlowControl['admit']>[0], string, string]>([
  ['the cluster’s owner', on(user('admin', 'system:masters')), 'exempt', 'exempt'],
  ['a probe', { user: user('x'), verb: 'get', path: '/healthz' }, 'probes', 'exempt'],
  [
    'a kubelet’s lease',
    on(user('system:node:n', 'system:nodes'), 'update', 'leases', 'kube-node-lease', 'coordination.k8s.io'),
    'system-node-high',
    'node-high',
  ],
  ['a kubelet’s pods', on(user('system:node:n', 'system:nodes')), 'system-nodes', 'system'],
  ['the scheduler', on(user('system:kube-scheduler')), 'kube-scheduler', 'workload-high'],
  [
    'the scheduler’s lease',
    on(user('system:kube-scheduler'), 'update', 'leases', 'kube-system', 'coordination.k8s.io'),
    'system-leader-election',
    'leader-election',
  ],
  [
    'a controller of the system',
    on(user('system:serviceaccount:kube-system:x', 'system:serviceaccounts')),
    'kube-system-service-accounts',
    'workload-high',
  ],
  [
    'a workload',
    on(user('system:serviceaccount:shop:x', 'system:serviceaccounts')),
    'service-accounts',
    'workload-low',
  ],
  ['a person', on(user('ann')), 'global-default', 'global-default'],
])('%s has its flow schema and level', async (_, asked, schema, level) => {
  const ticket = await control(600).flow.admit(asked, 1, 1000);
  expect([ticket.schemaUid, ticket.levelUid]).toEqual([`uid-${schema}`, `uid-${level}`]);
});

test('a hand is distinct queues, the same for the same flow, and few flows share one whole', () => {
  const hands = Array.from({ length: 500 }, (_, i) => dealHand(`flow-${i}`, 64, 6));
  for (const hand of hands) {
    expect(new Set(hand).size).toBe(6);
    expect(hand.every((card) => card >= 0 && card < 64)).toBe(true);
  }
  expect(dealHand('flow-7', 64, 6)).toEqual(hands[7]);
  const whole = hands.slice(1).filter((hand) => hand.every((card) => hands[0]!.includes(card)));
  expect(whole).toEqual([]);
});

const globalDefault = suggestedFlowControl.find((o) => o.kind === 'FlowSchema' && o.metadata.name === 'global-default');

/** One level with four seats and nothing to borrow; each request takes 10 ms. */
const alone = [
  ...mandatoryFlowControl,
  {
    apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
    kind: 'PriorityLevelConfiguration',
    metadata: { name: 'people' },
    spec: {
      type: 'Limited',
      limited: {
        nominalConcurrencyShares: 95,
        lendablePercent: 0,
        borrowingLimitPercent: 0,
        limitResponse: { type: 'Queue', queuing: { queues: 64, handSize: 6, queueLengthLimit: 50 } },
      },
    },
  },
  {
    ...globalDefault,
    spec: {
      ...(globalDefault as { spec?: object }).spec,
      priorityLevelConfiguration: { name: 'people' },
    },
  },
] as readonly KubeObject[];

test('one noisy client at a hundred times the rate cannot raise another’s wait beyond 30 ms, three service times', async () => {
  const { clock, flow } = control(4, alone);
  const waits: Record<string, number[]> = { noisy: [], quiet: [] };
  const counts = { refused: 0 };
  const run = async (who: string): Promise<void> => {
    const asked = clock.now();
    try {
      const ticket = await flow.admit(on(user(who)), 1, 15_000);
      waits[who]!.push(clock.now() - asked);
      clock.after(10, () => ticket.release());
    } catch {
      counts.refused++;
    }
  };
  // 4 seats and 10 ms are 400 requests/s; the noisy client asks for 5,000/s, the quiet one for 50/s.
  for (let ms = 0; ms < 2000; ms++) {
    for (let i = 0; i < 5; i++) void run('noisy');
    if (ms % 20 === 0) void run('quiet');
    await clock.advance(1);
  }
  expect(waits.quiet).toHaveLength(100);
  expect(Math.max(...waits.quiet!)).toBeLessThanOrEqual(30);
  expect(counts.refused).toBeGreaterThan(1000);
  expect(Math.max(...waits.noisy!)).toBeGreaterThan(500);
  // Nothing is lost to fairness: all four seats are always taken.
  expect(waits.noisy!.length + waits.quiet!.length).toBeGreaterThan(0.97 * 2 * 400);
});

test('a queue that is full, and a wait that is too long, are a 429 with Retry-After; who leaves makes room', async () => {
  const { clock, flow } = control(4, alone);
  const held = await Promise.all([1, 2, 3, 4].map(() => flow.admit(on(user('ann')), 1, 100)));
  const leaving = new AbortController();
  const outcomes: string[] = [];
  const wait = (maxWait: number, signal?: AbortSignal) =>
    void Promise.resolve(flow.admit(on(user('ann')), 1, maxWait, () => signal)).then(
      () => outcomes.push('went'),
      (error: Error & { code?: number; cause?: Error; status?: { details?: { retryAfterSeconds?: number } } }) =>
        outcomes.push(`${error.code} ${error.cause?.message} ${error.status?.details?.retryAfterSeconds}`),
    );
  wait(100);
  wait(10_000, leaving.signal);
  wait(10_000);
  await clock.advance(100);
  leaving.abort();
  await clock.advance(0);
  expect(outcomes).toEqual(['429 time-out 1', '429 cancelled 1']);
  held[0]!.release();
  await clock.advance(0);
  expect(outcomes.at(-1)).toBe('went');
  for (let i = 0; i < 6 * 50; i++) wait(10_000);
  expect(() => flow.admit(on(user('ann')), 1, 1)).toThrow('too many requests');
});

test('a level without queues refuses what it has no seat for; what is exempt never waits', async () => {
  const { flow } = control(5, mandatoryFlowControl);
  const tickets: Ticket[] = [];
  for (let i = 0; i < 5; i++) tickets.push(await flow.admit(on(user('ann')), 1, 1));
  expect(() => flow.admit(on(user('bob')), 1, 1)).toThrow('too many requests');
  for (let i = 0; i < 100; i++) await flow.admit(on(user('root', 'system:masters')), 10, 1);
  tickets[0]!.release();
  tickets[0]!.release();
  await flow.admit(on(user('bob')), 1, 1);
  expect(() => flow.admit(on(user('bob')), 1, 1)).toThrow('too many requests');
});

test('a request wider than its level goes when it is alone there', async () => {
  const { flow, clock } = control(4, alone);
  const one = await flow.admit(on(user('ann')), 1, 1000);
  let went = false;
  void Promise.resolve(flow.admit(on(user('bob')), 10, 1000)).then(() => {
    went = true;
  });
  await clock.advance(1);
  expect(went).toBe(false);
  one.release();
  await clock.advance(1);
  expect(went).toBe(true);
});

test('levels that are idle lend, and get back what they need', async () => {
  const { flow, clock } = control(245);
  const take = (who: UserInfo, n: number) => {
    const got: Ticket[] = [];
    for (let i = 0; i < n; i++)
      void Promise.resolve(flow.admit(on(who, 'get'), 1, 60_000)).then(
        (t) => got.push(t),
        () => {},
      );
    return got;
  };
  const people = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => take(user(name), 40));
  const held = () => people.reduce((sum, got) => sum + got.length, 0);
  await clock.advance(0);
  await clock.advance(1000);
  expect(held()).toBeGreaterThan(100);
  const workloads = take(user('system:serviceaccount:shop:x', 'system:serviceaccounts'), 60);
  for (const got of people) for (const ticket of got) ticket.release();
  await clock.advance(1000);
  expect(workloads).toHaveLength(60);
});

test('what is shared out is never more than there is, keeps every minimum, and follows demand', () => {
  const shares = [
    { nominal: 100, min: 10, max: 1000, demand: 0 },
    { nominal: 20, min: 10, max: 1000, demand: 90 },
    { nominal: 20, min: 10, max: 25, demand: 90 },
  ];
  const seats = shareOut(shares);
  expect(seats.reduce((a, b) => a + b)).toBeLessThanOrEqual(141);
  expect(seats[1]).toBeGreaterThan(80);
  expect(seats[2]).toBe(25);
  expect(seats[0]).toBeGreaterThanOrEqual(10);
});

test('a list takes a seat for every hundred objects, up to ten', () => {
  const seats = (url: string, count: number) => seatsFor(parseRequest('GET', url), () => count);
  expect(seats('/api/v1/pods', 0)).toBe(1);
  expect(seats('/api/v1/pods', 250)).toBe(3);
  expect(seats('/api/v1/pods', 1e6)).toBe(10);
  expect(seats('/api/v1/pods?limit=100', 1e6)).toBe(1);
  expect(seats('/api/v1/pods?limit=100&labelSelector=a', 1e6)).toBe(10);
  expect(seats('/api/v1/namespaces/a/pods/b', 1e6)).toBe(1);
  expect(seats('/api/v1/pods?watch=1', 1e6)).toBe(1);
});
