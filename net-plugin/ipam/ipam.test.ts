import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VirtualClock } from '@trimtab/machinery';
import fc from 'fast-check';
import { contains, formatIPv4, parseIPv4, parseNetwork } from './address.js';
import { HostLocal } from './host-local.js';
import { allocate, emptyPool, poolOf, QUARANTINE_MS, recordOf, release } from './pool.js';

describe('addresses', () => {
  test.each(['10.0.0.1', '0.0.0.0', '255.255.255.255'])('%s is read and written back', (text) => {
    expect(formatIPv4(parseIPv4(text)!)).toBe(text);
  });

  test.each(['', '10.0.0', '10.0.0.1.2', '10.0.0.256', '010.0.0.1', '10.0.0.-1', 'fd00::1', '10.0.0.1 '])(
    '%p is no IPv4 address',
    (text) => expect(parseIPv4(text)).toBeUndefined(),
  );

  test.each(['10.0.0.0', '10.0.0.0/33', '10.0.0.0/', '/24', '10.0.0.0/24/1'])('%p is no network', (text) => {
    expect(() => parseNetwork(text)).toThrow(`"${text}" is no IPv4 network`);
  });
});

describe('the pool', () => {
  const network = parseNetwork('10.244.0.0/28');

  test('gives out every address but network, gateway and broadcast, then says that it is empty', () => {
    let pool = emptyPool(network);
    const given: string[] = [];
    for (let i = 0; ; i++) {
      const next = allocate(pool, `pod-${i}`, 0);
      if (!next) break;
      pool = next.pool;
      given.push(next.address);
    }
    expect(given).toHaveLength(13);
    expect(given[0]).toBe('10.244.0.2');
    expect(given.at(-1)).toBe('10.244.0.14');
  });

  test('a freed address rests, unless there is no other', () => {
    const first = allocate(emptyPool(network), 'a', 0)!;
    let pool = release(first.pool, 'a', 1000);
    for (let i = 0; i < 12; i++) {
      const next = allocate(pool, `pod-${i}`, 1000 + i)!;
      expect(next.address).not.toBe(first.address);
      pool = next.pool;
    }
    expect(allocate(pool, 'last', 1100)!.address).toBe(first.address);
    expect(allocate(pool, 'last', 1000 + QUARANTINE_MS)!.address).toBe(first.address);
  });

  test('whatever happens: one owner an address, one address an owner, and the record brings the same pool back', () => {
    const step = fc.record({ owner: fc.integer({ min: 0, max: 20 }), free: fc.boolean(), ms: fc.nat(100_000) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        let pool = emptyPool(network);
        let now = 0;
        for (const { owner, free, ms } of steps) {
          now += ms;
          pool = free ? release(pool, `o${owner}`, now) : (allocate(pool, `o${owner}`, now)?.pool ?? pool);
          expect(new Set(pool.byOwner.values()).size).toBe(pool.byOwner.size);
          for (const [holder, address] of pool.byOwner) {
            expect(pool.byAddress.get(address)).toBe(holder);
            expect(contains(network, address) && !pool.freed.has(address)).toBe(true);
          }
        }
        expect(poolOf(JSON.parse(JSON.stringify(recordOf(pool))), network)).toEqual(pool);
      }),
    );
  });
});

describe('host-local', () => {
  const network = parseNetwork('10.244.0.0/24');
  let directory: string;
  let file: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'trimtab-ipam-'));
    file = join(directory, 'state', 'addresses.json');
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));
  const open = (): Promise<HostLocal> => HostLocal.open(file, network, new VirtualClock());

  test('100 owners at once get 100 addresses, all of them on disk when answered', async () => {
    const ipam = await open();
    const owners = Array.from({ length: 100 }, (_, i) => `pod-${i}`);
    const given = await Promise.all(
      owners.map(async (owner) => {
        const address = await ipam.allocate(owner);
        const stored = JSON.parse(readFileSync(file, 'utf8')) as { owners: Record<string, string> };
        expect(stored.owners[owner]).toBe(address);
        return address;
      }),
    );
    expect(new Set(given).size).toBe(100);
    // As after kill -9: another process reads what is there.
    const again = await open();
    expect(await Promise.all(owners.map((owner) => again.allocate(owner)))).toEqual(given);
    expect(given).not.toContain(await again.allocate('new'));
  });

  test('a half-written replacement is of no consequence', async () => {
    const first = await (await open()).allocate('a');
    writeFileSync(`${file}.new`, '{"version":1,"own');
    expect(await (await open()).allocate('a')).toBe(first);
  });

  test('a file of another network or a damaged one is refused by name, never guessed at', async () => {
    await (await open()).allocate('a');
    await expect(HostLocal.open(file, parseNetwork('10.1.0.0/24'), new VirtualClock())).rejects.toThrow(
      `${file} cannot be used: it is for 10.244.0.0/24, the node's pod network is 10.1.0.0/24`,
    );
    writeFileSync(file, '{');
    await expect(open()).rejects.toThrow('cannot be used');
    const twice = {
      version: 1,
      network: '10.244.0.0/24',
      cursor: '10.244.0.2',
      owners: { a: '10.244.0.2', b: '10.244.0.2' },
      freed: {},
    };
    writeFileSync(file, JSON.stringify(twice));
    await expect(open()).rejects.toThrow('10.244.0.2 has two owners');
  });

  test('an exhausted network says how many are in use', async () => {
    const small = await HostLocal.open(file, parseNetwork('10.1.0.0/29'), new VirtualClock());
    await Promise.all(['a', 'b', 'c', 'd', 'e'].map((owner) => small.allocate(owner)));
    await expect(small.allocate('f')).rejects.toThrow('no pod address is left in 10.1.0.0/29: 5 are in use');
    small.release('a');
    expect(await small.allocate('f')).toBe('10.1.0.2');
  });
});
