import { readFileSync } from 'node:fs';

export interface Identity {
  readonly cert: string;
  readonly key: string;
}
/** A CA, a server for 127.0.0.1 and a user `alice`, good for a hundred years and nothing but this. */
const pem = (name: string) => readFileSync(new URL(`../testdata/${name}`, import.meta.url), 'utf8');
export const ca = pem('ca.pem');
export const server: Identity = { cert: pem('server.pem'), key: pem('server.key') };
export const user: Identity = { cert: pem('alice.pem'), key: pem('alice.key') };
