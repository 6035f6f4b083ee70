import type { Clock } from '@trimtab/machinery';
import type { UserInfo } from '../contracts.js';
import { claimedUser, type OidcClaims } from './oidc-claims.js';
import type { TokenAuthenticator } from './token-authenticator.js';

/** An OpenID Connect issuer whose ID tokens are accepted (Kubernetes: `--oidc-*`). */
export interface OidcOptions extends OidcClaims {
  /** `iss`, letter for letter; an https URL, below which the discovery document lies. */
  readonly issuerUrl: string;
  /** Must be among the token's audiences. */
  readonly clientId: string;
  /** JOSE names; default `RS256`. Only asymmetric ones make sense: anybody else could sign with a shared secret. */
  readonly signingAlgorithms: readonly string[];
}

/** Gets a JSON document over HTTPS; rejects on anything but a 200 answer with JSON in it. */
export type FetchJson = (url: string) => Promise<unknown>;

export interface OidcParts {
  readonly clock: Clock;
  readonly fetch: FetchJson;
}

interface KeySet {
  readonly keys: readonly { readonly kid?: string }[];
  readonly fetchedAt: number;
}

/** What the issuer says of its keys is asked for again at most this often, however many tokens name keys unknown here. */
const refetchAfter = 10_000;
/** A key that the issuer has withdrawn is good no longer than this. */
const keysGoodFor = 3600_000;
const remembered = 1024;

/**
 * ID tokens of one issuer: signature, `iss`, `aud`, times and required claims. The issuer is first asked when the first of
 * its tokens comes; its keys are kept for an hour and asked for anew when a token names one that is not among them, so a
 * rotation needs nothing here. An unreachable issuer makes its tokens invalid with a reason, and keeps nobody else out.
 */
export function oidcTokens(
  options: OidcOptions,
  { clock, fetch }: OidcParts,
  apiAudiences: readonly string[],
): TokenAuthenticator {
  let keys: KeySet | undefined;
  let fetching: Promise<KeySet> | undefined;
  const known = new Map<string, { readonly user: UserInfo; readonly expires: number }>();

  async function fetchKeys(): Promise<KeySet> {
    const base = options.issuerUrl.replace(/\/$/, '');
    const document = (await fetch(`${base}/.well-known/openid-configuration`)) as {
      readonly issuer?: unknown;
      readonly jwks_uri?: unknown;
    };
    if (document.issuer !== options.issuerUrl)
      throw new Error(
        `the discovery document of ${options.issuerUrl} is that of another issuer, ${JSON.stringify(document.issuer)}`,
      );
    if (typeof document.jwks_uri !== 'string' || !document.jwks_uri.startsWith('https://'))
      throw new Error(`the discovery document of ${options.issuerUrl} names no https jwks_uri`);
    const set = (await fetch(document.jwks_uri)) as { readonly keys?: unknown };
    if (!Array.isArray(set.keys)) throw new Error(`${document.jwks_uri} answers without a list of keys`);
    return { keys: set.keys as KeySet['keys'], fetchedAt: clock.now() };
  }

  async function keysFor(kid: string | undefined): Promise<KeySet> {
    const age = keys ? clock.now() - keys.fetchedAt : Number.POSITIVE_INFINITY;
    const there = kid === undefined || (keys?.keys.some((key) => key.kid === kid) ?? false);
    if (keys && age < keysGoodFor && (there || age < refetchAfter)) return keys;
    fetching ??= fetchKeys().finally(() => {
      fetching = undefined;
    });
    keys = await fetching;
    return keys;
  }

  async function verify(token: string): Promise<{ readonly user: UserInfo; readonly expires: number }> {
    const [{ jwtVerify }, { createLocalJWKSet }, { decodeProtectedHeader }] = await Promise.all([
      import('jose/jwt/verify'),
      import('jose/jwks/local'),
      import('jose/decode/protected_header'),
    ]);
    const { kid } = decodeProtectedHeader(token);
    const set = await keysFor(kid);
    const { payload } = await jwtVerify(
      token,
      createLocalJWKSet({ keys: set.keys as Parameters<typeof createLocalJWKSet>[0]['keys'] }),
      {
        algorithms: [...options.signingAlgorithms],
        issuer: options.issuerUrl,
        audience: options.clientId,
        currentDate: new Date(clock.now()),
        requiredClaims: ['exp'],
      },
    );
    return { user: claimedUser(options, payload), expires: Number(payload.exp) * 1000 };
  }

  return {
    async authenticateToken(token, wanted = apiAudiences) {
      if (issuerOf(token) !== options.issuerUrl) return undefined;
      const audiences = wanted.filter((a) => apiAudiences.includes(a));
      if (audiences.length === 0) throw new Error('ID tokens are for the API server alone');
      let entry = known.get(token);
      if (!entry || entry.expires <= clock.now()) {
        known.delete(token);
        try {
          entry = await verify(token);
        } catch (cause) {
          throw new Error(`oidc: verify token: ${(cause as Error).message}`, { cause });
        }
        if (known.size >= remembered) known.delete(known.keys().next().value as string);
        known.set(token, entry);
      }
      return { user: entry.user, audiences };
    },
  };
}

/** What the token says of its issuer, to tell whose it is; proves nothing. */
export function issuerOf(token: string): unknown {
  const parts = token.split('.');
  if (parts.length !== 3) return undefined;
  try {
    const payload: unknown = JSON.parse(Buffer.from(parts[1] ?? '', 'base64url').toString('utf8'));
    return typeof payload === 'object' && payload !== null && 'iss' in payload ? payload.iss : undefined;
  } catch {
    return undefined;
  }
}
