import { type ConfigMap, causes, equalJson, type Secret } from '@trimtab/machinery';
import { type Causes, dataKey, immutable } from './checks.js';
import type { KindRules } from './typed.js';

const maxBytes = 1024 * 1024;

/** Keys of both maps together: each a file name, none in both, all values within a mebibyte. */
function validateData(
  maps: Readonly<Record<string, Readonly<Record<string, string>> | undefined>>,
  sizeAt: string,
  decoded: ReadonlySet<string>,
  out: Causes,
): void {
  let bytes = 0;
  const seen = new Set<string>();
  for (const [field, map] of Object.entries(maps))
    for (const [key, value] of Object.entries(map ?? {})) {
      dataKey(key, `${field}[${key}]`, out);
      if (seen.has(key)) out.push(causes.invalid(`${field}[${key}]`, key, 'duplicate of key present in data'));
      seen.add(key);
      bytes += decoded.has(field) ? decodedLength(value) : Buffer.byteLength(value);
    }
  if (bytes > maxBytes) out.push(causes.tooLong(sizeAt, maxBytes));
}

const decodedLength = (base64: string): number => Math.floor((base64.replace(/=+$/, '').length * 3) / 4);

/** `immutable: true` freezes data, and itself. */
function validateFrozen<T extends { readonly immutable?: boolean }>(
  now: T,
  old: T,
  fields: readonly (keyof T & string)[],
  out: Causes,
): void {
  if (old.immutable !== true) return;
  if (now.immutable !== true) out.push(causes.forbidden('immutable', 'field is immutable when `immutable` is set'));
  for (const field of fields)
    if (!equalJson(now[field] ?? {}, old[field] ?? {}))
      out.push(causes.forbidden(field, 'field is immutable when `immutable` is set'));
}

export const configMap: KindRules<ConfigMap> = {
  validate: ({ data, binaryData }, out) => validateData({ data, binaryData }, '', new Set(['binaryData']), out),
  validateChange: (now, old, out) => validateFrozen(now, old, ['data', 'binaryData'], out),
};

/** Keys that a Secret of this type has to have. */
const requiredKeys: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    'kubernetes.io/dockercfg': ['.dockercfg'],
    'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
    'kubernetes.io/ssh-auth': ['ssh-privatekey'],
    'kubernetes.io/tls': ['tls.crt', 'tls.key'],
  }),
);

export const secret: KindRules<Secret> = {
  /** `stringData` is a way to write `data` and is never stored. */
  default(object) {
    const typed = object.type ? object : { ...object, type: 'Opaque' };
    if (!typed.stringData) return typed;
    const { stringData, ...rest } = typed;
    const written = Object.entries(stringData).map(([key, text]) => [
      key,
      Buffer.from(text, 'utf8').toString('base64'),
    ]);
    return { ...rest, data: { ...rest.data, ...Object.fromEntries(written) } };
  },
  validate(object, out) {
    validateData({ data: object.data }, 'data', new Set(['data']), out);
    for (const key of requiredKeys.get(object.type ?? '') ?? [])
      if (object.data?.[key] === undefined) out.push(causes.required(`data[${key}]`));
    if (object.type === 'kubernetes.io/dockerconfigjson') validateDockerConfig(object.data?.['.dockerconfigjson'], out);
    const account = 'kubernetes.io/service-account.name';
    if (object.type === 'kubernetes.io/service-account-token' && !object.metadata.annotations?.[account])
      out.push(causes.required(`metadata.annotations[${account}]`));
  },
  validateChange(now, old, out) {
    immutable(now.type, old.type, equalJson, 'type', out);
    validateFrozen(now, old, ['data'], out);
  },
};

function validateDockerConfig(base64: string | undefined, out: Causes): void {
  if (base64 === undefined) return;
  try {
    JSON.parse(Buffer.from(base64, 'base64').toString('utf8'));
  } catch (error) {
    out.push(
      causes.invalid(
        'data[.dockerconfigjson]',
        '<secret contents redacted>',
        error instanceof SyntaxError ? 'invalid JSON' : String(error),
      ),
    );
  }
}
