import { constants, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { type DerElement, readElements, readOid, readText } from './der-read.js';

/** A PKCS #10 certificate request (RFC 2986), read and its signature checked. */
export interface SigningRequest {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly emailAddresses: readonly string[];
  readonly uris: readonly string[];
  readonly publicKey: KeyObject;
  /** DER, as asked for. */
  readonly subject: Buffer;
  /** The value of the subject alternative name extension; absent where none is asked for. */
  readonly alternativeNames?: Buffer;
}

const oids = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  extensionRequest: '1.2.840.113549.1.9.14',
  alternativeNames: '2.5.29.17',
} as const;

/** By signature algorithm; `null`: the key says which. */
const digests: Readonly<Record<string, string | null>> = {
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '1.3.101.112': null,
};

/**
 * Reads a request in PEM form. Throws an Error that says why where it is none, or where its signature is not that of the key
 * it is about: who asks must hold the key.
 */
export function readSigningRequest(text: string): SigningRequest {
  const blocks = [...text.matchAll(/-----BEGIN ([A-Z ]+)-----([^-]*)-----END \1-----/g)];
  const [block] = blocks;
  if (blocks.length !== 1 || !block || !['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'].includes(block[1]!))
    throw new Error('PEM block type must be CERTIFICATE REQUEST');
  try {
    return readRequest(Buffer.from(block[2]!, 'base64'));
  } catch (cause) {
    throw new Error(`not a certificate request: ${(cause as Error).message}`, { cause });
  }
}

function readRequest(der: Buffer): SigningRequest {
  const [outer] = readElements(der);
  const [info, algorithm, signature] = children(outer);
  const [, subject, key, ...attributes] = children(info);
  const [algorithmId] = children(algorithm);
  if (!subject || !key || !info || !algorithmId || !signature) throw new Error('a part is missing');
  const publicKey = createPublicKey({ key: key.whole, format: 'der', type: 'spki' });
  const digest = digests[readOid(algorithmId.body)];
  if (digest === undefined) throw new Error(`the signature algorithm ${readOid(algorithmId.body)} is not known`);
  const padding = publicKey.asymmetricKeyType === 'rsa' ? { padding: constants.RSA_PKCS1_PADDING } : {};
  if (!verify(digest, info.whole, { key: publicKey, ...padding }, signature.body.subarray(1)))
    throw new Error('the signature is not that of its key');
  const names = subjectValues(subject);
  const alternativeNames = requestedExtension(attributes, oids.alternativeNames);
  return {
    commonName: names.get(oids.commonName)?.at(-1) ?? '',
    organizations: names.get(oids.organization) ?? [],
    ...namesIn(alternativeNames),
    publicKey,
    subject: subject.whole,
    ...(alternativeNames ? { alternativeNames } : {}),
  };
}

const children = (element: DerElement | undefined): readonly DerElement[] =>
  element ? readElements(element.body) : [];

function subjectValues(subject: DerElement): ReadonlyMap<string, readonly string[]> {
  const values = new Map<string, readonly string[]>();
  for (const set of children(subject))
    for (const pair of children(set)) {
      const [type, value] = children(pair);
      if (!type || !value) continue;
      const oid = readOid(type.body);
      values.set(oid, [...(values.get(oid) ?? []), readText(value)]);
    }
  return values;
}

function requestedExtension(attributes: readonly DerElement[], wanted: string): Buffer | undefined {
  for (const attribute of attributes.flatMap(children)) {
    const [type, values] = children(attribute);
    if (!type || readOid(type.body) !== oids.extensionRequest) continue;
    for (const extension of children(values).flatMap(children)) {
      const parts = children(extension);
      if (parts[0] && readOid(parts[0].body) === wanted) return parts.at(-1)?.body;
    }
  }
  return undefined;
}

function namesIn(value: Buffer | undefined) {
  const names = value ? readElements(value).flatMap(children) : [];
  const texts = (tag: number) => names.filter((n) => n.tag === tag).map((n) => n.body.toString('latin1'));
  return {
    emailAddresses: texts(0x81),
    dnsNames: texts(0x82),
    uris: texts(0x86),
    ipAddresses: names.filter((n) => n.tag === 0x87).map(({ body }) => addressText(body)),
  };
}

function addressText(octets: Buffer): string {
  if (octets.length === 4) return octets.join('.');
  return (octets.toString('hex').match(/.{4}/g) ?? []).map((word) => word.replace(/^0{1,3}/, '')).join(':');
}
