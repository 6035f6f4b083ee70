import { createHash, type KeyObject } from 'node:crypto';
import { type Clock, type Random, timestamp } from '@trimtab/machinery';
import { serviceAccountUser } from './groups.js';
import { issuerOf } from './oidc.js';

/** An object a token names and lives with. */
export interface BoundRef {
  readonly name: string;
  readonly uid: string;
}

/** What a service-account token says (KEP-1205, `kubernetes.io` claim). */
export interface TokenClaims {
  readonly namespace: string;
  readonly serviceAccount: BoundRef;
  readonly pod?: BoundRef;
  readonly secret?: BoundRef;
  readonly node?: BoundRef;
  readonly audiences: readonly string[];
  /** `jti`. */
  readonly id: string;
  /** Seconds since the epoch; Infinity for a token that a Secret holds. */
  readonly expires: number;
  /** The Secret that must hold this very token. */
  readonly heldBy?: string;
  /** Seconds since the epoch: from then on who uses it should have fetched a new one. */
  readonly warnAfter?: number;
}

export interface TokenIssuerOptions {
  /** `iss`: the URL under which the API server publishes its discovery document. */
  readonly issuer: string;
  /** The audiences of the API server itself; the first is given to tokens that ask for none. */
  readonly audiences: readonly string[];
  readonly key: { readonly privateKey: KeyObject; readonly publicKey: KeyObject };
  readonly clock: Clock;
  readonly random: Random;
}

/** Signs and checks tokens; knows nothing of whether the objects in them still exist. */
export interface TokenIssuer {
  readonly issuer: string;
  readonly audiences: readonly string[];
  issue(
    claims: Omit<TokenClaims, 'id' | 'expires' | 'heldBy'>,
    lifetimeSeconds: number,
  ): Promise<{ readonly token: string; readonly expirationTimestamp: string }>;
  /** The token of a Secret of type `kubernetes.io/service-account-token`: without an end, good as long as the Secret holds it. */
  issueForSecret(claims: {
    readonly namespace: string;
    readonly serviceAccount: BoundRef;
    readonly secretName: string;
  }): Promise<string>;
  /** Undefined when the token is not of this issuer; throws when it is, and is expired, not yet valid or forged. */
  verify(token: string): Promise<TokenClaims | undefined>;
  /** The JSON Web Key Set and the OpenID discovery document, for verifiers outside. */
  keySet(): Promise<string>;
  discovery(keySetUrl: string): string;
}

const algorithm = 'ES256';
/** What tokens of Secrets name, whoever issued them. */
const legacyIssuer = 'kubernetes/serviceaccount';
/** Verified tokens are remembered: a signature check costs 100 µs, and a client sends the same token every time. */
const remembered = 4096;

