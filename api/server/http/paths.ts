import { serveHistory } from '../history/room.js';
import { commonHeaders, sendBytes } from './answer.js';
import { pathNotFound } from './answers.js';
import { header } from './exchange.js';
import { checkNames } from './health.js';
import type { Call, HttpParts } from './parts.js';
import { versionInfo } from './version.js';

/** What `GET /` lists. */
function servedPaths(parts: HttpParts): readonly string[] {
  const groups = parts.registry.kinds.groups().flatMap(({ group, versions }) => {
    const base = group === '' ? '/api' : `/apis/${group}`;
    return [base, ...versions.map(({ version }) => `${base}/${version}`)];
  });
  const health = ['/healthz', '/livez', '/readyz'].flatMap((path) => [
    path,
    ...checkNames(parts).map((check) => `${path}/${check}`),
  ]);
  const others = ['/apis', '/metrics', '/openapi/v2', '/openapi/v3', '/openapi/v3/', '/version'];
  return [...groups, ...health, ...others, ...Object.keys(parts.rawHandlers)].sort();
}

/** Paths outside the resource tree: version, metrics, discovery, OpenAPI, and what other rooms hand in. */
export async function servePath(parts: HttpParts, call: Call): Promise<void> {
  const { exchange, info } = call;
  const headers = commonHeaders(call.auditId, call.warnings.texts);
  if (info.path === '/version' || info.path === '/version/') {
    const body = Buffer.from(`${JSON.stringify(versionInfo, null, 2)}\n`);
    exchange.respond(200, { ...headers, 'content-type': 'application/json' }, body);
    return;
  }
  if (info.path === '/' || info.path === '') {
    const body = Buffer.from(`${JSON.stringify({ paths: servedPaths(parts) }, null, 2)}\n`);
    exchange.respond(200, { ...headers, 'content-type': 'application/json' }, body);
    return;
  }
  const past = serveHistory(parts, call);
  if (past) return past;
  if (info.path === '/metrics') {
    const { contentType, body } = await parts.metrics.text();
    return sendBytes(exchange, 200, { ...headers, 'content-type': contentType }, Buffer.from(body));
  }
  const raw = await parts.rawHandlers[info.path]?.(info.path);
  if (raw) return sendBytes(exchange, 200, { ...headers, 'content-type': raw.contentType }, Buffer.from(raw.body));

  const document = parts.documents(info.path, header(exchange, 'accept'), info.query);
  if (!document) throw pathNotFound();
  const extra = {
    ...headers,
    ...document.headers,
    ...(document.etag ? { etag: document.etag, vary: 'Accept' } : {}),
    'content-type': document.contentType,
  };
  if (document.etag && header(exchange, 'if-none-match')?.includes(document.etag)) {
    exchange.respond(304, extra);
    return;
  }
  return sendBytes(exchange, document.status ?? 200, extra, document.body);
}
