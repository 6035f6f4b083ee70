import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freeBlock, POD_IDS, takenByUsers, UserNamespaces } from './user-namespaces.js';

describe('blocks of user ids', () => {
  let podsDir: string;
  beforeEach(async () => {
    podsDir = await fs.mkdtemp(join(tmpdir(), 'userns-'));
  });
  afterEach(() => fs.rm(podsDir, { recursive: true, force: true }));
  const node = (users = '') => new UserNamespaces({ podsDir, subordinateIds: async () => [users] });
  const first = async (of: ReturnType<UserNamespaces['of']>) => (await of).uidMappings[0]!.hostID;

  test('are aligned, never the node’s, and never two pods’, asked for at once or not', async () => {
    const users = node();
    const asked = await Promise.all(Array.from({ length: 20 }, (_, i) => first(users.of(`pod-${i % 10}`))));
    expect(new Set(asked).size).toBe(10);
    expect(asked.slice(10)).toEqual(asked.slice(0, 10));
    for (const id of asked) {
      expect(id % POD_IDS).toBe(0);
      expect(id).toBeGreaterThanOrEqual(POD_IDS);
    }
    expect(await users.of('pod-0')).toEqual({
      uidMappings: [{ containerID: 0, hostID: asked[0], size: 65_536 }],
      gidMappings: [{ containerID: 0, hostID: asked[0], size: 65_536 }],
    });
  });

  test('stay with their pod when the kubelet starts again, and are free when its files are gone', async () => {
    const before = node();
    const ids = [await first(before.of('a')), await first(before.of('b'))];
    const after = node();
    expect(await first(after.of('c'))).toBe(3 * POD_IDS);
    expect([await first(after.of('a')), await first(after.of('b'))]).toEqual(ids);
    await fs.rm(join(podsDir, 'a'), { recursive: true });
    after.release('a');
    expect(await first(after.of('d'))).toBe(ids[0]);
  });

  test('a record that cannot be understood stops the start of pods rather than giving ids twice', async () => {
    await fs.mkdir(join(podsDir, 'a'));
    for (const text of [
      '{',
      '{}',
      JSON.stringify({ uidMappings: [{ hostId: 70_000, containerId: 0, length: 65_536 }] }),
    ]) {
      await fs.writeFile(join(podsDir, 'a/userns'), text);
      await expect(node().of('b')).rejects.toThrow();
    }
    await fs.rm(join(podsDir, 'a'), { recursive: true });
    expect(await first(node().of('b'))).toBe(POD_IDS);
  });

  test('ids promised to users of the node are left alone', async () => {
    expect(takenByUsers(['# none\nann:100000:65536\nbob:165536:65536\n', ''])).toEqual([
      [100_000, 165_536],
      [165_536, 231_072],
    ]);
    expect(await first(node('ann:100000:65536\nbob:165536:65536\n').of('a'))).toBe(4 * POD_IDS);
    expect(freeBlock(new Set([1, 2]), [[3 * POD_IDS, 3 * POD_IDS + 1]])).toBe(4);
    expect(freeBlock(new Set(), [[0, 2 ** 32]])).toBeUndefined();
  });
});
