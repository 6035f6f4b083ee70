import { createHmac } from 'node:crypto';
import type { Secret } from '@trimtab/machinery';

export const TOKEN_TYPE = 'bootstrap.kubernetes.io/token';
export const NAMESPACE = 'kube-system';

export const field = (secret: Secret, name: string): string =>
  Buffer.from(secret.data?.[name] ?? '', 'base64').toString('utf8');

/** When a bootstrap token ends, in milliseconds; undefined: never. What is no time has ended. */
export function expiryOf(secret: Secret): number | undefined {
  const text = field(secret, 'expiration');
  if (text === '') return undefined;
  return Date.parse(text) || 0;
}

/** A JWS (RFC 7515) of the content with the content left out, by which who holds the token knows that it is genuine. */
export function detachedSignature(content: string, id: string, secret: string): string {
  const header = Buffer.from(JSON.stringify({ alg: 'HS256', kid: id })).toString('base64url');
  const payload = Buffer.from(content).toString('base64url');
  const signature = createHmac('sha256', secret).update(`${header}.${payload}`).digest('base64url');
  return `${header}..${signature}`;
}
