import type { Client } from '@trimtab/client';
import type { Clock, Random, TokenRequest } from '@trimtab/machinery';
import { ServiceAccounts } from '@trimtab/machinery';
import { type Pod, uidOf } from '../pod/api.js';

export interface Token {
  readonly token: string;
  /** When to ask for the next one, milliseconds since the epoch. */
  readonly refreshAt: number;
}

const DEFAULT_SECONDS = 3_607;
const MIN_SECONDS = 600;
const REFRESH_AT = 0.8;
const OLDEST_MS = 24 * 3_600_000;

/** Asks for a token bound to the pod: it dies with it. Refreshed after 80 % of its life or a day. */
export async function requestToken(
  client: Client,
  clock: Clock,
  random: Random,
  pod: Pod,
  source: { readonly audience?: string; readonly expirationSeconds?: number },
): Promise<Token> {
  const { metadata, spec } = pod;
  const name = spec.serviceAccountName || 'default';
  const now = clock.now();
  const body: TokenRequest = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    metadata: {},
    spec: {
      audiences: source.audience ? [source.audience] : [],
      expirationSeconds: Math.max(source.expirationSeconds ?? DEFAULT_SECONDS, MIN_SECONDS),
      boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: metadata.name ?? '', uid: uidOf(pod) },
    },
  };
  const key = { namespace: metadata.namespace, name };
  const answer = await client.subresource<TokenRequest, TokenRequest>(ServiceAccounts, key, 'token', 'create', body);
  const token = answer.status?.token;
  if (!token) throw new Error(`service account "${name}": the API server answered without a token`);
  const life = Date.parse(answer.status?.expirationTimestamp ?? '') - now;
  // Some spread, so that tokens of pods started together are not all renewed at one instant.
  const spread = random.next() * 10_000;
  return { token, refreshAt: now + Math.min(life * REFRESH_AT, OLDEST_MS) - spread };
}
