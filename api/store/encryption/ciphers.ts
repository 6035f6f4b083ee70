import { createCipheriv, createDecipheriv } from 'node:crypto';
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js';
import type { Random } from '@trimtab/machinery';
import type { NamedKey } from './configuration.js';

/** How one provider turns bytes into others. `place` is bound to what is encrypted, where the cipher can. */
export interface Cipher {
  seal(key: NamedKey, text: Buffer, place: Buffer, random: Random): Buffer;
  /** Throws where the bytes are not what `seal` gave for this key and place. */
  open(key: NamedKey, bytes: Buffer, place: Buffer): Buffer;
}

const NONCE = 12;
const TAG = 16;
const BLOCK = 16;
const LONG_NONCE = 24;

/** Layouts are those of kube-apiserver: nonce, then ciphertext, then tag. */
export const ciphers: Readonly<Record<'aesgcm' | 'aescbc' | 'secretbox', Cipher>> = {
  aesgcm: {
    seal({ secret }, text, place, random) {
      const nonce = random.bytes(NONCE);
      const cipher = createCipheriv(gcm(secret), secret, nonce, { authTagLength: TAG }).setAAD(place);
      return Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()]);
    },
    open({ secret }, bytes, place) {
      const nonce = bytes.subarray(0, NONCE);
      const decipher = createDecipheriv(gcm(secret), secret, nonce, { authTagLength: TAG }).setAAD(place);
      decipher.setAuthTag(bytes.subarray(bytes.length - TAG));
      return Buffer.concat([decipher.update(bytes.subarray(NONCE, bytes.length - TAG)), decipher.final()]);
    },
  },
  aescbc: {
    seal({ secret }, text, _place, random) {
      const vector = random.bytes(BLOCK);
      const cipher = createCipheriv(`aes-${secret.length * 8}-cbc`, secret, vector);
      return Buffer.concat([vector, cipher.update(text), cipher.final()]);
    },
    open({ secret }, bytes) {
      const decipher = createDecipheriv(`aes-${secret.length * 8}-cbc`, secret, bytes.subarray(0, BLOCK));
      return Buffer.concat([decipher.update(bytes.subarray(BLOCK)), decipher.final()]);
    },
  },
  secretbox: {
    seal({ secret }, text, _place, random) {
      const nonce = random.bytes(LONG_NONCE);
      return Buffer.concat([nonce, xsalsa20poly1305(secret, nonce).encrypt(text)]);
    },
    open: ({ secret }, bytes) =>
      Buffer.from(xsalsa20poly1305(secret, bytes.subarray(0, LONG_NONCE)).decrypt(bytes.subarray(LONG_NONCE))),
  },
};

const gcm = (secret: Buffer): 'aes-128-gcm' | 'aes-192-gcm' | 'aes-256-gcm' =>
  secret.length === 32 ? 'aes-256-gcm' : secret.length === 24 ? 'aes-192-gcm' : 'aes-128-gcm';
