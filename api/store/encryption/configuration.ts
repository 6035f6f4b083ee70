import { StoreFailedError } from '../engine/engine.js';

/** One key of a provider. */
export interface NamedKey {
  readonly name: string;
  readonly secret: Buffer;
}

export type ProviderConfig =
  | { readonly type: 'identity' }
  | { readonly type: 'aesgcm' | 'aescbc' | 'secretbox'; readonly keys: readonly NamedKey[] };

/** Which resources are encrypted how: the first rule that covers a resource; its first provider writes, all of them read. */
export interface EncryptionRule {
  readonly resources: readonly string[];
  readonly providers: readonly ProviderConfig[];
}

const LENGTHS = { aesgcm: [16, 24, 32], aescbc: [16, 24, 32], secretbox: [32] } as const;

/**
 * Reads an EncryptionConfiguration of apiserver.config.k8s.io/v1, as YAML or JSON gives it. Throws StoreFailedError naming the field
 * of what is wrong or, as KMS plugins are, not served.
 */
export function parseEncryptionConfiguration(value: unknown): readonly EncryptionRule[] {
  const root = object(value, 'the file');
  if (
    root.kind !== 'EncryptionConfiguration' ||
    !/^apiserver\.config\.k8s\.io\/v1(beta1)?$/.test(String(root.apiVersion))
  )
    throw wrong('kind', 'apiserver.config.k8s.io/v1 EncryptionConfiguration is expected');
  const seen = new Set<string>();
  return list(root.resources, 'resources').map((entry, i) => {
    const at = `resources[${i}]`;
    const rule = object(entry, at);
    const resources = list(rule.resources, `${at}.resources`).map((name, j) => {
      if (typeof name !== 'string' || name === '')
        throw wrong(`${at}.resources[${j}]`, 'a name such as secrets is expected');
      if (seen.has(name)) throw wrong(`${at}.resources[${j}]`, `${name} is named twice`);
      seen.add(name);
      return name;
    });
    const providers = list(rule.providers, `${at}.providers`).map((p, j) => provider(p, `${at}.providers[${j}]`));
    if (resources.length === 0) throw wrong(`${at}.resources`, 'at least one is needed');
    if (providers.length === 0) throw wrong(`${at}.providers`, 'at least one is needed');
    return { resources, providers };
  });
}

function provider(value: unknown, at: string): ProviderConfig {
  const entries = Object.entries(object(value, at));
  const [type, settings] = entries[0] ?? [];
  if (entries.length !== 1) throw wrong(at, 'one provider an entry is expected');
  if (type === 'identity') return { type };
  if (type === 'kms') throw wrong(`${at}.kms`, 'KMS plugins are not served; use aesgcm, aescbc or secretbox');
  if (type !== 'aesgcm' && type !== 'aescbc' && type !== 'secretbox')
    throw wrong(`${at}.${type}`, 'one of aesgcm, aescbc, secretbox, identity is expected');
  const path = `${at}.${type}.keys`;
  const keys = list(object(settings, `${at}.${type}`).keys, path).map((entry, i): NamedKey => {
    const { name, secret } = object(entry, `${path}[${i}]`);
    if (typeof name !== 'string' || name === '' || name.includes(':'))
      throw wrong(`${path}[${i}].name`, "a name without ':' is expected");
    const bytes = Buffer.from(typeof secret === 'string' ? secret : '', 'base64');
    const lengths: readonly number[] = LENGTHS[type];
    if (!lengths.includes(bytes.length))
      throw wrong(`${path}[${i}].secret`, `${lengths.join(', ')} bytes in base64 are expected, not ${bytes.length}`);
    return { name, secret: bytes };
  });
  if (keys.length === 0) throw wrong(path, 'at least one is needed');
  if (new Set(keys.map(({ name }) => name)).size < keys.length) throw wrong(path, 'names are used twice');
  return { type, keys };
}

/** How well a rule's word covers a resource `<group>/<plural>`: exactly, by group, or all. */
export function covers(word: string, resource: string): boolean {
  const slash = resource.indexOf('/');
  const [group, plural] = [resource.slice(0, slash), resource.slice(slash + 1)];
  if (word === '*.*') return true;
  if (word.startsWith('*.')) return word.slice(2) === group;
  return word === (group === '' ? plural : `${plural}.${group}`);
}

function object(value: unknown, at: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(at, 'an object is expected');
  return value as Record<string, unknown>;
}

function list(value: unknown, at: string): readonly unknown[] {
  if (!Array.isArray(value)) throw wrong(at, 'a list is expected');
  return value;
}

const wrong = (field: string, what: string): StoreFailedError =>
  new StoreFailedError(`encryption configuration: ${field}: ${what}`);
