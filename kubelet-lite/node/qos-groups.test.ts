import type { Container, PodSpec } from '@trimtab/machinery';
import { silentLogger, VirtualClock } from '@trimtab/machinery';
import type { Pod } from '../pod/api.js';
import { cgroupTree } from '../stats/cgroup-tree.js';
import type { Enforcement } from './enforce-allocatable.js';
import { QosGroups, qosWeights } from './qos-groups.js';

const v1 = cgroupTree('cgroup /c/cpu cgroup rw,cpu', () => '');
const v2 = cgroupTree('cgroup2 /c cgroup2 rw', () => 'cpu');
const pod = (resources: Container['resources'], spec: Partial<PodSpec> = {}): Pod => ({
  metadata: { name: 'web' },
  spec: { containers: [{ name: 'main', image: 'web:1', ...(resources ? { resources } : {}) }], ...spec },
});
const asking = (cpu: string) => pod({ requests: { cpu } });
const limits = { cpu: '1', memory: '1Gi' };
const pods = [asking('500m'), asking('250m'), pod({ limits }), pod(undefined)];
const text = ({ hierarchy, group, file, value }: Enforcement) => `${hierarchy.mount}/${group}/${file}=${value}`;

test('Burstable pods together weigh what they request, BestEffort ones next to nothing', () => {
  expect(qosWeights(pods, v1).map(text)).toEqual([
    '/c/cpu/kubepods/burstable/cpu.shares=768',
    '/c/cpu/kubepods/besteffort/cpu.shares=2',
  ]);
  expect(qosWeights(pods, v2).map(text)).toEqual([
    '/c/kubepods/burstable/cpu.weight=30',
    '/c/kubepods/besteffort/cpu.weight=1',
  ]);
  expect(qosWeights([], v1).map(text)).toEqual(['/c/cpu/kubepods/besteffort/cpu.shares=2']);
  expect(
    qosWeights(
      pods,
      cgroupTree('', () => ''),
    ),
  ).toEqual([]);
});

test('many changes are written once, what is the same not at all, and what failed again', async () => {
  const clock = new VirtualClock();
  const written: string[] = [];
  let fails = true;
  let now: readonly Pod[] = [];
  const groups = new QosGroups({
    pods: () => now,
    tree: v1,
    clock,
    logger: silentLogger,
    write: async ([weight]) => {
      if (fails) throw new Error('EBUSY');
      written.push(`${weight!.group} ${weight!.value}`);
    },
  });
  const change = async (next: readonly Pod[]) => {
    now = next;
    for (let i = 0; i < 5; i++) groups.changed();
    await clock.advance(200);
  };
  await change([asking('1')]);
  fails = false;
  await change([asking('1')]);
  await change([asking('2')]);
  await change([asking('2')]);
  groups.stop();
  await change([]);
  expect(written).toEqual(['kubepods/burstable 1024', 'kubepods/besteffort 2', 'kubepods/burstable 2048']);
});
