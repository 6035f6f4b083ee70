import type { PodSpec } from '@trimtab/machinery';
import { silentLogger, VirtualClock } from '@trimtab/machinery';
import { podLayout } from '../container/pod-layout.js';
import type { Pod } from '../pod/api.js';
import { hugePagesOptions, memorySizeOf } from './empty-dir.js';
import { mountOf, parseMounts } from './mount-table.js';
import { leastStorageLimit, overLimit } from './storage-limits.js';
import { StorageWatch } from './storage-watch.js';

const pod = (spec: Partial<PodSpec>, name = 'p'): Pod => ({
  metadata: { name, namespace: 'default', uid: `uid-${name}` },
  spec: { containers: [{ name: 'main' }], ...spec },
});
const storage = (limit: string) => ({ limits: { 'ephemeral-storage': limit } });
const scratch = (sizeLimit?: string) => ({ name: 'v', emptyDir: sizeLimit ? { sizeLimit } : {} });

describe('limits of local storage', () => {
  const use = (emptyDir: number, main = 0) => ({
    emptyDirs: new Map([['v', emptyDir]]),
    containers: new Map([['main', main]]),
  });

  test('are told in the words of the kubelet', () => {
    expect(overLimit(pod({ volumes: [scratch('10Mi')] }), use(10 << 20))).toBeUndefined();
    expect(overLimit(pod({ volumes: [scratch('10Mi')] }), use((10 << 20) + 1))).toBe(
      'Usage of EmptyDir volume "v" exceeds the limit "10Mi". ',
    );
    const limited = pod({ volumes: [scratch()], containers: [{ name: 'main', resources: storage('5Mi') }] });
    expect(overLimit(limited, use(3 << 20, 3 << 20))).toBe(
      'Pod ephemeral local storage usage exceeds the total limit of containers 5Mi. ',
    );
    const other = { name: 'other', resources: storage('1Gi') };
    const two = pod({ containers: [{ name: 'main', resources: storage('5Mi') }, other] });
    expect(overLimit(two, use(0, 6 << 20))).toBe('Container main exceeded its local ephemeral storage limit "5Mi". ');
    expect(leastStorageLimit(two)).toBe(5 << 20);
    expect(leastStorageLimit(pod({ volumes: [scratch()] }))).toBeUndefined();
  });

  test('memory volumes have the least of their limit, the pod’s and the node’s', () => {
    const memory = (sizeLimit?: string) => ({
      name: 'v',
      emptyDir: { medium: 'Memory', ...(sizeLimit ? { sizeLimit } : {}) },
    });
    const limited = pod({ containers: [{ name: 'main', resources: { limits: { memory: '64Mi' } } }] });
    expect(memorySizeOf(pod({}), memory(), '1Gi')).toBe(2 ** 30);
    expect(memorySizeOf(pod({}), memory('1Mi'), '1Gi')).toBe(2 ** 20);
    expect(memorySizeOf(limited, memory(), '1Gi')).toBe(64 << 20);
    expect(memorySizeOf(limited, memory('128Mi'), '1Gi')).toBe(64 << 20);
  });

  test('huge pages are of the one size the pod asks for, or of the one the medium names', () => {
    const asks = (...names: string[]) =>
      pod({ containers: names.map((name, i) => ({ name: `c${i}`, resources: { limits: { [name]: '4Mi' } } })) });
    const volume = (medium: string) => ({ name: 'v', emptyDir: { medium } });
    expect(hugePagesOptions(asks('hugepages-2Mi'), volume('HugePages'))).toContain('pagesize=2097152');
    expect(hugePagesOptions(asks('hugepages-2Mi', 'hugepages-1Gi'), volume('HugePages-1Gi'))).toContain(
      'pagesize=1073741824',
    );
    expect(() => hugePagesOptions(asks('hugepages-2Mi', 'hugepages-1Gi'), volume('HugePages'))).toThrow(
      'one size, not of 2',
    );
    expect(() => hugePagesOptions(asks('hugepages-2Mi'), volume('HugePages-1Gi'))).toThrow('requests hugepages-1Gi');
  });
});

test('the watch over local storage evicts whoever outgrows a limit, and counts files only where that may be', async () => {
  const clock = new VirtualClock();
  const running = new Map<string, Pod>();
  const evicted: string[] = [];
  const counted: string[] = [];
  const bytes = new Map<string, number>();
  const disk = {
    free: async () => 10 ** 9 - [...bytes.values()].reduce((sum, n) => sum + n, 0),
    usage: async (path: string) => {
      counted.push(path);
      return bytes.get(path) ?? 0;
    },
  };
  const watch = new StorageWatch({
    clock,
    logger: silentLogger,
    disk,
    layout: podLayout('/root', '/logs', undefined),
    volumes: { pathOf: ({ metadata }) => metadata.name! },
    pods: () => [...running.values()].map((one) => ({ pod: one, attempt: () => 0 })),
    evict: ({ metadata }, message) => {
      evicted.push(`${metadata.name}: ${message}`);
      running.delete(metadata.name!);
    },
  });
  const start = (name: string, sizeLimit?: string) => {
    const one = pod({ volumes: [scratch(sizeLimit)] }, name);
    running.set(name, one);
    watch.notice(one);
  };
  start('unlimited');
  await clock.advance(100_000);
  expect(counted).toEqual([]);
  start('small', '1Mi');
  start('large', '1Gi');
  await clock.advance(1_000);
  expect(counted).toEqual(['small', 'large']);
  await clock.advance(20_000);
  expect(counted).toEqual(['small', 'large']);
  // Somebody has written enough for one of them to have reached its limit.
  bytes.set('unlimited', 2 << 20);
  await clock.advance(1_000);
  expect(counted).toEqual(['small', 'large', 'small']);
  bytes.set('small', 2 << 20);
  await clock.advance(1_000);
  expect(evicted).toEqual(['small: Usage of EmptyDir volume "v" exceeds the limit "1Mi". ']);
  running.clear();
  counted.length = 0;
  await clock.advance(100_000);
  expect(counted).toEqual([]);
  watch.stop();
});

test('the mount a path is on is the innermost and the last of those above it', () => {
  const mounts = parseMounts(
    [
      '1 0 8:1 / / rw shared:1 - ext4 a rw',
      '2 1 0:2 / /a rw - tmpfs b rw',
      '3 2 0:3 / /a/b\\040c rw master:7 - tmpfs c rw',
      '4 3 0:4 / /a/b\\040c rw shared:9 master:7 - tmpfs d rw',
    ].join('\n'),
  );
  expect(mountOf('/x', mounts)).toMatchObject({ point: '/', shared: true });
  expect(mountOf('/ab', mounts)).toMatchObject({ point: '/' });
  expect(mountOf('/a/b', mounts)).toMatchObject({ point: '/a', shared: false, slave: false });
  expect(mountOf('/a/b c/d', mounts)).toMatchObject({ shared: true, slave: true });
});
