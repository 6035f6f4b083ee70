import { unauthorized } from '@trimtab/machinery';
import type { Authenticator, Credentials, UserInfo } from '../contracts.js';
import { anonymousUser, unauthenticatedGroup, withAuthenticatedGroup } from './groups.js';
import { type RequestHeaderOptions, requestHeaderUser } from './request-header.js';
import type { TokenAuthenticator } from './token-authenticator.js';

export interface AuthenticationOptions {
  /** Asked in order; the first that knows the token decides. */
  readonly tokens: readonly TokenAuthenticator[];
  /** Absent: no proxy is believed. */
  readonly requestHeader?: RequestHeaderOptions;
  /**
   * Paths where a request without credentials is let in as `system:anonymous` (a path and everything below it), `all`, or
   * `none`; default `all`. Authorization still has to allow it, so what is refused is answered 403 and not 401.
   */
  readonly anonymous?: readonly string[] | 'all' | 'none';
}

/** One that always decides: it names a user or throws. */
export interface DecidingAuthenticator extends Authenticator {
  authenticate(credentials: Credentials): Promise<UserInfo>;
}

/**
 * Who a request comes from, asked in Kubernetes' order: an authenticating proxy, a verified client certificate (CN is the
 * user, each O a group), a bearer token. A
 * bearer token that nobody accepts is a 401 even where anonymous requests would pass; so is a request without
 * credentials, outside the anonymous paths. Never answers undefined.
 */
export function createAuthenticator(options: AuthenticationOptions): DecidingAuthenticator {
  return {
    async authenticate(credentials) {
      const fromProxy = options.requestHeader && requestHeaderUser(options.requestHeader, credentials);
      if (fromProxy) return { ...fromProxy, groups: withAuthenticatedGroup(fromProxy.groups) };
      const fromCertificate = certificateUser(credentials);
      if (fromCertificate) return fromCertificate;
      if (credentials.bearerToken) {
        const accepted = await acceptToken(options.tokens, credentials.bearerToken);
        if ('user' in accepted) return { ...accepted.user, groups: withAuthenticatedGroup(accepted.user.groups) };
        throw unauthorized();
      }
      if (!isAnonymousAllowed(options.anonymous ?? 'all', credentials.path)) throw unauthorized();
      return { name: anonymousUser, groups: [unauthenticatedGroup] };
    },
  };
}

function certificateUser({ certificate }: Credentials): UserInfo | undefined {
  if (!certificate || certificate.commonName === '') return undefined;
  const { commonName, organizations, uid } = certificate;
  return { name: commonName, ...(uid ? { uid } : {}), groups: withAuthenticatedGroup(organizations) };
}

/** The first acceptance, or the reasons of those who knew the token and refused it. */
export async function acceptToken(
  authenticators: readonly TokenAuthenticator[],
  token: string,
  audiences?: readonly string[],
): Promise<{ readonly user: UserInfo; readonly audiences: readonly string[] } | { readonly error: string }> {
  const reasons: string[] = [];
  for (const authenticator of authenticators) {
    try {
      const accepted = await authenticator.authenticateToken(token, audiences);
      if (accepted) return accepted;
    } catch (error) {
      reasons.push(error instanceof Error ? error.message : String(error));
    }
  }
  return { error: reasons.join('; ') || 'the token is of no kind this server knows' };
}

function isAnonymousAllowed(policy: readonly string[] | 'all' | 'none', path: string | undefined): boolean {
  if (policy === 'all') return true;
  if (policy === 'none' || path === undefined) return false;
  return policy.some((allowed) => path === allowed || path.startsWith(`${allowed}/`));
}
