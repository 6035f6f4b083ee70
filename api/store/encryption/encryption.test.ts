import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom, VirtualClock } from '@trimtab/machinery';
import { embeddedEngine, encryptingCodec, openStore, parseEncryptionConfiguration, type Store } from '../index.js';

const key = (n: number) => Buffer.alloc(32, n).toString('base64');
const config = (providers: readonly object[], resources = ['secrets', '*.example.com']) =>
  parseEncryptionConfiguration({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'EncryptionConfiguration',
    resources: [{ resources, providers }],
  });
const named = (type: string, ...names: string[]) => ({
  [type]: { keys: names.map((name) => ({ name, secret: key(name.length) })) },
});
const secret = (name: string, password: string) => ({
  type: 'put' as const,
  key: { resource: '/secrets', namespace: 'default', name },
  object: { metadata: { name }, data: { password } },
});
const passwords = (store: Store) =>
  [...store.snapshot().range({ resource: '/secrets' })].map(
    ({ object }) => (object as unknown as { data: { password: string } }).data.password,
  );

describe('secrets at rest', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'trimtab-encryption-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));
  const open = async (rules?: ReturnType<typeof config>) =>
    openStore({
      engine: await embeddedEngine(dir),
      clock: new VirtualClock(),
      ...(rules && { codec: encryptingCodec(rules, seededRandom(1)) }),
    });
  const onDisk = () =>
    readdirSync(dir)
      .map((name) => readFileSync(join(dir, name), 'latin1'))
      .join('\n');

  test.each(['aesgcm', 'aescbc', 'secretbox'])(
    'by %s are not in any file, and are read again after a restart',
    async (type) => {
      const rules = config([named(type, 'one'), { identity: {} }]);
      const first = await open(rules);
      await first.commit([secret('s', 'very-secret-value')]);
      await first.commit([
        { ...secret('c', 'plain-value'), key: { resource: '/configmaps', namespace: 'default', name: 'c' } },
      ]);
      await first.close();
      expect(onDisk()).not.toContain('very-secret-value');
      expect(onDisk()).toContain(`k8s:enc:${type}:v1:one:`);
      expect(onDisk()).toContain('plain-value');
      const second = await open(rules);
      expect(passwords(second)).toEqual(['very-secret-value']);
      await second.close();
    },
  );

  test('rotate: a new first key writes, old ones read, and a rewrite leaves nothing that needs them', async () => {
    const plain = await open();
    await plain.commit([secret('a', 'first-password')]);
    await plain.close();
    const before = await open(config([named('aesgcm', 'one'), { identity: {} }]));
    await before.commit([secret('b', 'second-password')]);
    await before.close();
    expect(onDisk()).toContain('first-password');
    const rotated = await open(config([named('secretbox', 'three'), named('aesgcm', 'one'), { identity: {} }]));
    expect(passwords(rotated)).toEqual(['first-password', 'second-password']);
    await rotated.commit([secret('c', 'third-password')]);
    expect(await rotated.rewriteStale()).toBe(2);
    expect(await rotated.rewriteStale()).toBe(0);
    expect(onDisk()).not.toMatch(/password|aesgcm/);
    await rotated.close();
    const after = await open(config([named('secretbox', 'three')]));
    expect(passwords(after)).toEqual(['first-password', 'second-password', 'third-password']);
    await after.close();
  });

  test('are refused in words without their key, without any configuration, in another place, and in plain text', async () => {
    const store = await open(config([named('aesgcm', 'one')]));
    await store.commit([secret('s', 'x')]);
    await store.close();
    await expect(open()).rejects.toThrow(
      /^\/secrets default\/s at revision 1 is encrypted; start with the --encryption/,
    );
    await expect(open(config([named('aesgcm', 'other')]))).rejects.toThrow(
      /default\/s at revision 1 was encrypted by key one of aesgcm/,
    );
    const wrongKey = { aesgcm: { keys: [{ name: 'one', secret: key(9) }] } };
    await expect(open(config([wrongKey]))).rejects.toThrow(/is not what key one of aesgcm encrypted there/);
    const codec = encryptingCodec(config([named('aesgcm', 'one')]), seededRandom(1));
    const value = codec.seal('/secrets\0a\0s', '{}');
    expect(() => codec.open('/secrets\0b\0s', value, 1)).toThrow(/is not what key one of aesgcm encrypted there/);
    expect(() => codec.open('/secrets\0b\0s', '{}', 1)).toThrow(/plain text, which identity: {} among its providers/);
  });

  test('configured wrongly are refused by field', () => {
    expect(() => parseEncryptionConfiguration({ kind: 'Other' })).toThrow(
      /kind: .*EncryptionConfiguration is expected/,
    );
    expect(() => config([{ aesgcm: { keys: [{ name: 'a', secret: 'c2hvcnQ=' }] } }])).toThrow(
      /resources\[0\]\.providers\[0\]\.aesgcm\.keys\[0\]\.secret: 16, 24, 32 bytes in base64 are expected, not 5/,
    );
    expect(() => config([{ kms: {} }])).toThrow(/KMS plugins are not served/);
    expect(() => config([{ rot13: {} }])).toThrow(/one of aesgcm, aescbc, secretbox, identity is expected/);
  });
});
