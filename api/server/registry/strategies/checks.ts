import { isIP } from 'node:net';
import { causes, compareQuantities, isQuantity, parseQuantity, type StatusCause } from '@trimtab/machinery';
import { labelValueProblems, nameProblems, qualifiedNameProblems } from '../names.js';

/**
 * Single checks of single values, in Kubernetes' words (apimachinery: util/validation). Each appends what it finds to `out`
 * under the field `at` and never throws; values have the types of the schema, since decoding has refused all others, but any of them may be missing.
 */
export type Causes = StatusCause[];

const report = (problems: readonly string[], value: unknown, at: string, out: Causes): void => {
  for (const problem of problems) out.push(causes.invalid(at, value, problem));
};

export function required(value: unknown, at: string, out: Causes, detail = ''): boolean {
  const there = value !== undefined && value !== null && value !== '' && !(Array.isArray(value) && value.length === 0);
  if (!there) out.push(causes.required(at, detail));
  return there;
}

/** A value that has to be one of a few; a missing one is required. */
export function oneOf(value: string | undefined, allowed: readonly string[], at: string, out: Causes): void {
  if (!value) out.push(causes.required(at));
  else optionalOneOf(value, allowed, at, out);
}

export function optionalOneOf(value: string | undefined, allowed: readonly string[], at: string, out: Causes): void {
  if (value !== undefined && !allowed.includes(value)) out.push(causes.notSupported(at, value, [...allowed].sort()));
}

export const dnsLabel = (value: string | undefined, at: string, out: Causes): void =>
  report(nameProblems(value ?? '', 'label'), value ?? '', at, out);

export const dnsSubdomain = (value: string | undefined, at: string, out: Causes): void =>
  report(nameProblems(value ?? '', 'subdomain'), value ?? '', at, out);

export const pathSegment = (value: string | undefined, at: string, out: Causes): void =>
  report(nameProblems(value ?? '', 'path-segment'), value ?? '', at, out);

export const qualifiedName = (value: string | undefined, at: string, out: Causes): void =>
  report(qualifiedNameProblems(value ?? ''), value ?? '', at, out);

export function labels(map: Readonly<Record<string, string>> | undefined, at: string, out: Causes): void {
  for (const [key, value] of Object.entries(map ?? {})) {
    report(qualifiedNameProblems(key), key, at, out);
    report(labelValueProblems(value), value, at, out);
  }
}

export function nonNegative(value: number | undefined | null, at: string, out: Causes): void {
  if (typeof value === 'number' && value < 0) out.push(causes.invalid(at, value, 'must be greater than or equal to 0'));
}

export function positive(value: number | undefined | null, at: string, out: Causes): void {
  if (typeof value === 'number' && value <= 0) out.push(causes.invalid(at, value, 'must be greater than 0'));
}

export function port(value: number | undefined, at: string, out: Causes): void {
  if (value === undefined || value < 1 || value > 65535)
    out.push(causes.invalid(at, value ?? 0, 'must be between 1 and 65535, inclusive'));
}

/** IANA_SVC_NAME (RFC 6335, 5.1). */
export function portName(given: string | undefined, at: string, out: Causes): void {
  const name = given ?? '';
  const problems: string[] = [];
  if (name.length > 15) problems.push('must be no more than 15 characters');
  if (!/^[-a-z0-9]+$/.test(name))
    problems.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  if (!/[a-z]/.test(name)) problems.push('must contain at least one letter (a-z)');
  if (name.includes('--')) problems.push('must not contain consecutive hyphens');
  if (name.startsWith('-') || name.endsWith('-')) problems.push('must not begin or end with a hyphen');
  report(problems, name, at, out);
}

/** A port by number or by name, as probes and Services give it. */
export function portOrName(value: number | string | undefined, at: string, out: Causes): void {
  if (typeof value === 'string') {
    if (value === '') out.push(causes.invalid(at, value, 'must be between 1 and 65535, inclusive'));
    else portName(value, at, out);
  } else port(value, at, out);
}

/** A count, or a percentage of one: not negative, and a percentage only as `N%`. */
export function countOrPercent(value: number | string | undefined, at: string, out: Causes, most?: number): void {
  if (value === undefined || value === null) return;
  if (typeof value === 'number') {
    nonNegative(value, at, out);
    return;
  }
  const percent = /^([0-9]+)%$/.exec(value);
  if (!percent)
    out.push(
      causes.invalid(
        at,
        value,
        "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
      ),
    );
  else if (most !== undefined && Number(percent[1]) > most)
    out.push(causes.invalid(at, value, `must not be greater than ${most}%`));
}

