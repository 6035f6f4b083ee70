import type { Credentials, UserInfo } from '../contracts.js';

/** Whom to believe, and in which headers, when an authenticating proxy stands before the server. */
export interface RequestHeaderOptions {
  /** Common names a proxy's certificate may have; empty: any that chains to the request-header authority. */
  readonly allowedNames: readonly string[];
  /** The first of these that is there names the user. */
  readonly usernameHeaders: readonly string[];
  readonly uidHeaders: readonly string[];
  readonly groupHeaders: readonly string[];
  /** What follows the prefix, in lower case and percent-decoded, is the extra's key. */
  readonly extraHeaderPrefixes: readonly string[];
}

/** The names everybody uses. */
export const defaultRequestHeaders: RequestHeaderOptions = {
  allowedNames: [],
  usernameHeaders: ['X-Remote-User'],
  uidHeaders: ['X-Remote-Uid'],
  groupHeaders: ['X-Remote-Group'],
  extraHeaderPrefixes: ['X-Remote-Extra-'],
};

/**
 * The user whom an authenticating proxy names. Undefined unless the connection's certificate chains to the request-header
 * authority and has an allowed name: the headers of anybody else say nothing.
 */
export function requestHeaderUser(options: RequestHeaderOptions, credentials: Credentials): UserInfo | undefined {
  const { proxyCertificate } = credentials;
  if (!proxyCertificate) return undefined;
  const { allowedNames } = options;
  if (allowedNames.length > 0 && !allowedNames.includes(proxyCertificate.commonName)) return undefined;
  const first = (names: readonly string[]): string =>
    names.map((name) => credentials.header(name) ?? '').find((value) => value !== '') ?? '';
  const name = first(options.usernameHeaders);
  if (name === '') return undefined;
  const uid = first(options.uidHeaders);
  const groups = options.groupHeaders.flatMap((header) => listed(credentials.header(header)));
  const extra = extras(options.extraHeaderPrefixes, credentials);
  return {
    name,
    ...(uid === '' ? {} : { uid }),
    groups,
    ...(Object.keys(extra).length > 0 ? { extra } : {}),
  };
}

/** Repeated headers arrive joined by commas. */
const listed = (text: string | undefined): readonly string[] =>
  (text ?? '')
    .split(',')
    .map((v) => v.trim())
    .filter(Boolean);

function extras(prefixes: readonly string[], credentials: Credentials): Readonly<Record<string, readonly string[]>> {
  const found: Record<string, readonly string[]> = {};
  for (const header of credentials.headerNames?.() ?? []) {
    const lower = header.toLowerCase();
    const prefix = prefixes.find((p) => lower.startsWith(p.toLowerCase()));
    if (prefix === undefined) continue;
    const key = decoded(lower.slice(prefix.length));
    found[key] = [...(found[key] ?? []), ...listed(credentials.header(header))];
  }
  return found;
}

/** Keys are percent-encoded where header names allow no better; one that is not valid encoding is taken as it stands. */
export function decoded(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}
