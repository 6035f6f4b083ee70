import type { UserInfo } from '../contracts.js';

/** Which claims of an ID token make a user. Pure. */
export interface OidcClaims {
  readonly issuerUrl: string;
  /** Default `sub`. */
  readonly usernameClaim: string;
  /** `-`: none. Undefined: none for `email`, otherwise the issuer's URL and `#`. */
  readonly usernamePrefix?: string;
  readonly groupsClaim?: string;
  readonly groupsPrefix?: string;
  /** Claims that must be there with exactly this value. */
  readonly requiredClaims: Readonly<Record<string, string>>;
}

/** Throws an Error that says which claim is missing or has a value that cannot be used. */
export function claimedUser(options: OidcClaims, claims: Readonly<Record<string, unknown>>): UserInfo {
  for (const [name, value] of Object.entries(options.requiredClaims)) {
    if (!(name in claims)) throw new Error(`required claim ${name} not present in ID token`);
    if (claims[name] !== value)
      throw new Error(`required claim ${name} value does not match: expected ${value}, got ${String(claims[name])}`);
  }
  const name = claims[options.usernameClaim];
  if (typeof name !== 'string' || name === '') throw new Error(`the claim ${options.usernameClaim} names no user`);
  // Whoever may choose an address could take another's, unless the issuer has seen to it that it is theirs.
  if (options.usernameClaim === 'email' && claims.email_verified !== undefined && claims.email_verified !== true)
    throw new Error('email not verified');
  return { name: `${usernamePrefix(options)}${name}`, groups: groupsOf(options, claims) };
}

function usernamePrefix({ usernameClaim, usernamePrefix: given, issuerUrl }: OidcClaims): string {
  if (given === '-') return '';
  return given ?? (usernameClaim === 'email' ? '' : `${issuerUrl}#`);
}

function groupsOf(options: OidcClaims, claims: Readonly<Record<string, unknown>>): readonly string[] {
  const { groupsClaim, groupsPrefix = '' } = options;
  if (!groupsClaim || !(groupsClaim in claims)) return [];
  const value = claims[groupsClaim];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (!list.every((group): group is string => typeof group === 'string'))
    throw new Error(`the claim ${groupsClaim} is neither a text nor a list of texts`);
  return list.map((group) => `${groupsPrefix}${group}`);
}
