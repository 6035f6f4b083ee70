import type { Clock, KubeObject } from '@trimtab/machinery';
import type { ObjectReader, UserInfo } from '../contracts.js';
import { serviceAccountGroups, serviceAccountUser } from './groups.js';
import type { BoundRef, TokenClaims, TokenIssuer } from './service-account-tokens.js';

/** A token accepted: whose it is, and for which of the audiences asked about. */
export interface AcceptedToken {
  readonly user: UserInfo;
  readonly audiences: readonly string[];
}

/** Answers undefined for a token that is not of its kind; throws an Error that says what is wrong with one that is. */
export interface TokenAuthenticator {
  authenticateToken(token: string, audiences?: readonly string[]): Promise<AcceptedToken | undefined>;
}

/** A token stays good this long after the deletion time of what it is bound to, for clean-up at the very end. */
const leewayMs = 60_000;

/**
 * Tokens of service accounts: good while signature and time are, at least one audience is ours, and the service account and
 * the bound Pod, Secret or Node exist with the uid in the token.
 */
export function serviceAccountTokens(issuer: TokenIssuer, reader: ObjectReader, clock: Clock): TokenAuthenticator {
  const alive = (resource: string, namespace: string, ref: BoundRef, what: string): KubeObject => {
    const object = reader.get(resource, namespace, ref.name);
    if (!object || object.metadata.uid !== ref.uid)
      throw new Error(`the ${what} "${ref.name}" this token was issued for no longer exists`);
    const deleted = object.metadata.deletionTimestamp;
    if (deleted !== undefined && Date.parse(deleted) + leewayMs < clock.now())
      throw new Error(`the ${what} "${ref.name}" this token was issued for has been deleted`);
    return object;
  };

  return {
    async authenticateToken(token, wanted = issuer.audiences) {
      const claims = await issuer.verify(token);
      if (!claims) return undefined;
      const audiences = wanted.filter((a) => claims.audiences.includes(a));
      if (audiences.length === 0)
        throw new Error(`the token is for ${list(claims.audiences)}, not for ${list(wanted)}`);
      alive('/serviceaccounts', claims.namespace, claims.serviceAccount, 'service account');
      if (claims.heldBy !== undefined) {
        const holder = reader.get('/secrets', claims.namespace, claims.heldBy) as
          | (KubeObject & { readonly data?: Readonly<Record<string, string>> })
          | undefined;
        if (!holder || holder.metadata.deletionTimestamp !== undefined)
          throw new Error(`the secret "${claims.heldBy}" that held this token no longer exists`);
        if (holder.data?.token !== Buffer.from(token).toString('base64'))
          throw new Error(`the secret "${claims.heldBy}" holds another token now`);
      }
      if (claims.pod) alive('/pods', claims.namespace, claims.pod, 'pod');
      if (claims.secret) alive('/secrets', claims.namespace, claims.secret, 'secret');
      if (claims.node && !claims.pod) alive('/nodes', '', claims.node, 'node');
      return { user: userOf(claims), audiences };
    },
  };
}

const list = (names: readonly string[]): string => names.map((n) => `"${n}"`).join(', ');

function userOf(claims: TokenClaims): UserInfo {
  const prefix = 'authentication.kubernetes.io';
  const pair = (what: string, ref: BoundRef | undefined): Record<string, readonly string[]> =>
    ref ? { [`${prefix}/${what}-name`]: [ref.name], [`${prefix}/${what}-uid`]: [ref.uid] } : {};
  return {
    name: serviceAccountUser(claims.namespace, claims.serviceAccount.name),
    uid: claims.serviceAccount.uid,
    groups: serviceAccountGroups(claims.namespace),
    extra: {
      ...(claims.id ? { [`${prefix}/credential-id`]: [`JTI=${claims.id}`] } : {}),
      ...pair('node', claims.node),
      ...pair('pod', claims.pod),
    },
  };
}
