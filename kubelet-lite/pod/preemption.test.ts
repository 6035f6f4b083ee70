import type { Container } from '@trimtab/machinery';
import { condition, NodeUnderTest, testMachine } from '../testing/node-under-test.js';
import type { Pod } from './api.js';
import { preemptedFor } from './preemption.js';

const CRITICAL = 2_000_001_000;
const asking = (cpu: string, memory = '1Gi'): Container['resources'] => ({ requests: { cpu, memory } });
const whole = (cpu: string): Container['resources'] => ({ limits: { cpu, memory: '1Gi' } });
const pod = (name: string, resources: Container['resources'] | undefined, priority = 0): Pod => ({
  metadata: { name, uid: name },
  spec: { priority, containers: [{ name: 'main', image: 'web:1', ...(resources ? { resources } : {}) }] },
});

describe('who goes for a critical pod', () => {
  const node = { allocatable: { cpu: '4', memory: '8Gi', pods: '10' }, labels: {} };
  const going = (critical: Pod, ...others: Pod[]) =>
    preemptedFor(critical, node, others)?.map(({ metadata }) => metadata.name);

  test.each([
    ['nobody who gives nothing back', [pod('a', undefined), pod('b', asking('3'))], ['b']],
    ['the one that comes closest', [pod('a', asking('500m')), pod('b', asking('3')), pod('c', asking('100m'))], ['b']],
    ['Burstable ones before Guaranteed ones', [pod('a', whole('2')), pod('b', asking('2'))], ['b']],
    [
      'both where one is not enough',
      [pod('a', whole('1')), pod('b', asking('1')), pod('c', asking('2'), CRITICAL)],
      ['b', 'a'],
    ],
    ['no critical one, so nobody', [pod('a', asking('3'), CRITICAL), pod('b', asking('1'))], undefined],
  ] as const)('%s', (_, others, expected) => {
    expect(going(pod('critical', asking('2'), CRITICAL), ...others)).toEqual(expected);
  });

  test('nobody goes for a pod that is not critical, and nobody where there is room', () => {
    expect(going(pod('plain', asking('2')), pod('a', asking('3')))).toBeUndefined();
    expect(going(pod('critical', asking('1'), CRITICAL), pod('a', asking('3')))).toEqual([]);
  });

  test('places are given back as well', () => {
    const crowd = Array.from({ length: 10 }, (_, n) => pod(`p${n}`, undefined));
    expect(going(pod('critical', undefined, CRITICAL), ...crowd)).toHaveLength(1);
  });
});

test('a critical pod that does not fit waits for others to end for it, and then runs', async () => {
  const node = await NodeUnderTest.start({ machine: { ...testMachine, cpus: 4 } });
  const run = (name: string, cpu: string, priority = 0) =>
    node.run({ name, priority, containers: [{ name: 'main', image: 'web:1', resources: asking(cpu) }] });
  await run('large', '3');
  await run('small', '500m');
  const critical = await run('critical', '2', CRITICAL);
  expect(critical.status?.phase).toBe('Running');
  const status = await node.status('large');
  expect(status).toMatchObject({
    phase: 'Failed',
    reason: 'Preempting',
    message: 'Preempted in order to admit critical pod',
  });
  expect(condition(status, 'DisruptionTarget')).toBe('True');
  expect(await node.events('large')).toContain('Preempting: Preempted in order to admit critical pod');
  expect((await node.status('small')).phase).toBe('Running');
  expect((await run('late', '3')).status).toMatchObject({ phase: 'Failed', reason: 'OutOfcpu' });
  // Not even for a critical one what other critical ones hold.
  expect((await run('greedy', '4', CRITICAL)).status).toMatchObject({ phase: 'Failed', reason: 'OutOfcpu' });
});