export function createTokenIssuer(options: TokenIssuerOptions): TokenIssuer {
  const { clock, key } = options;
  const keyId = createHash('sha256')
    .update(key.publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64url');
  const known = new Map<string, TokenClaims>();
  const seconds = () => Math.floor(clock.now() / 1000);
  const remember = (token: string, claims: TokenClaims): TokenClaims => {
    if (known.size >= remembered) known.delete(known.keys().next().value as string);
    known.set(token, claims);
    return claims;
  };

  return {
    issuer: options.issuer,
    audiences: options.audiences,

    async issue(claims, lifetimeSeconds) {
      const { SignJWT } = await import('jose/jwt/sign');
      const now = seconds();
      const expires = now + lifetimeSeconds;
      const token = await new SignJWT({
        'kubernetes.io': {
          namespace: claims.namespace,
          ...(claims.node ? { node: claims.node } : {}),
          ...(claims.pod ? { pod: claims.pod } : {}),
          ...(claims.secret ? { secret: claims.secret } : {}),
          serviceaccount: claims.serviceAccount,
          ...(claims.warnAfter === undefined ? {} : { warnafter: claims.warnAfter }),
        },
      })
        .setProtectedHeader({ alg: algorithm, kid: keyId })
        .setIssuer(options.issuer)
        .setSubject(`system:serviceaccount:${claims.namespace}:${claims.serviceAccount.name}`)
        .setAudience([...claims.audiences])
        .setIssuedAt(now)
        .setNotBefore(now)
        .setExpirationTime(expires)
        .setJti(uuid(options.random))
        .sign(key.privateKey);
      return { token, expirationTimestamp: timestamp(expires * 1000) };
    },

    async issueForSecret({ namespace, serviceAccount, secretName }) {
      const { SignJWT } = await import('jose/jwt/sign');
      const prefix = 'kubernetes.io/serviceaccount';
      return new SignJWT({
        [`${prefix}/namespace`]: namespace,
        [`${prefix}/secret.name`]: secretName,
        [`${prefix}/service-account.name`]: serviceAccount.name,
        [`${prefix}/service-account.uid`]: serviceAccount.uid,
      })
        .setProtectedHeader({ alg: algorithm, kid: keyId })
        .setIssuer(legacyIssuer)
        .setSubject(serviceAccountUser(namespace, serviceAccount.name))
        .sign(key.privateKey);
    },

    async verify(token) {
      const cached = known.get(token);
      if (cached) {
        if (cached.expires > seconds()) return cached;
        known.delete(token);
      }
      const issuer = issuerOf(token);
      if (issuer !== options.issuer && issuer !== legacyIssuer) return undefined;
      const { jwtVerify } = await import('jose/jwt/verify');
      if (issuer === legacyIssuer) {
        const { payload } = await jwtVerify(token, key.publicKey, { algorithms: [algorithm], issuer });
        return remember(token, readLegacyClaims(payload as Record<string, unknown>, options.audiences));
      }
      const { payload } = await jwtVerify(token, key.publicKey, {
        algorithms: [algorithm],
        issuer: options.issuer,
        currentDate: new Date(clock.now()),
        requiredClaims: ['exp', 'iat', 'sub', 'aud', 'kubernetes.io'],
      });
      return remember(token, readClaims(payload as Record<string, unknown>));
    },

    async keySet() {
      const jwk = key.publicKey.export({ format: 'jwk' });
      return JSON.stringify({ keys: [{ ...jwk, use: 'sig', alg: algorithm, kid: keyId }] });
    },

    discovery: (keySetUrl) =>
      JSON.stringify({
        issuer: options.issuer,
        jwks_uri: keySetUrl,
        response_types_supported: ['id_token'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: [algorithm],
      }),
  };
}

function readLegacyClaims(payload: Record<string, unknown>, audiences: readonly string[]): TokenClaims {
  const text = (name: string): string => String(payload[`kubernetes.io/serviceaccount/${name}`] ?? '');
  const [namespace, heldBy] = [text('namespace'), text('secret.name')];
  const serviceAccount = { name: text('service-account.name'), uid: text('service-account.uid') };
  if (!namespace || !heldBy || !serviceAccount.name || !serviceAccount.uid)
    throw new Error('the token names no namespace, Secret and service account');
  return { namespace, serviceAccount, audiences, id: '', expires: Number.POSITIVE_INFINITY, heldBy };
}

function readClaims(payload: Record<string, unknown>): TokenClaims {
  const own = asRecord(payload['kubernetes.io']);
  const ref = (value: unknown): BoundRef | undefined => {
    const { name, uid } = asRecord(value);
    return typeof name === 'string' && typeof uid === 'string' ? { name, uid } : undefined;
  };
  const serviceAccount = ref(own.serviceaccount);
  const namespace = own.namespace;
  if (typeof namespace !== 'string' || !serviceAccount)
    throw new Error('the token names no namespace and service account');
  if (payload.sub !== `system:serviceaccount:${namespace}:${serviceAccount.name}`)
    throw new Error('the token is for another subject than its service account');
  const audience = payload.aud;
  return {
    namespace,
    serviceAccount,
    pod: ref(own.pod),
    secret: ref(own.secret),
    node: ref(own.node),
    audiences: Array.isArray(audience) ? audience.map(String) : [String(audience)],
    id: typeof payload.jti === 'string' ? payload.jti : '',
    expires: Number(payload.exp),
  };
}

const asRecord = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};

/** RFC 9562 version 4. */
function uuid(random: Random): string {
  const b = random.bytes(16);
  b[6] = (b[6]! & 0x0f) | 0x40;
  b[8] = (b[8]! & 0x3f) | 0x80;
  const hex = Buffer.from(b).toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
