import * as fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom, silentLogger, VirtualClock } from '@trimtab/machinery';
import type { Pod } from '../pod/api.js';
import { MemoryClient } from '../testing/memory-client.js';
import { ObjectTracker } from './object-tracker.js';
import { PayloadVolumes } from './payload-volumes.js';

test('a token is renewed at 80 % of its life, or after a day, and the file switched; a server that fails is asked again', async () => {
  const directory = await fs.mkdtemp(join(tmpdir(), 'tokens-'));
  const clock = new VirtualClock();
  const client = new MemoryClient(clock);
  const options = { client, clock, random: seededRandom(1), logger: silentLogger };
  const pod: Pod = {
    metadata: { name: 'web', namespace: 'default', uid: 'u' },
    spec: {
      containers: [{ name: 'main' }],
      volumes: ['hour', 'week'].map((name, i) => ({
        name,
        projected: { sources: [{ serviceAccountToken: { path: 'token', expirationSeconds: [3_600, 604_800][i]! } }] },
      })),
    },
  };
  const volumes = new PayloadVolumes(
    {
      ...options,
      tracker: new ObjectTracker(options),
      downward: () => ({ pod, nodeName: 'n', hostIP: '', podIPs: [], allocatable: {} }),
    },
    pod,
    ({ name }) => join(directory, name),
  );
  const [hour, week] = pod.spec.volumes as [
    NonNullable<typeof pod.spec.volumes>[number],
    (typeof pod.spec.volumes & {})[number],
  ];
  const read = async (name: string) => {
    // Writes follow one another: this one ends after all that time has brought about.
    await volumes.write(hour);
    return fs.readFile(join(directory, name, 'token'), 'utf8');
  };
  try {
    await volumes.write(week);
    const first = [await read('hour'), await read('week')];
    volumes.follow();
    await clock.advance(2_860_000);
    expect([await read('hour'), await read('week')]).toEqual(first);
    await clock.advance(21_000);
    const renewed = await read('hour');
    expect(renewed).not.toBe(first[0]);
    expect(await read('week')).toBe(first[1]);

    const ask = client.subresource.bind(client);
    client.subresource = async () => {
      throw new Error('not now');
    };
    await clock.advance(2_880_000);
    await fs.stat(directory);
    client.subresource = ask;
    await clock.advance(10_000);
    expect(await read('hour')).not.toBe(renewed);
    await clock.advance(86_400_000);
    expect(await read('week')).not.toBe(first[1]);
  } finally {
    await volumes.stop();
    await fs.rm(directory, { recursive: true, force: true });
  }
  expect(clock.nextDue()).toBeUndefined();
});
