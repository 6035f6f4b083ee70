import { createHash } from 'node:crypto';
import type { UserInfo } from '../contracts.js';
import type { TokenAuthenticator } from './token-authenticator.js';

/**
 * Kubernetes' static token file: one `token,user,uid[,"group1,group2"]` a line; blank lines and lines beginning with `#` are
 * skipped. Throws with the line number on a line of another form and on a token given twice.
 */
export function parseTokenFile(text: string): ReadonlyMap<string, UserInfo> {
  const users = new Map<string, UserInfo>();
  text.split(/\r?\n/).forEach((line, index) => {
    if (line.trim() === '' || line.startsWith('#')) return;
    const [token, name, uid, groups] = fields(line);
    if (!token || !name || uid === undefined)
      throw new Error(`token file, line ${index + 1}: expected token,user,uid and optionally "group1,group2"`);
    const key = digest(token);
    if (users.has(key)) throw new Error(`token file, line ${index + 1}: this token was given before`);
    users.set(key, {
      name,
      ...(uid ? { uid } : {}),
      groups: (groups ?? '')
        .split(',')
        .map((g) => g.trim())
        .filter(Boolean),
    });
  });
  return users;
}

/** Comma-separated values, of which one may be in double quotes (`""` inside stands for one quote). */
function fields(line: string): readonly string[] {
  return [...line.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^,]*))\s*(?:,|$)/g)]
    .slice(0, 5)
    .map((m) => (m[1] !== undefined ? m[1].replaceAll('""', '"') : (m[2] ?? '').trim()));
}

/** Looked up by digest, so that the time taken says nothing about the tokens. */
const digest = (token: string): string => createHash('sha256').update(token).digest('base64');

/** The users of a {@link parseTokenFile}; the API server's own audiences are implied. */
export function staticTokens(
  users: ReadonlyMap<string, UserInfo>,
  apiAudiences: readonly string[],
): TokenAuthenticator {
  return {
    async authenticateToken(token, wanted = apiAudiences) {
      const user = users.get(digest(token));
      const audiences = wanted.filter((a) => apiAudiences.includes(a));
      return user && audiences.length > 0 ? { user, audiences } : undefined;
    },
  };
}
