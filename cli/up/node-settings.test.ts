import type { RawNodeOptions } from './node-flags.js';
import { nodeSettings } from './node-settings.js';

test('without flags: five percent of disks stay free, nothing reserved, pods come back with the cluster', () => {
  const settings = nodeSettings({});
  expect(settings.thresholds).toContainEqual(
    expect.objectContaining({ signal: 'nodefs.available', below: { part: 0.05 }, hard: true }),
  );
  expect(settings).toMatchObject({
    reserved: { milliCPU: 0, memoryBytes: 0 },
    imageGc: { highPercent: 85, lowPercent: 80, minAgeMs: 120_000 },
  });
  expect(settings.shutdown).toBeUndefined();
});

test('what is reserved for the system and for the cluster is kept back together', () => {
  const { reserved } = nodeSettings({
    systemReserved: 'cpu=500m,memory=1Gi',
    kubeReserved: 'cpu=1,ephemeral-storage=5Gi,pid=100',
  });
  expect(reserved).toEqual({ milliCPU: 1500, memoryBytes: 2 ** 30, diskBytes: 5 * 2 ** 30, pids: 100 });
});

test('a shutdown in two parts, or by priority', () => {
  expect(nodeSettings({ shutdownGracePeriod: 30_000, shutdownGracePeriodCriticalPods: 10_000 }).shutdown).toEqual([
    { priority: 0, graceMs: 20_000 },
    { priority: 2_000_000_000, graceMs: 10_000 },
  ]);
  expect(nodeSettings({ shutdownGracePeriodByPodPriority: '0=1m, 1000=30s' }).shutdown).toEqual([
    { priority: 0, graceMs: 60_000 },
    { priority: 1000, graceMs: 30_000 },
  ]);
});

test.each<[RawNodeOptions, string]>([
  [{ evictionHard: 'memory.free<1Gi' }, '--eviction-hard: "memory.free<1Gi": there is no signal memory.free'],
  [{ evictionSoft: 'memory.available<1Gi' }, '--eviction-soft-grace-period: memory.available'],
  [{ systemReserved: 'gpu=1' }, '--system-reserved gpu=1: one can reserve cpu, memory'],
  [{ kubeReserved: 'cpu=lots' }, '--kube-reserved cpu=lots: "lots" is no amount'],
  [{ imageGcHighThreshold: 70, imageGcLowThreshold: 75 }, '--image-gc-low-threshold 75 must be less'],
  [{ shutdownGracePeriodCriticalPods: 5 }, 'is a part of --shutdown-grace-period'],
  [{ shutdownGracePeriod: 1, shutdownGracePeriodCriticalPods: 5 }, 'is longer than --shutdown-grace-period'],
  [{ shutdownGracePeriod: 1, shutdownGracePeriodByPodPriority: '0=1s' }, 'exclude each other'],
  [{ shutdownGracePeriodByPodPriority: 'high=1s' }, 'write PRIORITY=DURATION'],
])('%j is refused by its name', (raw, why) => expect(() => nodeSettings(raw)).toThrow(why));
