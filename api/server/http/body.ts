import {
  badRequest,
  decodeProtobuf,
  duplicateFields,
  type GroupVersionKind,
  ProtobufError,
  parseYamlDocuments,
  StatusError,
  tooLarge,
  unsupportedMediaType,
} from '@trimtab/machinery';
import { type Exchange, header } from './exchange.js';
import { mediaTypes } from './negotiation.js';

const maxBody = 3 * 1024 * 1024;
/** Reading YAML takes a hundred times as long as reading JSON, and nobody else has a turn meanwhile. */
const maxYaml = 256 * 1024;

/** The request body, at most 3 MiB (413 beyond). */
export function readBody(exchange: Exchange): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    exchange.body.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= maxBody) chunks.push(chunk);
      else reject(tooLarge(`Request entity too large: limit is ${maxBody}`));
    });
    exchange.body.once('end', () => {
      const whole = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
      exchange.tap?.received(whole);
      resolve(whole);
    });
    exchange.body.once('error', reject);
    exchange.body.once('close', () => {
      if (!exchange.body.readableEnded) reject(badRequest('the request was cut off'));
    });
  });
}

/** The media type of the body, without parameters; JSON where the client names none. */
export function bodyType(exchange: Exchange): string {
  return (header(exchange, 'content-type') ?? 'application/json').split(';')[0]!.trim().toLowerCase();
}

export interface ReadValue {
  readonly value: unknown;
  /** `duplicate field "spec.foo"`, in document order. */
  readonly duplicates: readonly string[];
}

/** Reads a body in any of the three encodings; `gvk` names the kind where a protobuf body leaves it out. */
export function parseBody(bytes: Buffer, type: string, gvk: GroupVersionKind): ReadValue {
  if (type !== mediaTypes.protobuf) return parseText(bytes, type);
  try {
    return { value: decodeProtobuf(bytes, gvk), duplicates: [] };
  } catch (error) {
    if (error instanceof ProtobufError) throw badRequest(`error decoding the request body: ${error.message}`);
    throw error;
  }
}

/** Reads JSON or YAML text. */
export function parseText(bytes: Buffer, type: string): ReadValue {
  const text = bytes.toString('utf8');
  try {
    if (type === 'application/json' || type.endsWith('+json'))
      return { value: JSON.parse(text), duplicates: duplicateFields(text) };
    if (type === 'application/yaml' || type.endsWith('+yaml')) {
      // Server-side apply says YAML and sends JSON, which may be as large as any body.
      if (text.length > maxYaml && !/^\s*[[{]/.test(text))
        throw tooLarge(`YAML of ${text.length} characters is too large: limit is ${maxYaml}; send it as JSON`);
      return parseYamlText(text);
    }
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw badRequest(`error decoding the request body: ${error instanceof Error ? error.message : String(error)}`);
  }
  throw unsupportedMediaType(
    `the body of the request was in an unknown format - accepted media types include: ${Object.values(mediaTypes).join(', ')}`,
  );
}

function parseYamlText(text: string): ReadValue {
  const documents = parseYamlDocuments(text);
  if (documents.length > 1) throw badRequest('the body of the request holds more than one YAML document');
  return {
    value: documents[0]?.value ?? null,
    duplicates: documents[0]?.duplicates.map((d) => d.message) ?? [],
  };
}
