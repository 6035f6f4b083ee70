import type { Random, StatusCause } from '@trimtab/machinery';

const alphabet = 'bcdfghjklmnpqrstvwxz2456789';
const maxGeneratedBase = 58;

/** `generateName` plus five characters that cannot spell words (apiserver: names/generate.go). */
export function generateName(base: string, random: Random): string {
  let suffix = '';
  for (let i = 0; i < 5; i++) suffix += alphabet[Math.floor(random.next() * alphabet.length)];
  return base.slice(0, maxGeneratedBase) + suffix;
}

const poolSize = 4096;
const pools = new WeakMap<Random, { bytes: Uint8Array; used: number }>();
const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/**
 * A version 4 UUID. Random bytes are drawn in bulk, and read where they are: drawn or copied one UUID at a time they would cost
 * more than all else about it.
 */
export function newUid(random: Random): string {
  let pool = pools.get(random);
  if (!pool || pool.used + 16 > poolSize) {
    pool = { bytes: random.bytes(poolSize), used: 0 };
    pools.set(random, pool);
  }
  const { bytes, used } = pool;
  pool.used += 16;
  const part = (from: number, to: number): string => {
    let text = '';
    for (let i = from; i < to; i++) text += hex[bytes[used + i]!];
    return text;
  };
  const version = hex[(bytes[used + 6]! & 0x0f) | 0x40];
  const variant = hex[(bytes[used + 8]! & 0x3f) | 0x80];
  return `${part(0, 4)}-${part(4, 6)}-${version}${part(7, 8)}-${variant}${part(9, 10)}-${part(10, 16)}`;
}

const dns1123Label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const dns1123Subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const dns1035Label = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const qualifiedName = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;

/** How a kind's names may look. */
export type NameRule = 'subdomain' | 'label' | 'label1035' | 'path-segment';

const nameRules: Readonly<Record<string, NameRule>> = {
  '/namespaces': 'label',
  '/services': 'label1035',
  'rbac.authorization.k8s.io/roles': 'path-segment',
  'rbac.authorization.k8s.io/rolebindings': 'path-segment',
  'rbac.authorization.k8s.io/clusterroles': 'path-segment',
  'apiregistration.k8s.io/apiservices': 'path-segment',
  'rbac.authorization.k8s.io/clusterrolebindings': 'path-segment',
  'certificates.k8s.io/certificatesigningrequests': 'subdomain',
  'networking.k8s.io/ipaddresses': 'path-segment',
};

export function nameRule(storageResource: string): NameRule {
  return nameRules[storageResource] ?? 'subdomain';
}

/** What is wrong with a name, as texts to follow `Invalid value: "x": `. */
export function nameProblems(name: string, rule: NameRule): readonly string[] {
  switch (rule) {
    case 'path-segment':
      if (name === '.' || name === '..') return [`may not be '${name}'`];
      return [...'/%'].filter((c) => name.includes(c)).map((c) => `may not contain '${c}'`);
    case 'label':
      return [
        ...(name.length > 63 ? ['must be no more than 63 bytes'] : []),
        ...(dns1123Label.test(name) ? [] : [label1123Text]),
      ];
    case 'label1035':
      return [
        ...(name.length > 63 ? ['must be no more than 63 bytes'] : []),
        ...(dns1035Label.test(name) ? [] : [label1035Text]),
      ];
    case 'subdomain':
      return [
        ...(name.length > 253 ? ['must be no more than 253 bytes'] : []),
        ...(dns1123Subdomain.test(name) ? [] : [subdomain1123Text]),
      ];
  }
}

const label1123Text =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const label1035Text =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const subdomain1123Text =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const qualifiedText =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const labelValueText =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/** What is wrong with a label or annotation key or a finalizer (`prefix/name`). */
export function qualifiedNameProblems(key: string): readonly string[] {
  const slash = key.indexOf('/');
  const problems: string[] = [];
  if (slash >= 0) {
    const prefix = key.slice(0, slash);
    if (prefix === '') problems.push('prefix part must be non-empty');
    else problems.push(...nameProblems(prefix, 'subdomain').map((p) => `prefix part ${p}`));
    if (key.indexOf('/', slash + 1) >= 0)
      return [
        "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
      ];
  }
  const name = key.slice(slash + 1);
  if (name === '') problems.push('name part must be non-empty');
  else if (name.length > 63) problems.push('name part must be no more than 63 bytes');
  if (!qualifiedName.test(name)) problems.push(qualifiedText);
  return problems;
}

export function labelValueProblems(value: string): readonly string[] {
  return [
    ...(value.length > 63 ? ['must be no more than 63 bytes'] : []),
    ...(value === '' || qualifiedName.test(value) ? [] : [labelValueText]),
  ];
}

/** One cause per problem, in Kubernetes' words. */
export function invalidValue(field: string, value: unknown, problem: string): StatusCause {
  return { reason: 'FieldValueInvalid', field, message: `Invalid value: ${JSON.stringify(value)}: ${problem}` };
}
