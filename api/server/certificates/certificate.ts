import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import {
  bitString,
  boolean,
  explicit,
  implicit,
  integer,
  namedBits,
  octetString,
  oid,
  sequence,
  setOf,
  time,
  utf8String,
} from './der.js';
import { addressBytes, isAddress } from './names.js';
import type { SigningRequest } from './signing-request.js';

/**
 * X.509 v3 certificates (RFC 5280) on ECDSA P-256 with SHA-256. The well-kept library for this takes 170 ms to load (75 ms
 * bundled), more than half of the time in which the whole API server has to answer; five extensions are one file. What is
 * written here is read back by OpenSSL and by that library in the tests.
 */

/** PEM texts; the key is PKCS#8. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

export interface Subject {
  readonly commonName: string;
  readonly organizations?: readonly string[];
}

export interface CertificateRequest {
  readonly subject: Subject;
  readonly usage: 'authority' | 'server' | 'client';
  /** Host names and IP addresses a server certificate is good for. */
  readonly names?: readonly string[];
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface Issuer {
  readonly subject: Subject;
  readonly key: KeyObject;
  readonly publicKey: KeyObject;
}

const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'));
const attribute = { organization: oid('2.5.4.10'), commonName: oid('2.5.4.3') };
const extended = { server: oid('1.3.6.1.5.5.7.3.1'), client: oid('1.3.6.1.5.5.7.3.2') };
/** Kubernetes' names of usages: extended ones by their identifier, the others by their bit in KeyUsage. */
const extendedUsages: Readonly<Record<string, string>> = {
  any: '2.5.29.37.0',
  'server auth': '1.3.6.1.5.5.7.3.1',
  'client auth': '1.3.6.1.5.5.7.3.2',
  'code signing': '1.3.6.1.5.5.7.3.3',
  'email protection': '1.3.6.1.5.5.7.3.4',
  's/mime': '1.3.6.1.5.5.7.3.4',
  'ipsec end system': '1.3.6.1.5.5.7.3.5',
  'ipsec tunnel': '1.3.6.1.5.5.7.3.6',
  'ipsec user': '1.3.6.1.5.5.7.3.7',
  timestamping: '1.3.6.1.5.5.7.3.8',
  'ocsp signing': '1.3.6.1.5.5.7.3.9',
  'microsoft sgc': '1.3.6.1.4.1.311.10.3.3',
  'netscape sgc': '2.16.840.1.113730.4.1',
};
const plainUsages: Readonly<Record<string, number>> = {
  signing: 0,
  'digital signature': 0,
  'content commitment': 1,
  'key encipherment': 2,
  'data encipherment': 3,
  'key agreement': 4,
  'cert sign': 5,
  'crl sign': 6,
  'encipher only': 7,
  'decipher only': 8,
};
/** Every usage a certificate can be asked for, by Kubernetes' names. */
export const certificateUsages: readonly string[] = [...Object.keys(plainUsages), ...Object.keys(extendedUsages)];

/** Bit positions of KeyUsage. */
const keyUsage = { digitalSignature: 0, keyCertSign: 5, crlSign: 6 };

const extension = (id: string, critical: boolean, value: Uint8Array): Uint8Array =>
  sequence(oid(id), ...(critical ? [boolean(true)] : []), octetString(value));

/** RFC 5280, 4.2.1.2: the SHA-1 of the public key's bit string; an identifier, not a proof. */
function keyIdentifier(publicKey: KeyObject): Uint8Array {
  const point = publicKey.export({ type: 'spki', format: 'der' }).subarray(-65);
  return createHash('sha1').update(point).digest();
}

const distinguishedName = (subject: Subject): Uint8Array =>
  sequence(
    ...(subject.organizations ?? []).map((o) => setOf(sequence(attribute.organization, utf8String(o)))),
    setOf(sequence(attribute.commonName, utf8String(subject.commonName))),
  );

const generalName = (name: string): Uint8Array =>
  isAddress(name) ? implicit(7, addressBytes(name)) : implicit(2, Buffer.from(name, 'latin1'));

function extensions(request: CertificateRequest, publicKey: KeyObject, issuer: Issuer): Uint8Array {
  const authority = request.usage === 'authority';
  const list = [
    extension('2.5.29.15', true, namedBits(authority ? Object.values(keyUsage) : [keyUsage.digitalSignature])),
    extension('2.5.29.19', true, authority ? sequence(boolean(true)) : sequence()),
    extension('2.5.29.14', false, octetString(keyIdentifier(publicKey))),
    extension('2.5.29.35', false, sequence(implicit(0, keyIdentifier(issuer.publicKey)))),
  ];
  if (request.usage !== 'authority') list.push(extension('2.5.29.37', false, sequence(extended[request.usage])));
  if (request.names?.length) list.push(extension('2.5.29.17', false, sequence(...request.names.map(generalName))));
  return explicit(3, sequence(...list));
}

/** A fresh P-256 key. */
export function newKey(): Issuer['key'] {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
}

/** Signs a certificate for `publicKey`. The serial number has 127 random bits. Gives PEM. */
export function signCertificate(request: CertificateRequest, publicKey: KeyObject, issuer: Issuer): string {
  return signed(
    { ...request, subject: distinguishedName(request.subject) },
    publicKey,
    issuer,
    extensions(request, publicKey, issuer),
  );
}

/** What a signer makes of a {@link SigningRequest}: the subject and names asked for, and the usages named; never an authority. */
export function signRequest(
  request: Pick<SigningRequest, 'subject' | 'alternativeNames' | 'publicKey'>,
  terms: { readonly usages: readonly string[]; readonly notBefore: number; readonly notAfter: number },
  issuer: Issuer,
): string {
  const bits = [...new Set(terms.usages.flatMap((usage) => plainUsages[usage] ?? []))];
  const purposes = [...new Set(terms.usages.flatMap((usage) => extendedUsages[usage] ?? []))];
  const list = [
    ...(bits.length > 0 ? [extension('2.5.29.15', true, namedBits(bits))] : []),
    ...(purposes.length > 0 ? [extension('2.5.29.37', false, sequence(...purposes.map(oid)))] : []),
    extension('2.5.29.19', true, sequence()),
    extension('2.5.29.35', false, sequence(implicit(0, keyIdentifier(issuer.publicKey)))),
    ...(request.alternativeNames ? [extension('2.5.29.17', false, request.alternativeNames)] : []),
  ];
  return signed({ ...terms, subject: request.subject }, request.publicKey, issuer, explicit(3, sequence(...list)));
}

function signed(
  request: { readonly subject: Uint8Array; readonly notBefore: number; readonly notAfter: number },
  publicKey: KeyObject,
  issuer: Issuer,
  extended: Uint8Array,
): string {
  const serial = randomBytes(16);
  serial[0]! &= 0x7f;
  serial[0]! |= 0x40;
  const toBeSigned = sequence(
    explicit(0, integer(Uint8Array.of(2))),
    integer(serial),
    ecdsaWithSha256,
    distinguishedName(issuer.subject),
    sequence(time(request.notBefore), time(request.notAfter)),
    request.subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    extended,
  );
  const der = sequence(toBeSigned, ecdsaWithSha256, bitString(sign('sha256', toBeSigned, issuer.key)));
  return pem('CERTIFICATE', der);
}

function pem(label: string, der: Uint8Array): string {
  const lines = Buffer.from(der).toString('base64').replace(/.{64}/g, '$&\n').trimEnd();
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}
