import { silentLogger } from '@trimtab/machinery';
import type { Image, ImageStore, ImageUpkeep, RemoveUnused } from '../images/image-store.js';
import { SimulatedImages } from '../simulated/simulated-node.js';
import { NodeUnderTest } from '../testing/node-under-test.js';
import { bytesToFree, DEFAULT_IMAGE_GC, ImageGc } from './image-gc.js';

const disk = (availableBytes: number) => ({
  capacityBytes: 1_000,
  availableBytes,
  usedBytes: 1_000 - availableBytes,
  inodes: 0,
  inodesFree: 0,
});

test('from 85 % on down to 80 %; never at a threshold of 100, nor where there is no disk to look at', () => {
  expect([160, 150, 100, 0].map((free) => bytesToFree(disk(free), DEFAULT_IMAGE_GC))).toEqual([
    undefined,
    50,
    100,
    200,
  ]);
  expect(bytesToFree(disk(0), { ...DEFAULT_IMAGE_GC, highPercent: 100 })).toBeUndefined();
  expect(bytesToFree(undefined, DEFAULT_IMAGE_GC)).toBeUndefined();
});

test('what containers use stays; what could not be freed is told of the node', async () => {
  const asked: RemoveUnused[] = [];
  class Kept extends SimulatedImages implements ImageUpkeep {
    usage = async () => ({ bytes: 0, images: [] });
    used = async () => {};
    pin = async () => true;
    removeUnused = async (request: RemoveUnused) => {
      asked.push(request);
      return { removed: [], bytes: 30 };
    };
    override async find(reference: string): Promise<Image> {
      return { ...(await super.find(reference)), id: `id of ${reference}` };
    }
  }
  const images: ImageStore & ImageUpkeep = new Kept();
  const node = await NodeUnderTest.start({ images });
  await node.run({ name: 'web', containers: [{ name: 'main', image: 'web:1' }] });
  await node.run({ name: 'done', restartPolicy: 'Never', containers: [{ name: 'main', image: 'done:1' }] });
  await node.exit('done', 'main', 0);
  await node.settle('done');
  let free = 500;
  const events: string[] = [];
  const gc = new ImageGc({
    nodeName: 'n1',
    images,
    pods: node.node!.pods,
    policy: DEFAULT_IMAGE_GC,
    fileSystem: async () => disk(free),
    recorder: { event: (_, type, reason, message) => events.push(`${type} ${reason}: ${message}`) },
    clock: node.clock,
    logger: silentLogger,
  });
  gc.start();
  await node.clock.advance(300_000);
  expect(asked).toEqual([]);
  free = 100;
  await node.clock.advance(300_000);
  expect(asked).toEqual([{ inUse: expect.any(Set), bytes: 100, minAgeMs: 120_000, now: node.clock.now() }]);
  expect([...asked[0]!.inUse].filter((id) => id.startsWith('id of web:1'))).toHaveLength(1);
  expect([...asked[0]!.inUse].filter((id) => id.includes('done'))).toEqual([]);
  expect(events).toEqual([
    'Warning FreeDiskSpaceFailed: Failed to garbage collect required amount of images. Attempted to free 100 bytes, but only found 30 bytes eligible to free.',
  ]);
  gc.stop();
  await node.clock.advance(600_000);
  expect(asked).toHaveLength(1);
});
