import { createHash } from 'node:crypto';
import { encodeOpenapiV2 } from '@trimtab/machinery';
import type { Document } from '../http/parts.js';
import type { RemoteService } from './api-service.js';
import { rewritten } from './discovery.js';

export interface OpenApiV2 {
  readonly paths?: Readonly<Record<string, unknown>>;
  readonly definitions?: Readonly<Record<string, unknown>>;
}

/** The version 3 index with the addresses of other servers' documents, which are asked for through this one. */
export function mergedV3Index(
  own: Document | undefined,
  remotes: readonly { readonly remote: RemoteService; readonly v3: string | undefined }[],
): Document | undefined {
  if (!own) return undefined;
  const { paths } = JSON.parse(own.body.toString()) as { readonly paths: Readonly<Record<string, object>> };
  const others = remotes.flatMap(({ remote, v3 }) =>
    v3 ? [[`apis/${remote.group}/${remote.version}`, { serverRelativeURL: v3 }] as const] : [],
  );
  return rewritten(own, { paths: { ...paths, ...Object.fromEntries(others) } });
}

/**
 * The version 2 document with the paths of other servers' group-versions and the definitions they name. A definition of this
 * server's own is never replaced: another of the same name is left out.
 */
export function mergedV2(
  own: Document,
  others: readonly { readonly remote: RemoteService; readonly v2: OpenApiV2 }[],
): Document {
  const whole = JSON.parse(own.body.toString()) as Required<OpenApiV2>;
  const paths = { ...whole.paths };
  let definitions = whole.definitions;
  for (const { remote, v2 } of others) {
    const place = `/apis/${remote.group}/${remote.version}/`;
    for (const [path, item] of Object.entries(v2.paths ?? {})) if (`${path}/`.startsWith(place)) paths[path] = item;
    definitions = { ...v2.definitions, ...definitions };
  }
  return rewritten(own, { ...whole, paths, definitions });
}

/** The same as protobuf, made of the JSON form. */
export function asProtobuf(json: Document, contentType: string): Document {
  const body = Buffer.from(encodeOpenapiV2(JSON.parse(json.body.toString())));
  return { contentType, body, etag: `"${createHash('sha512').update(body).digest('hex').toUpperCase()}"` };
}
