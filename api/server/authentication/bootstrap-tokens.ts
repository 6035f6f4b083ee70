import { timingSafeEqual } from 'node:crypto';
import type { Clock, KubeObject } from '@trimtab/machinery';
import type { ObjectReader } from '../contracts.js';
import type { TokenAuthenticator } from './token-authenticator.js';

/** Kubernetes' bootstrap tokens: what a machine joins a cluster with before it has an identity of its own. */

export const bootstrapTokenType = 'bootstrap.kubernetes.io/token';
export const bootstrappersGroup = 'system:bootstrappers';
const secretPrefix = 'bootstrap-token-';
const tokenForm = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const groupForm = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;

/** One token as its Secret has it, decoded. */
export interface BootstrapToken {
  readonly id: string;
  readonly secret: string;
  /** Milliseconds since the epoch; undefined: never. NaN where what is written is no time: such a token is expired. */
  readonly expires: number | undefined;
  readonly usages: { readonly authentication: boolean; readonly signing: boolean };
  readonly groups: readonly string[];
}

/**
 * Reads a Secret of type `bootstrap.kubernetes.io/token`. Undefined for a Secret that is none, or whose name is not that of
 * the token in it. Throws when one of its groups does not begin with `system:bootstrappers:`.
 */
export function readBootstrapToken(object: KubeObject | undefined): BootstrapToken | undefined {
  const secret = object as (KubeObject & { type?: string; data?: Readonly<Record<string, string>> }) | undefined;
  if (secret?.type !== bootstrapTokenType || secret.metadata.deletionTimestamp !== undefined) return undefined;
  const field = (name: string): string => Buffer.from(secret.data?.[name] ?? '', 'base64').toString('utf8');
  const id = field('token-id');
  if (id === '' || field('token-secret') === '' || secret.metadata.name !== `${secretPrefix}${id}`) return undefined;
  const extra = field('auth-extra-groups')
    .split(',')
    .map((g) => g.trim())
    .filter(Boolean);
  const wrong = extra.find((group) => !groupForm.test(group));
  if (wrong !== undefined)
    throw new Error(`the bootstrap token "${id}" names the group "${wrong}", which must match ${groupForm.source}`);
  const expiration = field('expiration');
  return {
    id,
    secret: field('token-secret'),
    expires: expiration === '' ? undefined : Date.parse(expiration),
    usages: {
      authentication: field('usage-bootstrap-authentication') === 'true',
      signing: field('usage-bootstrap-signing') === 'true',
    },
    groups: [bootstrappersGroup, ...new Set(extra.sort())],
  };
}

export const isExpired = ({ expires }: BootstrapToken, now: number): boolean =>
  expires !== undefined && !(expires > now);

/**
 * Tokens of the form `id.secret`, known by the Secret `bootstrap-token-<id>` in `kube-system`: user `system:bootstrap:<id>`
 * in `system:bootstrappers` and the groups the Secret adds. Whatever is wrong with one (absent, expired, not meant for
 * authentication) it is simply nobody's: an attacker learns nothing of which ids exist.
 */
export function bootstrapTokens(
  reader: ObjectReader,
  clock: Clock,
  apiAudiences: readonly string[],
): TokenAuthenticator {
  return {
    async authenticateToken(token, wanted = apiAudiences) {
      const [, id, secret] = tokenForm.exec(token) ?? [];
      if (id === undefined || secret === undefined) return undefined;
      const audiences = wanted.filter((a) => apiAudiences.includes(a));
      const known = readBootstrapToken(reader.get('/secrets', 'kube-system', `${secretPrefix}${id}`));
      if (!known || audiences.length === 0 || !sameText(known.secret, secret)) return undefined;
      if (!known.usages.authentication || isExpired(known, clock.now())) return undefined;
      return { user: { name: `system:bootstrap:${id}`, groups: known.groups }, audiences };
    },
  };
}

function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
