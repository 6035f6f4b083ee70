import type { Random } from '@trimtab/machinery';
import { StoreFailedError, type Value } from '../engine/engine.js';
import { nameOf, plainCodec, type ValueCodec } from '../value-codec.js';
import { ciphers } from './ciphers.js';
import { covers, type EncryptionRule, type ProviderConfig } from './configuration.js';

/** What stands before an encrypted value: provider and key, as kube-apiserver writes them. */
const PREFIX = /^k8s:enc:(aesgcm|aescbc|secretbox):v1:([^:]+):/;
const LONGEST_PREFIX = 300;

/**
 * Encrypts by the first provider of the first rule that covers a resource and reads by all of that rule, so that keys rotate: the
 * new one is put first and everything written anew, then the old one is taken away. Resources no rule covers are stored as they are.
 */
export function encryptingCodec(rules: readonly EncryptionRule[], random: Random): ValueCodec {
  const found = new Map<string, readonly ProviderConfig[] | undefined>();
  const providersFor = (key: string): readonly ProviderConfig[] | undefined => {
    const resource = key.slice(0, key.indexOf('\0'));
    if (!found.has(resource))
      found.set(resource, rules.find(({ resources }) => resources.some((word) => covers(word, resource)))?.providers);
    return found.get(resource);
  };
  return {
    seal(key, text) {
      const first = providersFor(key)?.[0];
      if (first === undefined || first.type === 'identity') return text;
      const [named] = first.keys;
      const sealed = ciphers[first.type].seal(named!, Buffer.from(text), Buffer.from(key), random);
      return Buffer.concat([Buffer.from(`k8s:enc:${first.type}:v1:${named!.name}:`), sealed]);
    },
    open(key, value, revision) {
      const bytes =
        typeof value === 'string' ? Buffer.from(value) : Buffer.from(value.buffer, value.byteOffset, value.length);
      const match = PREFIX.exec(bytes.toString('latin1', 0, LONGEST_PREFIX));
      const providers = providersFor(key);
      if (match === null) {
        if (providers !== undefined && !providers.some(({ type }) => type === 'identity'))
          throw unreadable(
            key,
            revision,
            'is stored as plain text, which identity: {} among its providers would allow',
          );
        return plainCodec.open(key, value, revision);
      }
      const [prefix, type, name] = match;
      for (const provider of providers ?? []) {
        if (provider.type === 'identity' || provider.type !== type) continue;
        const named = provider.keys.find((candidate) => candidate.name === name);
        if (named === undefined) continue;
        try {
          return ciphers[provider.type].open(named, bytes.subarray(prefix.length), Buffer.from(key));
        } catch (cause) {
          throw unreadable(key, revision, `is not what key ${name} of ${type} encrypted there`, cause);
        }
      }
      throw unreadable(key, revision, `was encrypted by key ${name} of ${type}; put that key among its providers`);
    },
    isCurrent(key, value) {
      const first = providersFor(key)?.[0];
      const head = typeof value === 'string' ? value.slice(0, LONGEST_PREFIX) : latin1(value);
      const match = PREFIX.exec(head);
      if (first === undefined || first.type === 'identity') return match === null;
      return match?.[1] === first.type && match[2] === first.keys[0]!.name;
    },
  };
}

const latin1 = (bytes: Exclude<Value, string>): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, LONGEST_PREFIX)).toString('latin1');

const unreadable = (key: string, revision: number, what: string, cause?: unknown): StoreFailedError =>
  new StoreFailedError(`${nameOf(key)} at revision ${revision} ${what}; see --encryption-provider-config`, { cause });
