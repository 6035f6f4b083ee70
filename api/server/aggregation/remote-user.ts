import type { OutgoingHttpHeaders } from 'node:http';
import type { UserInfo } from '../contracts.js';

const plainKey = /[^!#$&'*+.^_`|~0-9a-z-]/g;

/** The headers by which the server tells another one who calls; what is no header character is percent-encoded. */
export function remoteUserHeaders({ name, uid, groups, extra = {} }: UserInfo): OutgoingHttpHeaders {
  return {
    'x-remote-user': name,
    ...(uid ? { 'x-remote-uid': uid } : {}),
    ...(groups.length > 0 ? { 'x-remote-group': [...groups] } : {}),
    ...Object.fromEntries(
      Object.entries(extra).map(([key, values]) => [
        `x-remote-extra-${key.toLowerCase().replace(plainKey, (c) => [...Buffer.from(c)].map(percent).join(''))}`,
        [...values],
      ]),
    ),
  };
}

const percent = (octet: number): string => `%${octet.toString(16).padStart(2, '0')}`;

/** Nobody but this server says who calls. */
export const isIdentityHeader = (name: string): boolean =>
  name === 'authorization' || name.startsWith('x-remote-') || name.startsWith('impersonate-');