export function ipAddress(given: string | undefined, at: string, out: Causes): void {
  const value = given ?? '';
  if (!isIP(value))
    out.push(causes.invalid(at, value, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'));
}

/** An address of a pod: neither of the machine itself nor of its link. */
export function endpointAddress(ip: string, at: string, out: Causes): void {
  const before = out.length;
  ipAddress(ip, at, out);
  if (out.length > before) return;
  const forbidden = (range: string) => out.push(causes.invalid(at, ip, `may not be in the ${range}`));
  if (ip === '0.0.0.0' || ip === '::') out.push(causes.invalid(at, ip, `may not be unspecified (${ip})`));
  if (ip.startsWith('127.') || ip === '::1') forbidden('loopback range (127.0.0.0/8, ::1/128)');
  if (ip.startsWith('169.254.') || /^fe[89ab]/i.test(ip)) forbidden('link-local range (169.254.0.0/16, fe80::/10)');
  if (/^224\.0\.0\./.test(ip)) forbidden('link-local multicast range (224.0.0.0/24, ff02::/10)');
}

/** An address and a prefix length that fits it. */
export function cidr(given: string | undefined, at: string, out: Causes): void {
  const value = given ?? '';
  const [address = '', bits = ''] = value.split('/');
  const family = isIP(address);
  if (!family || !/^\d{1,3}$/.test(bits) || Number(bits) > (family === 4 ? 32 : 128) || value.split('/').length !== 2)
    out.push(causes.invalid(at, value, 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'));
}

/** Printable ASCII without `=` (relaxed in 1.32). */
export function environmentName(given: string | undefined, at: string, out: Causes): void {
  const name = given ?? '';
  if (!/^[ -<>-~]+$/.test(name))
    out.push(
      causes.invalid(
        at,
        name,
        "a valid environment variable name must consist only of printable ASCII characters other than '='",
      ),
    );
}

/** A key of a ConfigMap or Secret, which becomes a file name. */
export function dataKey(given: string | undefined, at: string, out: Causes): void {
  const key = given ?? '';
  if (key.length > 253) out.push(causes.invalid(at, key, 'must be no more than 253 bytes'));
  if (!/^[-._a-zA-Z0-9]+$/.test(key))
    out.push(
      causes.invalid(
        at,
        key,
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
      ),
    );
  else if (key === '.' || key.startsWith('..'))
    out.push(
      causes.invalid(at, key, key === '.' || key === '..' ? `must not be '${key}'` : "must not start with '..'"),
    );
}

/** A relative path that stays below its root. */
export function localPath(given: string | undefined, at: string, out: Causes): void {
  const path = given ?? '';
  if (path.startsWith('/')) out.push(causes.invalid(at, path, 'must be a relative path'));
  notDotDot(path, at, out);
}

export function notDotDot(path: string | undefined, at: string, out: Causes): void {
  if (path?.split('/').includes('..')) out.push(causes.invalid(at, path, "must not contain '..'"));
}

export function absolutePath(given: string | undefined, at: string, out: Causes): void {
  const path = given ?? '';
  if (!path.startsWith('/')) out.push(causes.invalid(at, path, 'must be an absolute path'));
}

/** Both ends belong to the range. */
export function inRange(value: number | undefined, low: number, high: number, at: string, out: Causes): void {
  if (value !== undefined && (value < low || value > high))
    out.push(causes.invalid(at, value, `must be between ${low} and ${high}, inclusive`));
}

/** `example.com/path`, as names of who is responsible are written. */
export function domainPrefixedPath(given: string | undefined, at: string, out: Causes): void {
  const value = given ?? '';
  if (!required(value, at, out)) return;
  const slash = value.indexOf('/');
  if (slash < 1 || slash === value.length - 1) {
    out.push(causes.invalid(at, value, 'must be a domain-prefixed path (such as "acme.io/foo")'));
    return;
  }
  dnsSubdomain(value.slice(0, slash), at, out);
  if (!/^[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/.test(value.slice(slash + 1)))
    out.push(
      causes.invalid(
        at,
        value.slice(slash + 1),
        "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')",
      ),
    );
}

/** Labels and annotations of metadata that is not an object's own: of templates. */
export function templateMetadata(
  metadata:
    | { readonly labels?: Readonly<Record<string, string>>; readonly annotations?: Readonly<Record<string, string>> }
    | undefined,
  at: string,
  out: Causes,
): void {
  labels(metadata?.labels, `${at}.labels`, out);
  for (const key of Object.keys(metadata?.annotations ?? {}))
    report(qualifiedNameProblems(key.toLowerCase()), key, `${at}.annotations`, out);
}

/** Each element has its own value of `key`; repeated ones are reported where they stand. */
export function unique<T>(
  list: readonly T[] | undefined,
  key: (item: T) => unknown,
  at: (index: number) => string,
  out: Causes,
  why = '',
): void {
  const seen = new Set<string>();
  for (const [index, item] of (list ?? []).entries()) {
    const value = key(item);
    const text = JSON.stringify(value);
    if (value === undefined || value === '') continue;
    if (seen.has(text)) out.push(why ? causes.invalid(at(index), value, why) : causes.duplicate(at(index), value));
    seen.add(text);
  }
}

/** A quantity that is not negative; false when it cannot be read or is. */
export function quantity(value: string | number, at: string, out: Causes): boolean {
  if (!isQuantity(value)) {
    out.push(
      causes.invalid(
        at,
        value,
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
      ),
    );
    return false;
  }
  if (compareQuantities(parseQuantity(value), parseQuantity('0')) >= 0) return true;
  out.push(causes.invalid(at, String(value), 'must be greater than or equal to 0'));
  return false;
}

/** Reports a changed field that may not change. Gives true when it did. */
export function immutable(
  now: unknown,
  old: unknown,
  same: (a: unknown, b: unknown) => boolean,
  at: string,
  out: Causes,
  why = 'field is immutable',
): boolean {
  if (same(now, old)) return false;
  out.push(causes.invalid(at, now ?? null, why));
  return true;
}
